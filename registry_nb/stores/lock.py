"""One writer at a time: a kernel lock between processes, a mutex between threads; Ctrl-C leaks neither.

`filelock` and `portalocker` were the alternatives: they take 70 to 330 µs without contention (this lock 2 µs), poll at
50 ms, and do not protect a commit against the interrupt button, the fault that really happens in notebooks.
"""

from __future__ import annotations

# `signal` wraps this module, and compares each handler with two constants: 10 µs a commit.
import _signal  # type: ignore[import-not-found]
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

from registry_nb.errors import LockTimeout, Refused

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
#: Longest pause between two attempts, in seconds: the fairness of the kernel's own queue costs the time limit.
_MAX_PAUSE = 0.01
#: The threads of this process that hold locks, by the path.
_holders: dict[str, int] = {}

#: Signals whose handlers usually raise: the interrupt button, time-outs, the end of a job. Others are not postponed.
_RAISING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGALRM", "SIGTERM") if hasattr(signal, name))


class Shield:
    """Postpone the interrupt button, a time-out's alarm and SIGTERM while a commit is under way.

    Inside ``with shield:`` such a signal waits; inside ``with shield.lowered():`` it reaches the caller's code at once.
    `check`, and the end of the block, deliver one that waited. Only the main thread receives signals, so in any other
    thread this does nothing.

    The handler also checks the interrupted frame, since a flag cannot be up to date between two statements of this
    package.
    """

    def __init__(self, ours: frozenset[str] = frozenset()) -> None:
        self._ours = ours | {__file__, contextmanager.__code__.co_filename}
        self.waiting: dict[int, FrameType | None] = {}
        self._before: dict[int, Any] = {}
        self._lowered = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            try:
                for number in _RAISING:
                    before = _signal.getsignal(number)
                    if callable(before):  # neither ignored nor a handler in C
                        self._before[number] = before
                        _signal.signal(number, self._handle)
            except BaseException:  # a signal that is not postponed yet
                self._restore(list(self._before))
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._before:
            return
        self._restore(list(self._before))
        if kind is not None and issubclass(kind, KeyboardInterrupt):  # one is enough
            self.waiting.pop(signal.SIGINT, None)
        self.check()

    def _restore(self, numbers: list[int]) -> None:
        if numbers:
            number = numbers.pop()
            try:
                _signal.signal(number, self._before[number])
            finally:  # if the signal comes now
                self._restore(numbers)

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Let signals through to the caller's code."""
        self.check()
        self._lowered = True
        try:
            yield
        finally:
            self._lowered = False

    def check(self) -> None:
        """Deliver the signals that waited."""
        while self.waiting:
            number, frame = self.waiting.popitem()
            self._before[number](number, frame)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._lowered and frame is not None and frame.f_code.co_filename not in self._ours:
            self._before[number](number, frame)
        else:
            self.waiting[number] = frame


class FileLock:
    """An exclusive lock on a file, reentrant, with a time limit; a child process calls `forked`.

    Parameters
    ----------
    protected : str
        The file that only the holder changes. The lock file is beside it; it is created if necessary, and never
        removed, since that would admit two writers.
    timeout : float
        Seconds to wait.
    """

    def __init__(self, protected: str, timeout: float) -> None:
        self.path = f"{protected}.lock"
        self.timeout = timeout
        self._protected = protected
        self._fd = -1
        self._depth = 0
        self._mutex = threading.RLock()

    def acquire(self, shield: Shield) -> None:
        """Wait for the lock, up to the time limit (LockTimeout); for this very thread it would be in vain (Refused)."""
        deadline = time.monotonic() + self.timeout
        while not self._mutex.acquire(timeout=0.1):
            shield.check()
            if time.monotonic() > deadline:
                raise LockTimeout(path=self.path, seconds=self.timeout)
        try:
            if self._depth == 0:
                self._acquire(shield, deadline)
                _holders[self.path] = threading.get_ident()
            self._depth += 1
        except BaseException:
            if self._depth == 0:
                self._forget()  # the failure may have come after the kernel granted the lock
            self._mutex.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        if self._depth == 0:
            return  # a child that was forked inside the transaction never had the lock
        self._depth -= 1
        try:
            if self._depth == 0:
                _holders.pop(self.path, None)
                _unlock(self._fd)
        finally:
            self._mutex.release()

    def close(self) -> None:
        """Forget the file, unless it is locked; the next `acquire` opens it again."""
        with self._mutex:
            if self._depth == 0:
                self._forget()

    def __del__(self) -> None:
        self._forget()  # a notebook that opens a registry often keeps no descriptors

    def _forget(self, close: Callable[[int], None] = os.close) -> None:  # bound now: at exit `os` may be gone first
        fd, self._fd = self._fd, -1
        if fd >= 0:
            close(fd)

    def _acquire(self, shield: Shield, deadline: float) -> None:
        pause = 0.0002
        while True:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _O_CLOEXEC, 0o666)
                self._share()
            if _try_lock(self._fd):
                if self._is_current():
                    return
                self._forget()  # the lock file was removed: other processes use a new one
                continue
            if _holders.get(self.path) == threading.get_ident():
                doing = "this thread is changing the registry by another object already"
                raise Refused(f"{doing}: use the one that has the open batch or transaction, or end its block first")
            if time.monotonic() > deadline:
                raise LockTimeout(path=self.path, seconds=self.timeout)
            shield.check()
            time.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)

    def _is_current(self) -> bool:
        try:
            current, mine = os.stat(self.path), os.fstat(self._fd)
        except FileNotFoundError:
            return False
        return (current.st_ino, current.st_dev) == (mine.st_ino, mine.st_dev)

    def _share(self) -> None:
        """Give the lock file the mode of the journal, for a folder that a group shares."""
        if hasattr(os, "fchmod"):
            with suppress(OSError):  # the journal does not exist yet, or another user owns the file
                mode = os.stat(self._protected).st_mode & 0o777
                if os.fstat(self._fd).st_mode & 0o777 != mode:
                    os.fchmod(self._fd, mode)

    def forked(self) -> None:
        """In a child process: the parent's descriptor and threads do not exist here."""
        self._forget()  # closing does not unlock as long as the parent has it open
        _holders.pop(self.path, None)  # it was the parent's thread, whose number is this one's, too
        self._mutex = threading.RLock()
        self._depth = 0


def _try_lock(fd: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _windows_lock(fd, "LK_NBLCK")
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK):
            return False
        raise
    return True


def _unlock(fd: int) -> None:
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_UN)
    else:
        _windows_lock(fd, "LK_UNLCK")


def _windows_lock(fd: int, how: str) -> None:
    import msvcrt as windows

    msvcrt: Any = windows
    os.lseek(fd, 0, os.SEEK_SET)  # msvcrt locks from the current position on: always the first byte
    msvcrt.locking(fd, getattr(msvcrt, how), 1)
