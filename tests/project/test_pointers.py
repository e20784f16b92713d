"""Whoever points at a file, a section or a name, in the papers, a notebook or a docstring, points at what is there."""

import ast
import importlib
import importlib.util
import inspect
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "registry_nb"
PAPERS = [ROOT / "README.md", *(ROOT / ".github" / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: What is made when the product or a contributor runs, and stands in no checkout.
MADE = {
    "nul.txt",
    "report.html",
    "notes.txt",
    "roc.png",
    "registry.jsonl",
    "registry.jsonl.lock",
    "model.keras",
    "keras.json",
    "model.ubj",
    "model.txt",
    "model.onnx",
}
MADE |= {
    "my_models/registry.jsonl",
    "top_level.txt",
    "requirements.txt",
    "weights.safetensors",
    "saved_model/",
    "probe.json",
    "signing_key.pem",
}
#: Names of ours that are names of libraries too; what stands below them is the library's.
THEIRS = {"keras", "lightgbm", "onnx", "sklearn", "skops", "tinydb", "torch", "xgboost"}
_PATH = re.compile(r"(?<![\w/$.<>-])((?:[\w.-]+/)*[\w-]+\.(?:py|js|css|md|ipynb|png|toml|jsonl|txt))\b(?![\w/*<(])")
_NAME = re.compile(r"(?<![`\w.])`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(\))?`(?!`)")
_SECTION = re.compile(r"\*([A-Z][^*\n]*)\*\s+(above|below)")


def headings(text):
    """The sections of a paper, and where each of them begins."""
    unfenced = re.sub(r"```.*?```", lambda m: " " * len(m[0]), text, flags=re.DOTALL)
    return {m[1]: m.start() for m in re.finditer(r"^#+ (.*)$", unfenced, re.MULTILINE)}


def prose(path):
    """What a paper or a notebook says, without its outputs, and without the map, which has its own test."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return re.sub(r"```text\nregistry_nb/\n.*?```", "", text, flags=re.DOTALL)
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def docstrings():
    """Each docstring of the package, and the module in which it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield path, text


def stale_paths(text, *folders):
    """The files that a text names, and that lie neither at the root, in the package, nor in one of the folders."""
    here = (ROOT, PACKAGE, *folders)
    named = {m[1] for m in _PATH.finditer(text)} - MADE
    return sorted(name for name in named if not any((folder / name).exists() for folder in here))


def stale_sections(text):
    """Pointers like "*Limits* below", where that section is not there, or lies on the other side."""
    there = headings(text)
    wrong = []
    for m in _SECTION.finditer(text):
        at = there.get(" ".join(m[1].split()))
        if at is None or (at < m.start()) != (m[2] == "above"):
            wrong.append(m[0])
    return wrong


def stale_links(path, text):
    """Links whose file is not there, or whose anchor no heading of that file makes."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)|srcset=\"([^\"]+)\"|src=\"([^\"]+)\"", text):
        target, _, anchor = next(filter(None, link)).partition("#")
        if "://" in target:
            continue
        there = path.parent / target if target else path
        anchors = headings(there.read_text(encoding="utf-8")) if anchor and there.exists() else {}
        slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in anchors}
        if not there.exists() or (anchor and anchor not in slugs):
            wrong.append("".join(link))
    return wrong


def rooms():
    """The modules of the package by their last names, and the classes that they define."""
    found = {"rn": [importlib.import_module("registry_nb")], "registry_nb": [importlib.import_module("registry_nb")]}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] in {"__main__", *THEIRS} or "mlflow" in parts:
            continue
        module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        found.setdefault(module.__name__.rpartition(".")[2], []).append(module)
        for name, thing in vars(module).items():
            if isinstance(thing, type) and thing.__module__ == module.__name__:
                found.setdefault(name, []).append(thing)
    return found


def leads_to(thing, names):
    """Whether a module, a class or an object has a name, and what that is the next one, and so on."""
    for name in names:
        if hasattr(thing, "__path__") and importlib.util.find_spec(f"{thing.__name__}.{name}"):
            importlib.import_module(f"{thing.__name__}.{name}")
        if name in getattr(thing, "__dataclass_fields__", {}) or name in getattr(thing, "__annotations__", {}):
            return True
        if isinstance(thing, type) and f"self.{name}" in inspect.getsource(thing):
            return True
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


def stale_names(text, there):
    """Dotted names in backticks that begin with a module or a class of ours, and lead nowhere."""
    wrong = []
    for dotted in _NAME.findall(text):
        first, *rest = dotted.split(".")
        known = first in there and not _PATH.fullmatch(dotted)
        if known and not any(leads_to(each, rest) for each in there[first]):
            wrong.append(dotted)
    return wrong


@pytest.mark.parametrize("path", [*PAPERS, *NOTEBOOKS], ids=lambda path: path.stem)
def test_what_a_paper_points_at_is_there(path):
    text = prose(path)
    assert stale_paths(text, path.parent) == []
    assert stale_sections(text) == []
    assert stale_links(path, text) == []


def test_every_picture_is_shown_in_a_paper_or_a_notebook():
    text = "\n".join(prose(path) for path in [*PAPERS, *NOTEBOOKS])
    pictures = sorted(path.name for path in (ROOT / ".github").glob("*.png"))
    assert pictures
    assert [name for name in pictures if f".github/{name}" not in text] == []


def test_the_names_in_the_papers_are_names_of_ours(tmp_path):
    there = rooms()
    there["registry"] = there["team"] = [there["rn"][0].Registry(tmp_path)]
    for path in [*PAPERS, *NOTEBOOKS]:
        text = prose(path)
        called = re.findall(r"\b(registry|team|rn)\.(?!py\b)(\w+)", re.sub(r"[\w/.-]+\.jsonl\S*", "", text))
        wrong = [f"{first}.{name}" for first, name in called if not any(hasattr(one, name) for one in there[first])]
        assert (path.name, wrong + stale_names(text, there)) == (path.name, [])


def test_what_a_docstring_points_at_is_there():
    there, found = rooms(), []
    for path, text in docstrings():
        found += [(path.name, stale) for stale in stale_paths(text, path.parent) + stale_names(text, there)]
        found += [(path.name, stale) for stale in stale_sections(text)]
    assert found == []


def test_the_commands_for_contributors_name_tests_that_are_there():
    text = PAPERS[1].read_text(encoding="utf-8")
    commands = re.findall(r"^    (?:[A-Z_]+=\S+ )?python -m pytest (.*?)(?:  +#.*)?$", text, re.MULTILINE)
    named = [word for line in commands for word in line.split() if word.startswith("tests/")]
    assert named
    assert [each for each in named if not (ROOT / each).exists()] == []


@pytest.mark.parametrize(
    ("text", "finder"),
    [
        ("the table of `registry_nb/notebook/spells.py`", stale_paths),
        ("# A\n\nread *B* above\n\n# B\n", stale_sections),
        ("read *C* below\n", stale_sections),
        ("see `rules.approved_of`", lambda text: stale_names(text, rooms())),
        ("see `Registry.demote`", lambda text: stale_names(text, rooms())),
        ("[here](nowhere.md)", lambda text: stale_links(PAPERS[0], text)),
        ("[here](#no-such-section)", lambda text: stale_links(PAPERS[0], text)),
    ],
)
def test_a_stale_pointer_is_noticed(text, finder):
    assert len(finder(text)) == 1
