"""What belongs with a version becomes files: paths, text, bytes, figures, frames and plain data.

Kinds are told by what an object can do, so that no library is imported for them: who has a figure has its library.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from registry_nb.domain import paths
from registry_nb.domain.records import File
from registry_nb.errors import BadName, Invalid, in_bytes, pass_signals, printable, shown
from registry_nb.stores import Artifacts, disk

#: Bytes of one file, and how many files a version may have beside it.
MAX_SIZE, MAX_FILES = 100_000_000, 100
_NAME = "the name of a file"


def stored(files: Mapping[str, Any], artifacts: Artifacts) -> dict[str, File | None]:
    """Store each content as a file of its name; of None, nothing.

    Parameters
    ----------
    files : mapping of str to object
        A path is copied; text is written as UTF-8, bytes as they are; a figure of matplotlib or plotly, a picture of
        PIL and a frame of pandas or polars by the suffix of the name; a dict or a list as JSON.

    Raises
    ------
    Invalid
        For a name that some system cannot have, an object that cannot be written so, or too much of it.
    """
    if not isinstance(files, Mapping):
        raise Invalid(f"files= is a mapping of names to contents, such as {{'report.html': text}}, not {shown(files)}")
    named = {_checked(name): content for name, content in files.items()}
    check_names(named)
    found = dict[str, File | None](dict.fromkeys(named))
    with artifacts.drafting() as folder:
        for place, (name, content) in enumerate((name, one) for name, one in named.items() if one is not None):
            data, path = _bytes_of(name, content), os.path.join(folder, str(place))
            if len(data) > MAX_SIZE:
                most = f"at most {in_bytes(MAX_SIZE)} can stand beside a version"
                raise Invalid(f"{name!r} is too large: {most}; register what is larger as a version of its own")
            with disk.storage_errors(folder, "writing to"), open(path, "wb") as file:
                file.write(data)
            found[name] = artifacts.put(path, name)
    return found


def brought(attachments: Mapping[str, File], source: Artifacts, target: Artifacts) -> dict[str, File]:
    """Copy files, verified, from the artifacts of one registry to those of another."""
    found = dict[str, File]()
    with target.drafting() as folder:
        for place, file in enumerate(attachments.values()):
            path = os.path.join(folder, str(place))
            with source.open(file) as opened, open(path, "wb") as draft:
                shutil.copyfileobj(opened, draft)
            found[file.path] = target.put(path, file.path)
    return found


def check_names(names: Collection[str]) -> None:
    """Refuse too many names, and two of which some systems keep one."""
    if len(names) > MAX_FILES:
        raise Invalid(f"{len(names)} files are too many to stand beside a version; at most {MAX_FILES} can: pack them")
    if pair := paths.clash(names):
        raise Invalid(
            f"{shown(pair[0])} and {shown(pair[1])} differ only by case or the form of their letters, and some systems "
            "take them for one; rename one of them"
        )


def _checked(name: object) -> str:
    """Return the name in NFC, if every system can have a file of this name."""
    if not isinstance(name, str):
        raise BadName(what=_NAME, given=name, reason="it must be text")
    name = unicodedata.normalize("NFC", name)
    if reason := "it is a file, and in no folder" if "/" in name else paths.unsafe(name):
        raise BadName(what=_NAME, given=name, reason=reason)
    return name


def _bytes_of(name: str, content: Any) -> bytes:
    """Return a content as the bytes of a file of this name."""
    if isinstance(content, os.PathLike):
        return _read(name, os.fspath(content))
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, str):
        return content.encode(errors="surrogatepass")
    suffix = name.rpartition(".")[2].lower()
    try:
        data = _shown(suffix, content)
    except Exception as error:
        pass_signals(error)
        reason = f"{type(error).__name__}: {printable(str(error))}"
        raise Invalid(f"{type(content).__name__} cannot be written as {name!r} ({reason})") from error
    if data is None:
        kinds = "a path, text, bytes, a figure, a picture, a frame (.csv, .html, .json, .parquet) or plain data (.json)"
        raise Invalid(f"an object of type {type(content).__name__} cannot be written as {name!r}; give {kinds}")
    return data.encode() if isinstance(data, str) else data


def _shown(suffix: str, content: Any) -> Any:
    """Write an object in the format of a suffix; None if it is of no kind that has this format."""
    if hasattr(content, "columns") and suffix in {"csv", "html", "json", "parquet"}:
        return _frame(suffix, content)
    if hasattr(content, "savefig"):  # matplotlib
        file = io.BytesIO()
        content.savefig(file, format=suffix, bbox_inches="tight")
        return file.getvalue()
    if hasattr(content, "to_html") and suffix == "html":  # plotly, altair, a style of pandas
        return str(content.to_html())
    if suffix == "json" and hasattr(content, "to_json"):
        return str(content.to_json())
    if hasattr(content, "save") and hasattr(content, "getbands"):  # PIL
        file = io.BytesIO()
        content.save(file, format={"jpg": "jpeg"}.get(suffix, suffix))
        return file.getvalue()
    if suffix == "json" and isinstance(content, (dict, list, tuple, int, float, bool)):
        return json.dumps(content, ensure_ascii=False, indent=2, default=_plain)
    return None


def _frame(suffix: str, frame: Any) -> Any:
    """Write a frame of pandas or polars; an index that only counts the rows is left out of tables."""
    file = io.BytesIO()
    if suffix == "parquet":
        (frame.to_parquet if hasattr(frame, "to_parquet") else frame.write_parquet)(file)
        return file.getvalue()
    if not hasattr(frame, "to_csv"):  # polars
        return {"csv": frame.write_csv, "json": frame.write_json}.get(suffix, frame._repr_html_)()
    indexed = type(frame.index).__name__ != "RangeIndex"
    if suffix == "json":
        return frame.to_json(orient="split" if indexed else "records", date_format="iso")
    return {"csv": frame.to_csv, "html": frame.to_html}[suffix](index=indexed)


def _plain(value: Any) -> Any:
    """Write a number or an array of numpy, or a moment, as JSON can."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"an object of type {type(value).__name__} is no plain data")


def _read(name: str, source: str) -> bytes:
    """Read a file, and no more of it than may be kept; a pipe or a device is not waited for."""
    try:
        with disk.open_regular(source) as file:
            return file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with NUL
        reason = getattr(error, "strerror", None) or ("it is no file" if isinstance(error, OSError) else error)
        given = f"{shown(source)}, given for {name!r},"
        raise Invalid(f"{given} cannot be read ({reason}); give a file, or its contents") from None
