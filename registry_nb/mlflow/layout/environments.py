"""What a model needs, as the three files that MLflow writes beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from registry_nb.errors import Invalid, NotFound, shown
from registry_nb.packaging import environment

__all__ = ["CONDA", "PYTHON", "REQUIREMENTS", "lines_of", "required", "requirements_in", "text_of", "write"]

REQUIREMENTS, CONDA, PYTHON = "requirements.txt", "conda.yaml", "python_env.yaml"
#: MLflow's server of the model needs it, and the model does not.
_MLFLOW = "mlflow"
#: A line of pip that names another file, and a label of a build, such as ``+cpu``, that no index has.
_FILE = re.compile(r"(-r|--requirement|-c|--constraint)\s*=?\s*(.+)")
_LABEL = re.compile(r"(==\s*[^\s;,+]+)\+[A-Za-z0-9._-]+")
#: How deep files may name files: further is a loop.
_DEPTH = 10


def write(folder: str, needed: Iterable[str], options: Mapping[str, Any]) -> None:
    """Write the files.

    Parameters
    ----------
    folder : str
    needed : iterable of str
        The requirements of the modules that the model imports.
    options : mapping
        ``conda_env``, ``pip_requirements`` and ``extra_pip_requirements`` of MLflow's ``save_model``.
    """
    given, extra = options.get("pip_requirements"), options.get("extra_pip_requirements")
    conda = options.get("conda_env")
    if conda is not None and (given is not None or extra is not None):
        raise Invalid("conda_env= names all that the model needs; give it, or pip_requirements=, not both")
    if conda is None:
        wanted = [*(needed if given is None else lines_of(given)), *lines_of(extra or ())]
        if not any(line.partition("=")[0].strip() == _MLFLOW for line in wanted):
            wanted = [_MLFLOW, *wanted]
        conda = _conda_of(wanted)
    else:
        conda = conda if isinstance(conda, Mapping) else _yaml_at(os.fspath(conda))
        wanted = _of_conda(conda)
    _write(os.path.join(folder, REQUIREMENTS), "\n".join(wanted))
    _write(os.path.join(folder, CONDA), _yaml(dict(conda)))
    python = {
        "python": environment.python_here(),
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    _write(os.path.join(folder, PYTHON), _yaml(python))


def required(given: Any, extra: Any) -> tuple[list[str] | None, list[str]]:
    """Return the requirements that ``pip_requirements`` and ``extra_pip_requirements`` of ``log_model`` name."""
    return None if given is None else lines_of(given), [] if extra is None else lines_of(extra)


def text_of(requirements: Iterable[str]) -> str:
    """Return the text of an environment of conda with requirements of pip."""
    return _yaml(_conda_of(requirements))


def _conda_of(requirements: Iterable[str]) -> dict[str, Any]:
    dependencies = [f"python={environment.python_here()}", "pip", {"pip": list(requirements)}]
    return {"channels": ["conda-forge"], "dependencies": dependencies, "name": "mlflow-env"}


def requirements_in(folder: str) -> list[str]:
    """Return the requirements that a folder names in one of its files."""
    path = os.path.join(folder, REQUIREMENTS)
    if os.path.isfile(path):
        return _lines_at(path)
    return _of_conda(_yaml_at(os.path.join(folder, CONDA)))


def _of_conda(conda: Mapping[str, Any]) -> list[str]:
    parts = conda.get("dependencies") or []
    pip: list[Any] = next((part["pip"] for part in parts if isinstance(part, dict) and "pip" in part), [])
    return [str(line) for line in pip]


def lines_of(given: Any) -> list[str]:
    """Return requirements: a list of them, or those of a file whose path is given; ``-r file`` is expanded.

    Raises
    ------
    Invalid
        If they are no texts, name a file of constraints, or files name one another in a loop.
    NotFound
        If there is no such file.
    """
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        return _expanded(_lines_at(path), os.path.dirname(path))
    lines = list(given)
    if not all(isinstance(line, str) and line.strip() and "\n" not in line for line in lines):
        raise Invalid("requirements are texts such as 'scikit-learn==1.9.1', or the path of a file with such lines")
    return _expanded(lines, "")


def _expanded(lines: Iterable[str], folder: str, depth: int = 0) -> list[str]:
    """Return the lines with those of the files that they name, as pip looks for them: beside the file that does."""
    found = list[str]()
    for line in lines:
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if named := _FILE.fullmatch(text):
            if named[1] in {"-c", "--constraint"}:
                raise Invalid(f"{shown(text, 300)} is not kept with a model; write the versions into the requirements")
            if depth == _DEPTH:
                raise Invalid(f"{shown(text, 300)} is in a loop of files that name one another")
            path = os.path.join(folder, named[2])
            found += _expanded(_lines_at(path), os.path.dirname(path), depth + 1)
        elif text:
            found.append(text if "://" in text else _LABEL.sub(r"\1", text))
    return found


def _lines_at(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return [line.strip() for line in file if line.strip() and not line.lstrip().startswith("#")]
    except FileNotFoundError:
        raise NotFound(f"there is no file {shown(path, 300)} with requirements") from None


def _yaml_at(path: str) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file.read(1 << 20))
    except FileNotFoundError:
        raise NotFound(f"there is no file {shown(path, 300)} with an environment of conda") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"{shown(path, 300)} is no environment of conda ({shown(str(error), 200)})") from error
    if not isinstance(content, dict):
        raise Invalid(f"{shown(path, 300)} is no environment of conda")
    return content


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    try:
        return str(yaml.safe_dump(dict(content), default_flow_style=False, sort_keys=False))
    except yaml.YAMLError as error:
        raise Invalid(f"conda_env= has to be plain data ({shown(str(error), 200)})") from error


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
