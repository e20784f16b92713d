"""Where a version came from, for its page: cells, facts and identifiers.

The record may have been written by another release, or by hand: malformed entries are shown as they are, under their
own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry_nb.display.cells import brief
from registry_nb.domain.records import ModelVersion

Json = dict[str, Any]

#: Keys that are shown in their own place.
_PLACED = {"notebook", "execution_count", "cell", "cell_id", "slice", "slice_is", "git", "data", "base"}
#: Digits of a short commit hash.
_SHORT = 7


def provenance_of(record: ModelVersion) -> Json:
    """Return ``cells`` (``count`` and ``source`` each), a ``note`` on them, ``facts`` and ``ids`` in pairs."""
    provenance = record.provenance
    cells, completeness = list(_cells(provenance)), provenance.get("slice_is")
    return {
        "cells": cells,
        "note": f"The earlier cells are {completeness}." if len(cells) > 1 and isinstance(completeness, str) else "",
        "facts": [[name, value] for name, value in _facts(provenance) if value],
        "ids": [[name, value] for name, value in _ids(record) if isinstance(value, str) and value],
    }


def _cells(provenance: Mapping[str, Any]) -> Iterator[Json]:
    earlier = provenance.get("slice")
    last = {"count": provenance.get("execution_count"), "source": provenance.get("cell")}
    for cell in [*(earlier if isinstance(earlier, (list, tuple)) else ()), last]:
        if isinstance(cell, Mapping) and isinstance(source := cell.get("source"), str):
            yield {"count": count if type(count := cell.get("count")) is int else None, "source": source}


def _facts(provenance: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    git, data = _mapping(provenance, "git"), _mapping(provenance, "data")
    yield "stands on", _mapping(provenance, "base").get("uri")
    yield "notebook", provenance.get("notebook")
    yield "data", _shape(data)
    yield "columns", brief(", ".join(map(str, names))) if isinstance(names := data.get("names"), (list, tuple)) else ""
    yield "git", _state(git)
    yield "repository", git.get("remote")
    for name, value in provenance.items():
        if name not in _PLACED or (name in {"git", "data", "base"} and not isinstance(value, Mapping)):
            yield name, value


def _shape(data: Mapping[str, Any]) -> str:
    rows, columns, names = (data.get(name) for name in ("rows", "columns", "names"))
    if "problem" in data:
        return f"not described: {data['problem']}"
    if type(rows) is not int:
        return ""
    many = f"{rows:,} {'row' if rows == 1 else 'rows'}"
    if type(columns) is int:
        many += f" \N{MULTIPLICATION SIGN} {columns:,} {'column' if columns == 1 else 'columns'}"
    elif isinstance(names, (list, tuple)):
        many += f" in {len(names)} parts"
    return f"{many}, fingerprinted by a sample" if data.get("sampled") else many


def _state(git: Mapping[str, Any]) -> str:
    commit, branch = git.get("commit"), git.get("branch")
    if not isinstance(commit, str):
        return ""
    where = f"on {brief(branch)}" if isinstance(branch, str) else "on no branch"
    dirty = git.get("dirty")  # missing if git took too long
    state = "" if dirty is None else ", with uncommitted changes" if dirty else ", with nothing uncommitted"
    return f"{commit[:_SHORT]} {where}{state}"


def _ids(record: ModelVersion) -> Iterator[tuple[str, Any]]:
    provenance = record.provenance
    yield "digest of the model", record.digest
    yield "run", record.run_id
    yield "commit", _mapping(provenance, "git").get("commit")
    yield "SHA-256 of the data", _mapping(provenance, "data").get("sha256")
    yield "cell", provenance.get("cell_id")


def _mapping(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = provenance.get(name)
    return value if isinstance(value, Mapping) else {}
