"""A policy cannot be gone around: not one door leads past it into the stage that it guards."""

import pytest

import registry_nb as rn
from registry_nb.errors import PolicyFailed
from registry_nb.panel import actions
from registry_nb.rules import approved_by, metric

#: In memory there is no URI, which some of them open.
pytestmark = pytest.mark.every_store("folder", "postgres")


@pytest.fixture
def guarded(iris):
    """Iris, whose third version does not meet what Production asks for; 2 holds it."""
    iris.policy("Iris", require=[metric("accuracy") >= 0.99, approved_by(1, not_author=True)])
    rn.set_registry(iris)
    yield iris
    rn.set_registry(None)


def holders(registry):
    return [version.version for version in registry.versions("Iris", "stage = 'Production'")]


@pytest.mark.parametrize("which", [3, "latest", "@next"])
def test_python(guarded, refused, which):
    guarded.alias("Iris", "next", 3)
    with refused(guarded, PolicyFailed, 'metric("accuracy") >= 0.99 (0.93)'):
        guarded.promote("Iris", which)
    with refused(guarded, PolicyFailed, "nobody approved it"):
        guarded.transition("Iris", which, "production", archive_existing=True)


def test_the_session(guarded, refused):
    with refused(guarded, PolicyFailed, "does not meet the policy"):
        rn.get_registry().promote("Iris", 3)


@pytest.mark.parametrize("archive", [False, True])
def test_mlflow_names(guarded, refused, archive):
    from registry_nb.mlflow import MlflowClient
    from registry_nb.mlflow.exceptions import MlflowException

    client = MlflowClient(registry_uri=guarded.uri)
    with refused(guarded, MlflowException, "does not meet the policy"):
        client.transition_model_version_stage("Iris", 3, "Production", archive_existing_versions=archive)


def test_the_magic(guarded, refused):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "registry_nb")
    for line in ("promote Iris 3", "stage Iris 3 Production", "promote Iris/3 --force"):
        with refused(guarded, rn.RegistryError):
            shell.run_line_magic("registry", line)
    shell.user_ns["model"] = len
    with pytest.raises(PolicyFailed):
        shell.run_line_magic("registry", "register model as Iris --stage Production")
    assert holders(guarded) == [2]


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("promote", {"model": "Iris", "version": 3}),
        ("promote", {"model": "Iris", "version": 3, "force": True}),
        ("stage", {"model": "Iris", "version": 3, "stage": "Production"}),
    ],
)
def test_the_panel(guarded, refused, op, args):
    with refused(guarded, rn.RegistryError):
        actions.perform(op, args, actions.Caller(guarded, {}, lambda _: None))


def test_a_copy_and_a_new_version_land_in_no_stage(guarded):
    copied = guarded.copy("models:/Iris/2", "Iris")
    assert copied.stage == "None"
    assert guarded.register(len, "Iris", aliases=["champion"]).stage == "None"
    assert holders(guarded) == [2]
    assert guarded.version("Iris", "Production").version == 2


def test_an_alias_is_no_stage_and_cannot_be_called_like_one(guarded, refused):
    with refused(guarded, rn.Invalid, "cannot be an alias"):
        guarded.alias("Iris", "production", 3)
    guarded.alias("Iris", "live", 3)
    assert guarded.load("models:/Iris@live").predict([0]) == [3]
    assert guarded.load("models:/Iris/Production").predict([0]) == [2]


def test_another_name_does_not_lose_the_policy(guarded):
    guarded.rename("Iris", "Flower")
    with pytest.raises(PolicyFailed):
        guarded.promote("Flower", 3)
    guarded.rename("Flower", "Iris")
    with pytest.raises(PolicyFailed):
        guarded.promote("Iris", 3)


def test_a_rollback_brings_back_only_what_held_the_stage(guarded, refused):
    with refused(guarded, rn.Refused, "cannot be rolled back to 3"):
        guarded.rollback("Iris", to=3)
    assert guarded.rollback("Iris").version == 1


def test_two_processes_that_race_do_not_get_past_it(guarded, python):
    python(
        """
        import sys, registry_nb as rn
        registry = rn.Registry(sys.argv[1], user="Grace")
        for _ in range(20):
            try:
                registry.promote("Iris", 3)
            except rn.Refused:
                continue
            raise SystemExit("it was promoted")
        """,
        guarded.uri,
    )
    assert holders(guarded) == [2]
