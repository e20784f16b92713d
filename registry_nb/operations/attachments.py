"""attach, attachment: what stands beside a version, such as a report, a picture or a tokenizer.

It is stored as the bytes of models are, verified when it is read, and never run. No seal covers it: a model does not
depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.records import ModelVersion
from registry_nb.errors import NotFound, close, listed, printable, shown
from registry_nb.operations import resolve


def attach(context: Context, uri: str, files: Mapping[str, Any], *, because: str = "") -> ModelVersion:
    """Put files beside a registered version, or take them away.

    Parameters
    ----------
    uri : str
        Of a version: ``models:/Name/3``, ``models:/Name/Stage`` or ``models:/Name@alias``.
    files : mapping of str to object
        Names and contents: a path is copied; text is written as UTF-8, bytes as they are; a figure of matplotlib or
        plotly, a picture of PIL and a frame of pandas or polars by the suffix of the name; a dict or a list as JSON.
        A name that is there already is replaced, and None takes it away. At most 100 files of 100 MB each.
    because : str
        The reason, for the history.

    Returns
    -------
    ModelVersion
        As it is now: its ``attachments`` are the names and the stored files.

    Raises
    ------
    NotFound
        If the URI names no version, or a file that is to go is not there.
    Invalid
        If a name cannot be that of a file, or an object cannot be written as one; nothing was attached.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> _ = registry.register(lambda X: [0 for _ in X], "Zero", files={"notes.txt": "# It is always 0"})
    >>> sorted(registry.attach("models:/Zero/1", {"confusion.json": [[9, 1], [2, 8]]}).attachments)
    ['confusion.json', 'notes.txt']
    >>> registry.attachment("models:/Zero/1", "notes.txt").read()
    b'# It is always 0'
    """
    from registry_nb.packaging import contents

    record, stamp = resolve.version_of(context.store, uri), context.stamp(because)
    with context.artifacts.writing():  # until the record is written, too
        new = contents.stored(files, context.artifacts)
        with resolve.changing(context.store, record.name) as tx:
            record = resolve.resolved(tx, record.name, record.version)
            for name in (name for name, file in new.items() if file is None):
                _there(record, name)
            change = lifecycle.attached(record, new, stamp)
            contents.check_names(change.now(record).attachments)
            context.apply(tx, change)
            return change.now(record)


def attachment(context: Context, uri: str, name: str) -> IO[bytes]:
    """Open a file that stands beside a version, for reading; its bytes are verified.

    Parameters
    ----------
    uri : str
        Of a version.
    name : str

    Returns
    -------
    binary file
        To be closed by the caller, or by ``with``.

    Raises
    ------
    NotFound
        If the URI names no version, or nothing of this name stands beside it.
    Corrupted
        If the bytes are not those that were attached.
    """
    record = resolve.version_of(context.store, uri)
    return context.artifacts.open(record.attachments[_there(record, name)])


def _there(record: ModelVersion, name: object) -> str:
    if isinstance(name, str) and name in record.attachments:
        return name
    names = list(record.attachments)
    there = f"its attachments: {listed(names)}" if names else f"it has none; attach({record.uri!r}, …) adds one"
    raise NotFound(f"{printable(record.uri)} has no attachment {shown(name)}{close(str(name), names)} ({there})")
