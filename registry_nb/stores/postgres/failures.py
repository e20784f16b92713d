"""The driver's errors as this package's, each with what to do; none has a password."""

from __future__ import annotations

import psycopg
from psycopg import errors

from registry_nb.errors import Conflict, LockTimeout, Refused, RegistryError, StorageError

UNCHANGED = "nothing was changed"
#: How the errors of a pooler in transaction mode look, which mixes up the prepared statements of its clients.
_POOLER = (errors.DuplicatePreparedStatement, errors.InvalidSqlStatementName)

#: How a server, or a pooler, says that it has no connection left. A refused connection has no code, only its sentence.
_CROWDED = ("too many", "remaining connection slots", "no more connections")
_CROWDED_REMEDY = (
    "end kernels that nobody uses, or let the server's administrator raise max_connections or add a pooler, "
    "then try again"
)


class Unreachable(StorageError):
    """The server cannot be reached."""


def failure(error: psycopg.Error, where: str, seconds: float) -> RegistryError:
    """Translate an error; `where` is the registry's address, and `seconds` how long a writer waits."""
    if isinstance(error, errors.LockNotAvailable):
        return LockTimeout(path=where, seconds=seconds)
    if isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure)):
        text = "somebody else is changing the same models in another order; nothing was changed, try again"
        return Conflict(text, name="", stage="", expected=None, found=())
    if isinstance(error, errors.InsufficientPrivilege):
        asks = "ask the registry's owner for the rights of its contributors or approvers"
        return Refused(
            f"{where}: the database does not allow it ({_said(error)}); {asks}", error_code="PERMISSION_DENIED"
        )
    if isinstance(error, _POOLER):
        remedy = "a pooler in transaction mode needs ?prepare=off in the registry's URI"
        return StorageError(f"{where}: {_said(error)}; {UNCHANGED}; {remedy}")
    if isinstance(error, errors.DiskFull):
        remedy = "make room there, then try again"
        return StorageError(f"{where}: the server's disk is full ({_said(error)}); {UNCHANGED}; {remedy}")
    if isinstance(error, (errors.UndefinedTable, errors.InvalidSchemaName)):
        return StorageError(f"{where}: the registry's tables were removed meanwhile ({_said(error)}); {UNCHANGED}")
    return StorageError(f"{where}: PostgreSQL failed ({_said(error)}); {UNCHANGED}")


def timed_out(where: str, seconds: float) -> StorageError:
    """Say that a transaction did nothing for too long."""
    text = f"{where}: nothing happened in a transaction for {seconds:g} s, and the server ended it"
    return StorageError(f"{text}; {UNCHANGED}; do before it what takes long, then try again")


def unreachable(error: psycopg.Error, where: str) -> Unreachable:
    """Say why there is no connection, and what to do if all are taken."""
    said = _said(error)
    remedy = f"; {_CROWDED_REMEDY}" if any(part in said for part in _CROWDED) else ""
    return Unreachable(f"{where} cannot be reached ({said}); {UNCHANGED}{remedy}")


def _said(error: psycopg.Error) -> str:
    """Return the server's own sentence, or the last one of several attempts to connect."""
    primary = error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = primary or next((line for line in reversed(lines) if "failed" in line or "FATAL" in line), "")
    return said or (lines[-1] if lines else type(error).__name__)
