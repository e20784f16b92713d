"""Installed or the user's own: in the layouts that people have."""

import os
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

from registry_nb.flavors import local_modules

ROOT = Path(__file__).parents[2]
#: What a user registers: scikit-learn's estimator, a helper of the user's own, and a function of an installed library.
REGISTER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    import numpy as np
    import registry_nb as rn
    import helper, layout_lib
    from sklearn.linear_model import LogisticRegression

    X, y = np.arange(20.0).reshape(10, 2), [0, 1] * 5
    linear = LogisticRegression().fit(X, y)
    registry = rn.Registry(sys.argv[1])
    registry.register(linear, "Linear", example=X)
    own = helper.Own(layout_lib.Scale(3))
    version = registry.register(own, "Own", example=X)
    by_name = registry.inspect("models:/Own/1").imports
    assert any(name.startswith("layout_lib") for name in by_name), by_name
    assert not any(name.startswith("helper") for name in by_name), by_name
    assert version.size < 20_000, version.size
    print(linear.predict(X).tolist(), own.predict(X))
"""
LOAD = """
    import sys
    import numpy as np
    import registry_nb as rn

    X = np.arange(20.0).reshape(10, 2)
    registry = rn.Registry(sys.argv[1])
    print(registry.load("models:/Linear/1").predict(X).tolist(), registry.load("models:/Own/1").predict(X))
"""
HELPER = """
    class Own:
        def __init__(self, scale):
            self.scale = scale
        def predict(self, X):
            return [float(each) for each in self.scale(X[:, 0])]
"""
LIBRARY = """
    class Scale:
        def __init__(self, by):
            self.by = by
        def __call__(self, values):
            return values * self.by
"""
PROJECT = """
    [build-system]
    requires = ["{builder}"]
    build-backend = "{backend}"
    [project]
    name = "layout-lib"
    version = "1.2"
