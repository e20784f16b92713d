"""The files of a run: logged, listed, and copied out again. Their bytes live where those of models do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from registry_nb.domain.records import File, Run
from registry_nb.domain.validation import checked_path
from registry_nb.errors import Invalid, NotFound, Refused, close, listed, printable
from registry_nb.operations.runs import Tracking
from registry_nb.stores import Artifacts, disk, streams
from registry_nb.stores.used import files_of

_WHAT = "the path of a file in a run"


class Entry(NamedTuple):
    """A file or a folder of a run; `size` is None for a folder, and for a file that is stored compressed."""

    path: str
    is_folder: bool
    size: int | None


def log_path(tracking: Tracking, local: str, folder: str = "", *, run_id: str | None = None) -> None:
    """Keep a file, or a folder under its own name, in a folder of a run."""
    local = os.path.abspath(os.path.expanduser(local))
    if os.path.isdir(local):
        log_folder(tracking, local, _under(folder, os.path.basename(local)), run_id=run_id)
    else:
        _log(tracking, [(local, _under(folder, os.path.basename(local)))], run_id)


def log_folder(tracking: Tracking, local: str, folder: str = "", *, run_id: str | None = None) -> None:
    """Keep everything in a folder in a folder of a run; empty folders are not kept."""
    local = os.path.abspath(os.path.expanduser(local))
    if not os.path.isdir(local):
        raise Invalid(f"{printable(local)} is not a folder; log_artifact() takes a file")
    _log(tracking, _within(local, folder), run_id)


def log_made(tracking: Tracking, path: str, make: Callable[[str], object], *, run_id: str | None = None) -> None:
    """Keep a file that a function writes, under the path in a run; its name has the same suffix."""
    checked_path(path, _WHAT)
    with tracking.artifacts.drafting() as folder:
        source = os.path.join(folder, f"made{os.path.splitext(path)[1]}")
        make(source)
        _log(tracking, [(source, path)], run_id)


def entries(run: Run, folder: str = "") -> list[Entry]:
    """List a folder of a run: the files that were logged, and those of its models; by path."""
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found: dict[str, Entry] = {}
    for path, file in _paths(run).items():
        if path.startswith(prefix):
            name, inner, _ = path[len(prefix) :].partition("/")
            size = None if inner or file.codec else file.size
            found[name] = Entry(prefix + name, bool(inner), size)
    return [found[name] for name in sorted(found)]


def fetch(artifacts: Artifacts, run: Run, path: str, target: str) -> str:
    """Copy a file or a folder of a run, or all of it, into a folder; verified. Return where it is."""
    path = path.strip("/")
    every = _paths(run)
    wanted = {name: file for name, file in every.items() if not path or name == path or name.startswith(f"{path}/")}
    if path and not wanted:
        there = f"(files: {listed(every)})" if every else "(it logged no file)"
        raise NotFound(f"run {run.run_id} has no file {path!r}{close(path, every)} {there}")
    for name, file in wanted.items():
        place = os.path.join(target, *checked_path(name, _WHAT).split("/"))  # whoever wrote the record
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with artifacts.open(file) as source, open(place, "wb") as copy:
            shutil.copyfileobj(source, copy)
    return os.path.join(target, *path.split("/")) if path else target


def _paths(run: Run) -> dict[str, File]:
    models = {f"{path}/{file.path}": file for path, saved in run.models.items() for file in files_of(saved)}
    return {**models, **{file.path: file for file in run.artifacts}}


def _within(local: str, folder: str) -> Iterator[tuple[str, str]]:
    """Return the files of a folder with their paths in the run."""
    for parent, folders, names in os.walk(local):
        folders.sort()
        for name in folders:
            if os.path.islink(place := os.path.join(parent, name)):
                raise Invalid(f"{printable(place)} is a link to a folder; log the folder itself")
        inner = os.path.relpath(parent, local).replace(os.sep, "/")
        for name in sorted(names):
            yield os.path.join(parent, name), _under(folder if inner == "." else _under(folder, inner), name)


def _under(folder: str, name: str) -> str:
    """Join a folder of a run and a name; a slash at the end of the folder does not count."""
    folder = folder.removesuffix("/")
    return checked_path(f"{folder}/{name}" if folder else name, _WHAT)


def _log(tracking: Tracking, sources: Iterable[tuple[str, str]], run_id: str | None) -> None:
    """Keep files under their paths in a run, in one commit; a path that is there gets the new file."""
    sources = list(sources)
    for local, _ in sources:
        if not os.path.isfile(local):
            exists = "is neither a file nor a folder" if os.path.lexists(local) else "does not exist"
            raise NotFound(f"{printable(local)} {exists}, so it cannot be kept with a run")
    if not sources:
        return
    run_id = tracking.current(run_id)
    with tracking.artifacts.writing():
        new = {file.path: file for file in _stored(tracking.artifacts, sources)}

        def change(run: Run) -> Run:
            kept = {file.path: file for file in run.artifacts} | new
            for path in new:
                _refuse_both(run, path, kept)
            return replace(run, artifacts=tuple(kept.values()))

        tracking.change(run_id, change)


def _stored(artifacts: Artifacts, sources: Sequence[tuple[str, str]]) -> tuple[File, ...]:
    """Store files under their paths: each is read once, and the disk syncs one while the next is read."""
    try:
        return streams.put_all(artifacts, [_source(*each) for each in sources], lambda: None)
    except Invalid:  # a log that grows, or a file below /proc, whose size is not what it says: as it is when copied
        with artifacts.drafting() as folder:
            copies = [
                (shutil.copyfile(local, os.path.join(folder, str(number))), path)
                for number, (local, path) in enumerate(sources)
            ]
            return streams.put_all(artifacts, [_source(*each) for each in copies], lambda: None)


def _source(local: str, path: str) -> streams.Source:
    return streams.Source(path, local, os.path.getsize(local), lambda: disk.open_regular(local))


def _refuse_both(run: Run, path: str, kept: dict[str, File]) -> None:
    """Refuse a path that would be a file and a folder at once, or within a model."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if model := next((name for name in above if name in run.models), None):
        raise Refused(f"{model!r} is a model of run {run.run_id}, which does not change; give {path!r} another path")
    other = next((name for name in above[:-1] if name in kept), None)
    other = other or next((name for name in kept if name.startswith(f"{path}/")), None)
    if other:
        raise Refused(f"{path!r} cannot be kept beside {other!r}: one of them would be a file and a folder")
