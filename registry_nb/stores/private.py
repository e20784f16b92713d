"""Files that no other account can change: a proof for an open file, a private copy, and a folder for a draft.

Other accounts may write to a registry's folder. An account that may write a file can change it after it was hashed and
before it is read; one that may write a folder can replace a draft that is being written. So

- bytes are read in place only if the *kernel* confirms that no process has the file open for writing (it grants a lease
  only then, and counts mapped memory), and the file's owner and mode let no other account open it. This stays true
  until this user changes it. The modes of the folders above prove less: a file that a group could write for a moment,
  as a draft, may still be open;
- other bytes are copied while they are hashed, and the copy is read. It has no name, and is in the folder for temporary
  files. Memory (``memfd``) was an alternative: a model of 10 GB would take 20 GB. The registry's own folder was
  another: reading a registry would write to it, perhaps over a network;
- a draft is a folder that only this user may enter. It is used by its descriptor, which stays the same folder if its
  name is changed (on Linux; elsewhere it is used by its name).
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from registry_nb.errors import LockTimeout, StorageError, in_bytes
from registry_nb.stores import disk
from registry_nb.stores.lock import Shield

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: The end of the name of a draft that its writer locks; earlier releases did not lock theirs.
_HELD = "-held"
_OTHERS = "of a model that other accounts may change have to be copied"


def is_ours_alone(fd: int) -> bool:
    """Whether no other account except root can change an open file as long as its owner and mode stay.

    False without leases (on other systems than Linux, and some file systems).
    """
    if not hasattr(fcntl, "F_SETLEASE") or not hasattr(os, "geteuid"):
        return False
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # if a writer comes now: ignored, unlike SIGIO
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        finally:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:  # it is open for writing, or the file system has no leases
        return False
    return True


@contextmanager
def room(size: int) -> Iterator[IO[bytes]]:
    """Make a file without a name for a copy of so many bytes; the reader closes it, an exception closes it here."""
    folders = _temporary_folders()
    folder = next((folder for folder in folders if _free(folder) >= size), None)
    if folder is None:
        raise _no_room(size, folders, _OTHERS)
    with Shield():
        copy = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # the reader closes it
    try:
        try:
            yield copy
            copy.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise _no_room(size, [folder], _OTHERS) from error
    except BaseException:
        with suppress(OSError):  # its buffer does not fit either
            copy.close()
        raise
    copy.seek(0)


def _temporary_folders() -> list[str]:
    """Return the folders for large temporary files: the user's choice, else one that is not in memory."""
    folders = []
    if not any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")) and os.access("/var/tmp", os.W_OK):  # noqa: S108  # no name is made in it
        folders.append("/var/tmp")  # noqa: S108
    with suppress(FileNotFoundError):  # nothing can be written to any of them
        folders.append(tempfile.gettempdir())
    return folders


def _free(folder: str) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _no_room(size: int, folders: list[str], what: str) -> StorageError:
    where = " or ".join(folders) or "this machine"
    return StorageError(
        f"{in_bytes(size)} {what} first, and {where} has no room for them; set TMPDIR to a folder that has; "
        "nothing was loaded",
        path=folders[0] if folders else None,
        reason="no room for a private copy",
    )


def lasting(size: int) -> tuple[str, Callable[[], None]]:
    """Make a folder for so many bytes, which only this user may enter, and return what removes it.

    It is among the temporary files, and locked: the next one that is made removes those of killed processes.
    """
    folders = _temporary_folders()
    folder = next((folder for folder in folders if _free(folder) >= size), None)
    if folder is None:
        raise _no_room(size, folders, "of files have to be copied")
    with disk.storage_errors(folder, "writing to"):
        remove_abandoned(folder)
        with Shield():
            path, fd = _make_draft(folder)
    mine = os.getpid()

    def remove() -> None:
        if os.getpid() == mine:  # in a child process it is the parent's
            _remove_draft(path, fd)

    return path, remove


@contextmanager
def drafting(folder: str) -> Iterator[str]:
    """Make a folder that only this user may enter, locked until it is removed at the end of the block."""
    path, fd = "", -1
    try:
        with Shield():  # it delivers postponed signals here, inside the `try`
            path, fd = _make_draft(folder)
        yield _by_descriptor(path, fd)
    finally:
        with Shield():  # an interrupt in the middle would leave a descriptor open
            if path:
                _remove_draft(path, fd)


