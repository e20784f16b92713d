"""Every public name of MLflow is on the page ``.github/MLFLOW.md``, and the page is true."""

import importlib.util
import sys
from pathlib import Path

import pytest

from registry_nb import mlflow

spec = importlib.util.spec_from_file_location("mlflow_page", Path(__file__).with_name("mlflow_page.py"))
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)

NAMES = pages.listed()
#: Names of ours that MLflow has elsewhere.
ELSEWHERE = {"mlflow.models": {"ModelInfo"}}  # in mlflow.models.model


def test_the_page_is_what_the_package_has():
    again = "run: python -m tests.project.mlflow_page"
    assert pages.PAGE.read_text(encoding="utf-8") == pages.page(), again


@pytest.mark.parametrize("place", pages.PLACES)
def test_a_name_of_ours_is_one_of_mlflows(place):
    assert pages.ours(place) - set(NAMES[place]) - ELSEWHERE.get(place, set()) == set()


@pytest.mark.parametrize("place", pages.PLACES)
def test_a_name_that_works_is_there_and_one_that_is_not_has_a_reason(place):
    for name in NAMES[place]:
        works, words = pages.row(place, name)
        if works:
            assert hasattr(pages.here(place), name), name
        else:
            assert not hasattr(pages.here(place), name), f"{name} is there; put it into __all__"
            assert words, f"write into registry_nb/mlflow/absent.py why {place}.{name} is not here"


def test_what_differs_is_said_of_names_that_exist():
    known = {name for place in pages.PLACES for name in NAMES[place]}
    known |= {f"{place}.{name}" for place in pages.PLACES for name in NAMES[place]}
    assert set(pages.DIFFERS) <= known


def test_whoever_types_a_name_that_is_not_here_reads_why(registry):
    with pytest.raises(
        AttributeError, match=r"has no attribute 'evaluate': models are judged by rules: write a policy"
    ):
        mlflow.evaluate
    with pytest.raises(
        AttributeError, match=r"'registry_nb\.mlflow\.models' has no attribute 'evaluate': models are jud"
    ):
        mlflow.models.evaluate
    with pytest.raises(
        AttributeError, match=r"'registry_nb\.mlflow\.pyfunc' has no attribute 'spark_udf': models are n"
    ):
        mlflow.pyfunc.spark_udf
    with pytest.raises(AttributeError, match=r"'MlflowClient' object has no attribute 'rename_experiment': an experim"):
        mlflow.MlflowClient(registry.uri).rename_experiment
    with pytest.raises(AttributeError, match=r"no attribute 'get_runs'; it translates .*; did you mean 'get_run'\?"):
        mlflow.MlflowClient(registry.uri).get_runs
    with pytest.raises(AttributeError, match=r"^module 'registry_nb\.mlflow' has no attribute '_private'$"):
        mlflow._private
    with pytest.raises(ImportError, match="cannot import name 'evaluate'"):
        from registry_nb.mlflow import evaluate  # noqa: F401
    assert "registry_nb.mlflow.evaluate" not in sys.modules