"""
#: Where numpy, scikit-learn and this package lie in the environment of the tests.
_HERE = [path for path in sys.path if "site-packages" in path] + [str(ROOT)]


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def a_distribution(folder, name="layout_lib"):
    """Install a library of one module as pip does: the module, and its metadata beside it."""
    written(folder / f"{name}.py", LIBRARY)
    about = folder / f"{name}-1.2.dist-info"
    written(about / "METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.2\n")
    written(about / "RECORD", f"{name}.py,,\n{name}-1.2.dist-info/METADATA,,\n")


def an_environment(tmp_path):
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (own,) = folder.glob("lib/python3*/site-packages") if os.name != "nt" else (folder / "Lib" / "site-packages",)
    return python, own


def overlay(tmp_path):
    """`uv run --with`: an environment of its own, whose ``.pth`` adds the site-packages of another."""
    python, own = an_environment(tmp_path)
    a_distribution(own)
    (own / "_overlay.pth").write_text("\n".join(_HERE))
    return python, {}


def path_of_the_environment(tmp_path):
    """A module of a cluster: ``PYTHONPATH=/apps/…/site-packages``."""
    python, _ = an_environment(tmp_path)
    a_distribution(tmp_path / "apps" / "lib" / "site-packages")
    return python, {"PYTHONPATH": os.pathsep.join([str(tmp_path / "apps" / "lib" / "site-packages"), *_HERE])}


def target(tmp_path):
    """`pip install --target vendor`: the distributions lie in a folder of any name."""
    python, _ = an_environment(tmp_path)
    vendor = tmp_path / "vendor"
    a_distribution(vendor)
    for place in map(Path, _HERE[:-1]):
        for entry in place.iterdir():
            if not (vendor / entry.name).exists():
                (vendor / entry.name).symlink_to(entry)
    return python, {"PYTHONPATH": os.pathsep.join([str(vendor), str(ROOT)])}


def editable(tmp_path):
    """An editable install (PEP 660): the metadata says where the project lies, and lists no module."""
    python, own = an_environment(tmp_path)
    project = tmp_path / "library"
    written(project / "src" / "layout_lib.py", LIBRARY)
    about = own / "layout_lib-1.2.dist-info"
    written(about / "METADATA", "Metadata-Version: 2.1\nName: layout-lib\nVersion: 1.2\n")
    written(about / "RECORD", "_layout_lib.pth,,\nlayout_lib-1.2.dist-info/METADATA,,\n")
    written(about / "direct_url.json", f'{{"dir_info": {{"editable": true}}, "url": "{project.as_uri()}"}}')
    (own / "_layout_lib.pth").write_text(str(project / "src"))
    (own / "_overlay.pth").write_text("\n".join(_HERE))
    return python, {}


@pytest.mark.parametrize("layout", [overlay, path_of_the_environment, target, editable])
def test_a_model_is_registered_and_loaded_by_a_fresh_process(layout, tmp_path):
    python, more = layout(tmp_path)
    written(tmp_path / "project" / "helper.py", HELPER)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more

    def run(script, *arguments):
        found = subprocess.run(
            [python, "-c", textwrap.dedent(script), *map(str, arguments)],
            capture_output=True, text=True, env=environment, timeout=300, cwd=tmp_path,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        return found.stdout

    told = run(REGISTER, tmp_path / "r", tmp_path / "project")
    assert told.endswith("]\n")
    assert run(LOAD, tmp_path / "r") == told


# -- the rule itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "installed"),
    [
        ("/usr/lib/python3/dist-packages/numpy/__init__.py", True),
        ("/nix/store/x-numpy/lib/python3.11/site-packages/numpy/__init__.py", True),
        ("/home/ada/project/numpy/__init__.py", False),
        (str(Path(sys.prefix) / "src" / "numpy.py"), False),
        (str(Path(os.__file__).parent / "numpy.py"), True),
    ],
)
def test_where_a_file_lies_tells_whether_it_is_installed(path, installed):
    assert local_modules.is_installed("numpy", path) is installed


def test_a_module_beside_the_metadata_of_a_distribution_is_installed_if_that_names_it(tmp_path):
    a_distribution(tmp_path)
    written(tmp_path / "mine.py", "")
    written(tmp_path / "layout_lib" / "deep.py", "")
    assert local_modules.is_installed("layout_lib", str(tmp_path / "layout_lib.py"))
    assert local_modules.is_installed("layout_lib.deep", str(tmp_path / "layout_lib" / "deep.py"))
    assert not local_modules.is_installed("mine", str(tmp_path / "mine.py"))
    assert not local_modules.is_installed("another", str(tmp_path / "layout_lib.py")), "found by another name"


def test_top_level_names_are_read_where_setuptools_wrote_them(tmp_path):
    written(tmp_path / "thing.egg-info" / "PKG-INFO", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
    written(tmp_path / "thing.egg-info" / "top_level.txt", "other_name\n")
    assert local_modules.is_installed("other_name", str(tmp_path / "other_name" / "__init__.py"))
    assert not local_modules.is_installed("thing", str(tmp_path / "thing.py"))


@pytest.fixture
def an_editable(tmp_path, monkeypatch):
    """Make the metadata of an editable install, whose content the test decides, and put its folder on the path."""

    def make(url, **files):
        site = tmp_path / "site"
        about = site / "notes_lib-1.dist-info"
        written(about / "METADATA", "Metadata-Version: 2.1\nName: notes-lib\nVersion: 1\n")
        written(about / "direct_url.json", url)
        written(about / "RECORD", "".join(f"{name},,\n" for name in files.get("record", ["_x.pth"])))
        if "pth" in files:
            written(site / "_x.pth", files["pth"])
        monkeypatch.syspath_prepend(site)

    return make


def test_helpers_beside_a_package_in_its_own_project_are_the_users(tmp_path, an_editable):
    project = tmp_path / "project"
    written(project / "notes_lib" / "__init__.py", "")
    helper = written(project / "helper.py", "")
    an_editable(f'{{"dir_info": {{"editable": true}}, "url": "{project.as_uri()}"}}', pth=str(project))
    assert local_modules.is_installed("notes_lib", str(project / "notes_lib" / "__init__.py"))
    assert not local_modules.is_installed("helper", str(helper))


@pytest.mark.parametrize(
    "url",
    [
        'no json but "editable"',
        '{"dir_info": {"editable": true}}',
        '{"dir_info": {"editable": false}, "url": "file:///x"}',
    ],
)
def test_metadata_that_does_not_read_makes_nothing_installed(tmp_path, an_editable, url):
    an_editable(url, record=["_lost.pth"])
    assert not local_modules.is_installed("notes_lib", str(tmp_path / "project" / "notes_lib.py"))


def test_a_path_file_that_is_gone_names_no_folder(tmp_path, an_editable):
    an_editable(f'{{"dir_info": {{"editable": true}}, "url": "{tmp_path.as_uri()}"}}', record=["_lost.pth"])
    assert local_modules.is_installed("notes_lib", str(tmp_path / "notes_lib.py"))


def test_the_place_of_a_module_is_told_without_importing_it(tmp_path, monkeypatch):
    written(tmp_path / "place_of_mine.py", "raise AssertionError('imported')\n")
    written(tmp_path / "space_of_mine" / "inner.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    assert local_modules.location("place_of_mine") == str(tmp_path / "place_of_mine.py")
    assert local_modules.location("space_of_mine") == str(tmp_path / "space_of_mine")
    assert [local_modules.location(name) for name in ("json", "numpy", "registry_nb", "nothing_here")] == [None] * 4
    monkeypatch.setitem(sys.modules, "without_a_spec", type(sys)("without_a_spec"))
    assert local_modules.location("without_a_spec") is None
