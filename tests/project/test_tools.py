"""The tools of the house run clean: types, style, layers, docstrings; and no file grew too long or too personal."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from numpydoc.validate import validate

import registry_nb

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "registry_nb"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
#: numpydoc's checks that protect a reader; the rest is ruff's or a matter of taste.
CHECKS = {
    "GL03",  # double blank lines
    "GL06",  # an unknown section
    "GL07",  # sections in the wrong order
    "GL08",  # no docstring
    "PR02",  # a parameter that is not there
    "PR10",  # the blank before the colon is missing
    "SS03",  # a summary without a full stop
}


@pytest.mark.parametrize(
    "tool",
    [
        ["-m", "mypy"],
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "registry_nb", "tests"],
        ["-c", "import sys; from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"],
    ],
    ids=["mypy", "ruff check", "ruff format", "import-linter"],
)
def test_a_tool_has_nothing_to_say(tool):
    found = subprocess.run(
        [sys.executable, *tool], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert found.returncode == 0, found.stdout + found.stderr


def public():
    """Every public function, class, method and property that the package defines, by its import path."""
    names = [registry_nb.__name__]
    names += [each.name for each in pkgutil.walk_packages(registry_nb.__path__, "registry_nb.")]
    for module_name in names:
        if module_name.endswith("__main__"):
            continue
        module = importlib.import_module(module_name)
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module_name:
                continue
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield f"{module_name}.{name}"
            if inspect.isclass(thing):
                for member, value in vars(thing).items():
                    if not member.startswith("_") and (
                        inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
                    ):
                        yield f"{module_name}.{name}.{member}"


def test_everything_public_has_a_docstring_as_numpydoc_asks():
    wrong, seen = [], 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Widget", DeprecationWarning)  # of ipywidgets' own attributes, looked at
        for name in public():
            seen += 1
            wrong += [f"{name}: {code} {text}" for code, text in validate(name)["errors"] if code in CHECKS]
    assert seen > 200
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short_and_says_what_it_is_for(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 600
    assert ast.get_docstring(ast.parse(text)), "a module begins with what it is for"


def committed():
    """Every text file that git has, or that would be added to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:  # a source distribution, or a copy without its history
        kept = [ROOT, *(ROOT / folder for folder in (".github", ".ci", "registry_nb", "tests", "notebooks"))]
        found = [path for folder in kept for path in (folder.glob("*") if folder == ROOT else folder.rglob("*"))]
        found = [path for path in found if "node_modules" not in path.parts]
        return [path for path in found if path.suffix in {".py", ".md", ".toml", ".yml", ".ipynb"} and path.is_file()]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_that_is_committed_names_somebodys_home():
    home = re.compile(rb"(/home/(?!(me|x|ada)\b)|/Users/|[A-Z]:\\Users\\|/root/|/tmp/venv|/work/)\w")
    paths = committed()
    assert len(paths) > 50
    found = [str(path.relative_to(ROOT)) for path in paths if home.search(path.read_bytes()) and path != Path(__file__)]
    assert found == []
