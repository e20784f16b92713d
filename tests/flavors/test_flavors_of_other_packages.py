"""A package that is installed beside this one adds a flavor with an entry point; a broken one disturbs nothing."""

import os
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: A flavor whose models are data: a factor in JSON.
FLAVOR = """
    import json, os
    from registry_nb.flavors.untrusted import trial_load
    from registry_nb.flavors.untrusted.audit import Audit

    class Factor:
        def __init__(self, factor):
            self.factor = factor

        def predict(self, rows):
            return [self.factor * row for row in rows]

    def owns(model):
        return isinstance(model, Factor)

    def save(model, folder, example):
        with open(os.path.join(folder, "factor.json"), "w") as file:
            json.dump(model.factor, file)

    def audit(files):
        return Audit("data", modules=("factor_registry",))

    def load(files, *, restricted):
        if restricted:
            trial_load.survives(examine, files)
        return Factor(json.loads(files.read("factor.json")))

    def examine(files):
        load(files, restricted=False).predict([1])

    def predict(model, data):
        return model.predict(list(data))
"""
LATE = 'print(any(name.endswith("_registry") for name in __import__("sys").modules))'


@pytest.fixture
def installed(tmp_path, python):
    """Put distributions on the path of fresh processes, and run scripts there in an empty registry."""
    folders = []

    def install(name, code="", *, flavor=None, to=None):
        folder = tmp_path / f"site of {name}"
        about = folder / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (folder / f"{name}_registry.py").write_text(textwrap.dedent(code))
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "top_level.txt").write_text(f"{name}_registry\n")
        (about / "entry_points.txt").write_text(
            f"[registry_nb.flavors]\n{flavor or name} = {to or name + '_registry'}\n"
        )
        folders.append(str(folder))

    def run(script, **environment):
        head = "import warnings; import registry_nb as rn; registry = rn.Registry('registry', user='ada')\n"
        path = os.pathsep.join([str(ROOT), *folders])
        return python(head + textwrap.dedent(script), cwd=tmp_path, PYTHONPATH=path, **environment).strip()

    install.run = run
    return install


def test_a_model_of_another_packages_flavor_is_registered_promoted_loaded_and_predicts(installed, tmp_path):
    installed("factor", FLAVOR)
    script = """
        from factor_registry import Factor
        version = registry.register(Factor(3), "M", example=[1, 2])
        print(version.flavor, *version.requirements)
        registry.promote("M", 1)
    """
    assert installed.run(script) == "factor factor==1.0"
    loads = """
        loaded = registry.load("models:/M/Production")
        print(loaded.predict([1, 2]), loaded.answer([4]), loaded.origin, registry.inspect("models:/M/1").kind)
    """
    assert installed.run(loads) == "[3, 6] [12] local data"
    stranger = installed.run(loads, REGISTRY_NB_HOME=str(tmp_path / "other keys"))
    assert stranger == "[3, 6] [12] foreign data"


def test_a_model_whose_flavor_is_not_installed_here_names_the_package(installed, python, tmp_path):
    installed("factor", FLAVOR)
    installed.run("from factor_registry import Factor; registry.register(Factor(3), 'M')")
    found = python(
        """
        import registry_nb as rn
        try:
            rn.Registry("registry").load("models:/M/1")
        except rn.RegistryError as error:
            print(error)
        """,
        cwd=tmp_path,
    )
    assert "factor" in found
    assert "install" in found


def test_no_package_replaces_one_of_our_flavors(installed):
    greedy = FLAVOR.replace("return isinstance(model, Factor)", "return True")
    installed("greedy", greedy)
    installed("other", greedy, flavor="sklearn")
    script = """
        from sklearn.linear_model import LinearRegression
        model = LinearRegression().fit([[0], [1]], [0, 1])
        print(registry.register(model, "M").flavor)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            model.factor = 2
            print(registry.register(model, "M", flavor="greedy").flavor)
        print(*[str(each.message) for each in warned])
    """
    first, second, warned = installed.run(script).splitlines()
    assert (first, second) == ("sklearn", "greedy")
    assert warned == "the flavor 'sklearn' of the package other 1.0 is ignored: it would replace registry_nb's own"


