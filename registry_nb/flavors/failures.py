"""The two errors that every flavor raises: a file that does not read, and a model that cannot be saved."""

from __future__ import annotations

from registry_nb.errors import Corrupted, NotSerializable


def damaged(reason: str, path: str = "the model", remedy: str = "register it again") -> Corrupted:
    """Return the error for a file that is not what the flavor wrote."""
    return Corrupted(path=path, position=None, reason=reason, remedy=remedy)


def cannot_save(model: object, reason: str, remedy: str = "", path: str | None = None) -> NotSerializable:
    """Return the error for a model that could not be loaded again; `path` is the part that is to blame."""
    kind = model if isinstance(model, str) else type(model).__name__
    sentence = f"{kind} cannot be saved: {reason}" + (f"; {remedy}" if remedy else "")
    return NotSerializable(sentence, model=kind, path=path or kind, reason=reason)