def is_abandoned(path: str) -> bool:
    """Whether a draft is this user's, and its writer has ended without removing it."""
    return _is_dead(path, remove=False)


def remove_abandoned(folder: str) -> None:
    """Remove the drafts of this user's killed writers from a folder."""
    with suppress(OSError):
        for name in filter(is_held, os.listdir(folder)):
            remove_if_abandoned(os.path.join(folder, name))


def remove_if_abandoned(path: str) -> bool:
    """Remove the draft of a killed writer of this user; return whether it was one."""
    with Shield():
        return _is_dead(path, remove=True)


@contextmanager
def alone_in(folder: str) -> Iterator[bool]:
    """Stop other processes from starting to `share` a folder, unless one does already; yield whether none does."""
    fd = -1
    try:
        with Shield(), suppress(OSError):
            fd = _open_folder(folder) if fcntl is not None else -1
        yield fd >= 0 and _lock(fd) is True
    finally:
        if fd >= 0:
            unlock(fd)


def share(folder: str, timeout: float) -> int:
    """Let no process be `alone_in` a folder until the returned descriptor is unlocked; -1 if that is not possible."""
    if fcntl is None:
        return -1
    fd, deadline = _open_folder(folder), time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockTimeout(path=folder, seconds=timeout) from None
                time.sleep(0.01)
            except OSError:  # a file system without such locks
                os.close(fd)
                return -1
            else:
                return fd
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        raise


def unlock(fd: int) -> None:
    """Release a lock explicitly: a forked child would keep it with its copy of the descriptor."""
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def is_held(name: str) -> bool:
    """Whether a name is that of a draft that its writer locks."""
    return fcntl is not None and name.startswith(disk.DRAFT) and name.endswith(_HELD)


def _make_draft(folder: str) -> tuple[str, int]:
    while True:
        path = os.path.join(folder, f"{disk.DRAFT}{uuid.uuid4().hex}{_HELD}")
        os.mkdir(path, 0o700)
        if fcntl is None:  # Windows opens no folders; its access list is inherited
            return path, -1
        try:
            fd = _open_folder(path)
        except FileNotFoundError:  # another process just removed it as abandoned
            continue
        try:
            if os.fstat(fd).st_uid != os.geteuid() and disk.knows_owners(path):
                raise StorageError(f"another account replaced the folder {path}; nothing was saved", path=path)
            if _lock(fd) is not False and _is_there(path, fd):
                return path, fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        with suppress(OSError):
            os.rmdir(path)


def _remove_draft(path: str, fd: int) -> None:
    if fd < 0:
        for place, _, names in os.walk(path):
            for name in names:
                with suppress(OSError):
                    os.chmod(os.path.join(place, name), 0o600)  # Windows removes no file that is read-only
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        with suppress(OSError):
            os.fchmod(fd, 0o700)  # a finished one is read-only
            for name in os.listdir(fd):
                try:
                    os.unlink(name, dir_fd=fd)
                except OSError:  # a folder
                    for _, _, _, inside in os.fwalk(name, dir_fd=fd):
                        os.fchmod(inside, 0o700)
                    shutil.rmtree(name, ignore_errors=True, dir_fd=fd)
        if _is_there(path, fd):
            with suppress(OSError):
                os.rmdir(path)
    finally:
        unlock(fd)


def _is_dead(path: str, *, remove: bool) -> bool:
    """Whether a draft is this user's and not locked, so that its writer has ended; perhaps remove it."""
    try:
        fd = _open_folder(path)
    except OSError:  # another account's, or gone
        return False
    dead = False
    try:
        dead = os.fstat(fd).st_uid == os.geteuid() and _lock(fd) is True
    finally:
        if dead and remove:
            _remove_draft(path, fd)
        else:
            os.close(fd)
    return dead


def _lock(fd: int) -> bool | None:
    """Lock a folder; None where the file system has no such locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _open_folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_there(path: str, fd: int) -> bool:
    """Whether a path still leads to an open folder."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _by_descriptor(path: str, fd: int) -> str:
    """Return a path to an open folder that does not depend on its name, also in this user's subprocesses."""
    stable = f"/proc/{os.getpid()}/fd/{fd}"
    return stable if fd >= 0 and os.path.isdir(stable) else path