def test_of_two_packages_with_one_name_the_first_on_the_path_has_it(installed):
    installed("factor", FLAVOR)
    installed("second", "raise ValueError('never imported')", flavor="factor")
    script = """
        from factor_registry import Factor
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            print(registry.register(Factor(3), "M").flavor)
        print(*[str(each.message) for each in warned])
    """
    flavor, warned = installed.run(script).splitlines()
    assert flavor == "factor"
    assert warned.startswith("the flavor 'factor' of the package second 1.0 is ignored")


@pytest.mark.parametrize(
    ("code", "to", "reason"),
    [
        ("raise ImportError('no such library')", None, "ImportError: no such library"),
        ("def owns(model): return True", None, "TypeError: it has no save(), audit(), load(), predict()"),
        ("", "broken_registry:flavor", "AttributeError: module 'broken_registry' has no attribute 'flavor'"),
    ],
    ids=["import", "functions", "object"],
)
def test_a_broken_flavor_is_one_warning_and_an_error_for_who_names_it(installed, code, to, reason):
    installed("broken", code, to=to)
    installed("factor", FLAVOR)
    script = """
        from factor_registry import Factor
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            print([registry.register(model, "M").flavor for model in (lambda X: X, Factor(2), len)])
        print(*[str(each.message) for each in warned])
        try:
            registry.register(len, "M", flavor="broken")
        except rn.Invalid as error:
            print(error)
    """
    flavors, *sentences = installed.run(script).splitlines()
    assert flavors == "['pyfunc', 'factor', 'pyfunc']"
    broken = f"the flavor 'broken' of the package broken 1.0 cannot be used ({reason}); repair or uninstall the package"
    assert sentences == [broken, broken]


def test_a_flavor_that_fails_when_it_is_asked_is_passed_over_with_a_warning(installed):
    installed("rude", FLAVOR.replace("return isinstance(model, Factor)", "raise KeyError(model)"))
    script = """
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            print(registry.register(len, "M").flavor)
        print(*[str(each.message) for each in warned])
    """
    flavor, warned = installed.run(script).splitlines()
    assert flavor == "pyfunc"
    assert warned.startswith("the flavor 'rude' of the package rude 1.0 is skipped: owns() raised KeyError: ")


def test_an_object_may_be_a_flavor_and_derive_its_defaults_from_the_port(installed):
    installed(
        "derived",
        FLAVOR
        + """
    from registry_nb.flavors import Flavor

    class Derived(Flavor):
        owns, save, audit = staticmethod(owns), staticmethod(save), staticmethod(audit)
        load, predict = staticmethod(load), staticmethod(predict)

    flavor = Derived()
    """,
        to="derived_registry:flavor",
    )
    script = """
        from derived_registry import Factor
        registry.register(Factor(3), "M", example=[1])
        print(registry.load("models:/M/1").predict([1, 2]), registry.version("M", 1).flavor)
    """
    assert installed.run(script) == "[3, 6] derived"


def test_mlflows_doors_point_to_register_for_a_flavor_that_mlflow_has_no_module_for(installed):
    installed("factor", FLAVOR)
    script = """
        import registry_nb.mlflow as mlflow
        from factor_registry import Factor
        mlflow.set_tracking_uri("registry")
        try:
            mlflow.sklearn.log_model(Factor(2))
        except rn.RegistryError as error:
            print(error)
    """
    assert "it is not scikit-learn's, but factor's; use registry_nb.register()" in installed.run(script)


def test_other_packages_are_imported_only_when_none_of_our_own_flavors_owns_a_model(installed):
    installed("factor", FLAVOR)
    script = f"""
        from sklearn.linear_model import LinearRegression
        registry.register(LinearRegression().fit([[0], [1]], [0, 1]), "M")
        {LATE}
        registry.register(len, "M")
        {LATE}
    """
    assert installed.run(script).split() == ["False", "True"]
