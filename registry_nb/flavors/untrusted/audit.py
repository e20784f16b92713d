"""What loading a file would do, without loading it: nothing here imports, calls or builds anything.

A pickle is a program for a stack machine. `audit` follows its texts on a stack of texts, so that a detour through the
memo does not hide a name. The result is shown to users. It does not make a pickle safe: names that are harmless one by
one are harmful in combination, so a pickle of unknown origin is always code.
"""

from __future__ import annotations

import os
import pickletools
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from registry_nb.errors import listed, pass_signals, printable

#: A pickle that imports one of these builds functions and classes from code in the file.
_BY_VALUE = ("cloudpickle.cloudpickle:_make_", "types:CodeType", "types:FunctionType", "dill.")
#: Longer arguments are skipped: no name is as long.
_LONG = 1 << 16
#: Characters of a name that are shown.
_LONGEST = 500
#: Operations that are read: the largest real models have fewer, and a file of operations alone would take minutes.
_MOST = 10_000_000
#: Operations that depend on something outside of the file.
_OUTSIDE = {"PERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"}
_MARK = object()
_TEXTS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}


@dataclass(frozen=True, slots=True)
class Audit:
    """What loading a file would import and call.

    Attributes
    ----------
    kind : {"data", "code"}
        ``data``: bytes that a format's own parser reads. ``code``: anything else, including every pickle; loading it
        can run any code.
    imports : tuple of str
        What it would import, as ``module:name``, sorted.
    problems : tuple of str
        What else makes it code, and what could not be read.
    modules : tuple of str
        The modules that it needs, also those that code inside it imports.
    by_value : bool
        Whether it has compiled code, which runs correctly only in the Python that wrote it.

    Examples
    --------
    >>> import io, pickle
    >>> print(audit(io.BytesIO(pickle.dumps(print))))
    Audit(kind='code', imports=('builtins:print',), problems=(), modules=('builtins',), by_value=False)
    """

    kind: Literal["data", "code"]
    imports: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    by_value: bool = False

    @property
    def objection(self) -> str:
        """The reason not to load it if its origin is unknown."""
        parts = [
            "it carries code of its own" if self.by_value else "",
            f"it is {listed(self.problems, 3)}" if self.problems else "",
            f"loading it would import {listed(self.imports, 5)}" if self.imports else "loading it can run any code",
        ]
        return ", and ".join(filter(None, parts))


def audit(file: IO[bytes]) -> Audit:
    """Read a pickle from its beginning without running it, in constant memory; the file has to support seek."""
    findings = _Findings()
    try:
        file.seek(0)
        _follow(file, findings)
        if file.read(1):
            findings.problems.append("unreadable: there are bytes after its end")
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  # a parser's error: it is no pickle of ours
        pass_signals(error)
        findings.problems.append(f"unreadable: {str(error) or type(error).__name__}")
    modules = {name.partition(":")[0] for name in findings.names} | findings.modules
    return Audit(
        kind="code",
        imports=tuple(sorted(findings.names)),
        problems=tuple(sorted(set(findings.problems))),
        modules=tuple(sorted(modules)),
        by_value=any(name.startswith(_BY_VALUE) for name in findings.names),
    )


@dataclass
class _Findings:
    names: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class _Global(str):
    """The object of a name."""

    __slots__ = ()


class _Single(str):
    """A tuple of one text."""

    __slots__ = ()


_SUBIMPORT = "cloudpickle.cloudpickle:subimport"


def _follow(file: IO[bytes], findings: _Findings) -> None:
    """Run the program on a stack of texts and marks; everything else is None."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for number, (operation, argument, _) in enumerate(pickletools.genops(_Skipping(file))):  # type: ignore[arg-type]
        name = operation.name
        if number == _MOST:
            raise ValueError(f"it has more than {_MOST:,} operations, of which the rest was not read")
        if name in _OUTSIDE:
            findings.problems.append(f"unreadable: a part outside of the file ({name} {printable(str(argument))[:80]})")
        if name in {"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}:
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
            continue
        pushed: list[Any] = [None] * len(operation.stack_after)
        if name in _TEXTS:
            pushed = [argument]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            pushed = [memo[argument]]
        elif name == "MARK":
            pushed = [_MARK]
        elif name == "DUP":
            pushed = [stack[-1], stack[-1]]
        elif name in {"GLOBAL", "INST"}:
            pushed = [_Global(argument.replace(" ", ":", 1))]
            findings.names.add(str(pushed[0])[:_LONGEST])
        elif name == "STACK_GLOBAL":
            module, attribute = stack[-2:]
            if type(module) is str and type(attribute) is str:
                pushed = [_Global(f"{module}:{attribute}")]
                findings.names.add(str(pushed[0])[:_LONGEST])
            else:
                findings.problems.append("unreadable: a name that is not written out")
        elif name == "TUPLE1" and type(stack[-1]) is str:
            pushed = [_Single(stack[-1])]
        elif name == "REDUCE" and stack[-2:-1] == [_SUBIMPORT] and type(stack[-1]) is _Single:
            findings.modules.add(str(stack[-1]))  # cloudpickle writes a module so
        _pop(stack, operation)
        stack += pushed


def _pop(stack: list[Any], operation: pickletools.OpcodeInfo) -> None:
    before = operation.stack_before
    if pickletools.markobject in before or (operation.name == "POP" and stack and stack[-1] is _MARK):
        while stack.pop() is not _MARK:
            pass
        before = before[: before.index(pickletools.markobject)] if pickletools.markobject in before else []
    if len(before) > len(stack) or any(item is _MARK for item in stack[len(stack) - len(before) :] if before):
        raise ValueError("it takes more from its stack than there is")
    del stack[len(stack) - len(before) :]


class _Skipped(bytes):
    """Bytes that were skipped, with their number."""

    size = 0

    def __len__(self) -> int:
        return self.size


class _Skipping:
    """A file that skips long reads."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        here = file.tell()
        self._size = file.seek(0, os.SEEK_END)
        file.seek(here)
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        if count <= _LONG:
            return self._file.read(count)
        if self._file.tell() + count > self._size:
            raise ValueError("it ends too early")
        self._file.seek(count, os.SEEK_CUR)
        skipped = _Skipped(b"(long)")
        skipped.size = count
        return skipped

    def readline(self) -> bytes:
        return self._file.readline(_LONG)
