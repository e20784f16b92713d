"""The system calls on which durability depends, for every platform."""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from registry_nb.errors import StorageError, pass_signals

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: The prefix of drafts, by which the files of a killed writer are recognised.
DRAFT = ".draft-"
#: The end of the name of a file's index.
INDEX = ".index"

#: File systems whose locks, caches or renames guarantee less than a local disk's (Linux's names).
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "gpfs",
    "lustre",
    "beegfs",
    "virtiofs",
    "vboxsf",
    "prl_fs",
}
#: File systems on which the user who mounted them owns every file.
_WITHOUT_OWNERS = {"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "iso9660", "udf"}

#: The kernel's notation for a blank or a backslash in a mount point.
_OCTAL = re.compile(r"\\([0-7]{3})")


def sync(fd: int) -> None:
    """Ask the disk to keep what was written to a descriptor, with the strongest call that the platform has."""
    # The calls are looked up here, not bound at import: the tests of disk faults and power failures replace them.
    if fcntl is not None and hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync stops at the drive's cache
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOTTY, errno.EINVAL):
                raise
            os.fsync(fd)  # a file system that does not know the call
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def sync_file(path: str) -> None:
    """Make the disk keep what was written to a file."""
    fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        sync(fd)
    finally:
        os.close(fd)


def sync_folder(path: str) -> None:
    """Make the disk keep a folder's entries: otherwise a renamed file may be gone after a power failure."""
    if os.name == "nt":
        return  # Windows has no such call; NTFS journals its entries
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, or raise."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def open_regular(path: str) -> IO[bytes]:
    """Open a regular file for reading; pipes and devices, which may never end, are refused."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = os.fstat(fd).st_mode
        if not stat.S_ISREG(kind):
            raise IsADirectoryError(errno.EISDIR, "") if stat.S_ISDIR(kind) else OSError(0, "it is no file")
        return os.fdopen(fd, "rb", buffering=0)
    except BaseException:
        os.close(fd)
        raise


def read_at(fd: int, size: int, position: int) -> bytes:
    """Read from a position; Windows has no ``pread``."""
    if hasattr(os, "pread"):
        return os.pread(fd, size, position)
    os.lseek(fd, position, os.SEEK_SET)
    return os.read(fd, size)


def size_below(path: str) -> int:
    """Return the size of all files below a folder."""
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(path) for name in names)


def read_from(fd: int, position: int) -> bytes:
    """Read all from a position to the end."""
    os.lseek(fd, position, os.SEEK_SET)
    parts = []
    while part := os.read(fd, 1 << 26):
        parts.append(part)
    return b"".join(parts)


def free_path(path: str) -> str:
    """Return a path at which no file exists yet."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = f"{path}-{number}"
    return free


def make_folder(path: str) -> None:
    """Make a folder and its parents, durably."""
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(folder)
        sync_folder(os.path.dirname(folder))


@contextmanager
def draft(target: str, *, like: str | None = None, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file that appears whole or not at all: draft, fsync, rename, fsync of the folder.

    A replaced file's mode and group are kept, or another file's are taken, so that a folder that a group shares stays
    shared. A file that is not `durable` may be gone or torn after a power failure.
    """
    folder, name = os.path.split(target)
    path = os.path.join(folder, f"{DRAFT}{uuid.uuid4().hex}-{name}")
    # Not mkstemp, which ignores the umask: only the owner could read the file.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(fd, "wb", buffering=1 << 20) as file:
            _share_like(file.fileno(), like or target)
            yield file
            file.flush()
            if durable:
                sync(file.fileno())
        os.replace(path, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise
    if durable:
        sync_folder(folder)


def remove_drafts(target: str) -> None:
    """Remove the drafts of a file that killed writers left; only the holder of the writers' lock may call it.

    The draft of an index goes, too, although another process may be writing it without the lock: it then goes without.
    """
    folder, name = os.path.split(target)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            drafted = entry.name[len(DRAFT) + 32 :] if entry.name.startswith(DRAFT) else ""
            if drafted in {f"-{name}", f"-{name}{INDEX}"} or drafted.startswith(f"-{name}.damaged-"):
                with suppress(OSError):
                    os.unlink(entry.path)


def _share_like(fd: int, target: str) -> None:
    if not hasattr(os, "fchmod"):
        return  # Windows: the folder's access list is inherited
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return  # a new file: the kernel applied the umask
    with suppress(OSError):  # only the owner, or a member of the group, may
        os.fchown(fd, -1, old.st_gid)
    os.fchmod(fd, old.st_mode & 0o777)


@contextmanager
def storage_errors(path: str, doing: str) -> Iterator[None]:
    """Raise the operating system's errors as one sentence."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, doing) from error


def storage_error(error: OSError, path: str, doing: str) -> StorageError:
    """Return the operating system's error as one sentence; one that is so already is raised again."""
    if isinstance(error, StorageError):
        raise error
    pass_signals(error)  # a TimeoutError is an OSError, too
    forbidden = "you may not read it" if doing == "reading" else "you may not write there"
    hints = {
        errno.ENOSPC: "the disk is full; make room and try again",
        errno.EDQUOT: "your quota is used up; make room and try again",
        errno.EFBIG: "the file may not grow any further here",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: forbidden,
        errno.EPERM: forbidden,
        errno.ENOENT: "it, or the folder around it, is not there (any more)",
        errno.ENOTDIR: "a file stands where a folder should be",
        errno.EISDIR: "a folder stands where the file should be",
    }
    reason = hints.get(error.errno or 0, f"{error.strerror or error}")
    wrapped = StorageError(f"{doing} {path} failed: {reason}; nothing was changed", path=path, reason=reason)
    wrapped.errno = error.errno
    return wrapped


def is_network(path: str) -> bool:
    """Whether a path is on a network or user-space file system; no if that is unknown."""
    kind = _file_system(path)
    return kind in _NETWORK or kind.startswith("fuse")


def knows_owners(path: str) -> bool:
    """Whether files belong to the users who made them, on the file system of a path; yes if that is unknown."""
    return not is_network(path) and _file_system(path) not in _WITHOUT_OWNERS


def _file_system(path: str) -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            lines = mounts.read().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind
