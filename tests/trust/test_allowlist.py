"""The list of names is that of the installed release, covers its estimators, and holds nothing that could do harm."""

import inspect

import make_allowlist
import numpy as np
import pytest

from registry_nb.flavors import making, restricted
from registry_nb.flavors.audit import allowed, current

#: The estimators of scikit-learn that do not load restricted, as a part of the reason.
NOT = {
    "Birch": "norms",
    "BisectingKMeans": "private function",
    "HDBSCAN": "walked natively",
    "PassiveAggressiveClassifier": "not made empty",
    "PassiveAggressiveRegressor": "not made empty",
    "RadiusNeighborsClassifier": "labels",
}
#: What a function that opens files, runs code or imports would use.
HARMFUL = ("open(", "exec(", "eval(", "import_module", "subprocess", "os.", "pickle", "memmap", "joblib.load", "urllib")


@pytest.fixture(scope="module")
def judged():
    return make_allowlist.refused()


def test_the_list_is_that_of_the_installed_release(capsys):
    assert make_allowlist.main(["--check"]) == 0, capsys.readouterr().out


def test_every_estimator_is_covered_or_has_a_reason(judged):
    reasons, unfitted = judged
    for name, why in reasons.items():
        assert name in NOT, f"{name} is new: {why}"
        assert NOT[name] in "; ".join(why)
    assert len(unfitted) <= 4, unfitted


def test_an_estimator_that_is_covered_loads(judged, reload):
    fitted, _ = make_allowlist.estimators()
    assert len(fitted) >= 200
    for name in sorted(set(fitted) - set(judged[0])):
        assert type(reload(fitted[name])) is type(fitted[name])


@pytest.mark.parametrize("name", sorted(allowed()))
def test_no_listed_name_could_do_harm(name):
    if name.partition(":")[0].partition(".")[0] == "sklearn" and not make_allowlist.exists(name):
        pytest.skip("of another release of scikit-learn")
    assert ":" in name
    assert name == current(name)
    assert not set(name) & set("*?. ") - {"."}
    assert make_allowlist.verdict(name) is None
    target = restricted.resolve(name)
    if name in making.MAKERS or isinstance(target, (type, np.ufunc)):
        return  # only made through a maker, or empty; or a function of numbers
    assert name in make_allowlist.FUNCTIONS | make_allowlist.scorers()
    source = inspect.getsource(inspect.unwrap(target))
    code = source.rpartition('"""')[2]
    assert not [word for word in HARMFUL if word in code]


@pytest.mark.parametrize(
    "name", ["sklearn.datasets._base:load_files", "builtins:eval", "numpy:load", "sklearn.base:clone"]
)
def test_the_script_would_not_list_what_could(name):
    assert make_allowlist.verdict(name)
    assert name not in allowed()
