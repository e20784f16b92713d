"""The map in CONTRIBUTING names every package and module, in the order of the imports; README names every verb."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "registry_nb"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")


def the_map():
    """The paths that the map names, each with its purpose; two spaces of indentation are one folder."""
    (drawn,) = re.findall(r"```text\nregistry_nb/\n(.*?)```", CONTRIBUTING, re.DOTALL)
    purposes, folders = {}, []
    for line in drawn.splitlines():
        indent, name, purpose = re.fullmatch(r"( +)(\S+) *(.*)", line).groups()
        folders[len(indent) // 2 - 1 :] = [name]
        purposes["".join(folders)] = purpose
    return purposes


def modules():
    """Every package and module; MLflow's import paths below ``mlflow`` are MLflow's to explain."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE)
        if module.name == "__init__.py" and module.parent.parts:
            module = module.parent
        if module.parts[0] != "mlflow" or len(module.parts) == 1:
            yield module


def missing(mapped, found):
    """The lines that the map lacks, ready to be pasted."""
    lines = []
    for module in found:
        path = PACKAGE / module
        name = module.as_posix() + ("/" if path.is_dir() else "")
        if name not in mapped:
            source = path / "__init__.py" if path.is_dir() else path
            docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) if source.exists() else ""
            shown = "  " * len(module.parts) + name.removeprefix(f"{module.parent.as_posix()}/")
            lines.append(f"{shown:<25} {(docstring or '').partition('.')[0]}".rstrip())
    return lines


def test_the_map_names_every_module():
    assert missing(the_map(), modules()) == [], "add these lines to the map in .github/CONTRIBUTING.md"


def test_the_map_names_only_what_exists():
    assert [path for path in the_map() if not (PACKAGE / path).exists()] == []


def test_every_name_in_the_map_has_a_purpose_in_a_few_words():
    assert [path for path, purpose in the_map().items() if not 2 <= len(purpose.split()) <= 16] == []


def test_the_map_has_the_order_of_the_imports():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(each for each in config["tool"]["importlinter"]["contracts"] if each["type"] == "layers")["layers"]
    floor = {name.strip(): height for height, names in enumerate(layers) for name in names.split("|")}
    top = [path.removesuffix(".py").rstrip("/") for path in the_map() if "/" not in path.rstrip("/")]
    heights = [floor[name] for name in top if name != "__init__"]
    assert len(heights) == len(floor)
    assert heights == sorted(heights)


def test_a_module_that_the_map_lacks_is_noticed():
    new = [Path("novelty.py"), Path("stores/novelty.py"), Path("operations/shadow/novelty.py")]
    assert missing(the_map(), new) == ["  novelty.py", "    novelty.py", "      novelty.py"]
    mapped = {path: purpose for path, purpose in the_map().items() if path not in {"operations/", "stores/lock.py"}}
    package, module = missing(mapped, modules())
    assert re.fullmatch(r"  operations/ +\w.*", package)
    assert re.fullmatch(r"    lock\.py +One writer at a time.*", module)


def test_contributing_names_the_folders_of_the_tests():
    (paragraph,) = re.findall(r"^`tests` has .*?\n\n", CONTRIBUTING, re.DOTALL | re.MULTILINE)
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"tests"} == folders


def test_the_readme_names_every_verb_of_the_magic():
    from registry_nb.notebook.verbs import VERBS

    verbs = list(VERBS)
    assert len(verbs) >= 10
    assert [verb for verb in verbs if not re.search(rf"(%registry |[`|·, ]){re.escape(verb)}\b", README)] == []


def test_the_readme_is_short():
    assert len(README.split()) <= 1800
