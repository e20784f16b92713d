"""The map in CONTRIBUTING shows every room, and the README's tour every verb."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "registry_nb"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")


def the_map():
    """The paths that the fenced map names."""
    (drawn,) = re.findall(r"```text\n(registry_nb/\n.*?)```", CONTRIBUTING, re.DOTALL)
    found, folder = [], ""
    for line in drawn.splitlines()[1:]:
        entry = re.match(r"(│   )?[├└]── (\S+)", line)
        if not entry:
            continue
        folder = folder if entry[1] else ""
        found.append(f"{folder}{entry[2]}")
        if entry[2].endswith("/"):
            folder = entry[2]
    return found, drawn


def missing(drawn_paths, drawn_text, modules):
    """The modules that the map leaves out: each has a line of its own, or stands in the line of its folder."""
    absent = []
    for module in modules:
        folder, name = module.parent.as_posix(), module.name
        if name == "__init__.py" and folder != ".":
            if f"{folder}/" not in drawn_paths and not any(path.startswith(f"{folder}/") for path in drawn_paths):
                absent.append(str(module))
        elif module.as_posix() not in drawn_paths:
            line = re.search(rf"[├└]── {re.escape(folder)}/\s(.*)", drawn_text)
            if not line or not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", line[1]):
                absent.append(str(module))
    return absent


def modules():
    """The rooms: below the first floor of folders, a folder is one room."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE)
        if module.parts[0] != "mlflow" or len(module.parts) == 1:  # MLflow's import paths are MLflow's to explain
            yield module


def test_the_map_names_every_module():
    paths, drawn = the_map()
    assert len(paths) > 20
    assert missing(paths, drawn, modules()) == []
    assert "mlflow/" in paths


def test_the_map_names_nothing_that_is_not_there():
    paths, drawn = the_map()
    assert [path for path in paths if not (PACKAGE / path).exists()] == []
    inline = re.findall(r"[├└]── (\w+)/\s+(.*)", drawn)
    named = [f"{folder}/{name}" for folder, text in inline for name in re.findall(r"\b\w+\.py", text)]
    assert [name for name in named if not (PACKAGE / name).exists()] == []


def test_a_module_that_is_left_out_is_noticed():
    paths, drawn = the_map()
    new = [Path("novelty.py"), Path("stores/novelty.py"), Path("attic/__init__.py"), Path("flavors/learn.py")]
    assert missing(paths, drawn, new) == list(map(str, new))


def test_the_readme_shows_every_verb_of_the_magic():
    from registry_nb.notebook.verbs import VERBS

    verbs = list(VERBS)
    assert len(verbs) >= 10
    assert [verb for verb in verbs if not re.search(rf"(%registry |[`|·, ]){re.escape(verb)}\b", README)] == []
