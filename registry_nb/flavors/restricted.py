"""The pickles of people whom the user does not know: read by a machine that can do little else than build estimators.

It is Python's own machine in Python, with fewer operations, and different in four ways:

- A name is looked up only if it stands on the list, letter by letter. What comes back is no class and no function that
  the pickle could pass on, but a token that only this machine can use.
- Of the listed classes only empty instances are made. The few things that need arguments (arrays, dtypes, trees, random
  states) are made by the makers of `making`, each of which checks them first.
- A state is given to an object once, directly after it was made, and may hide none of its class's methods.
- Keys of dicts and members of sets are plain, since to hash nested tuples takes exponential time.

The C unpickler was the alternative. It is faster, but offers a hook for names only, while everything that a listed
name may be called with, and any state of any listed class, would have to be harmless; they are not. It costs little,
as large arrays are read in one piece by either.

What is bounded: memory is linear in the size of the file, since no data is copied twice, and so is the time to read it.
What is not: what a model computes when it is validated and predicts, which its own parameters decide.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import IO, Any

from registry_nb.errors import Untrusted
from registry_nb.flavors import structure
from registry_nb.flavors.audit import OPERATIONS, Audit, allowed, audit, current
from registry_nb.flavors.making import MAKERS, Token, expect, refuse

#: Where the packages of the listed names come from.
_DISTRIBUTIONS = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn"}


def load(file: IO[bytes], what: str) -> Any:
    """Unpickle a model that somebody unknown has made.

    Parameters
    ----------
    file : binary file
        It can seek.
    what : str
        How to call the model in an error.

    Returns
    -------
    object
        Its structure is validated, so that its native code can predict with it.

    Raises
    ------
    Untrusted
        If it needs more than the list allows, before anything is called. It has ``refused`` and ``imports``.
    ImportError
        If a package that it needs is not installed.
    """
    found = audit(file)
    if found.refused:
        raise _untrusted(what, found.objection, found)
    file.seek(0)
    try:
        model = _Machine(file).load()
        structure.validate(model)
    except (ImportError, OSError):
        raise
    except Untrusted as error:
        raise _untrusted(what, error.reason, found) from None
    except Exception as error:
        raise _untrusted(
            what, f"it is not as its libraries would write it ({type(error).__name__}: {error})", found
        ) from error
    return model


def _untrusted(what: str, reason: str, found: Audit) -> Untrusted:
    remedy = "ask whoever made it, or load it with trust= and its digest if you are sure of its origin"
    return Untrusted(what=what, reason=reason, remedy=remedy, refused=found.refused, imports=found.imports)


@functools.cache
def _installed(root: str) -> None:
    """Make sure that a package is the installed one, before it is imported: a folder of that name would run as well."""
    spec = importlib.util.find_spec(root)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {root!r}", name=root)
    own = importlib.metadata.distribution(_DISTRIBUTIONS[root]).locate_file(root)
    if os.path.realpath(os.path.dirname(spec.origin)) != os.path.realpath(str(own)):
        raise refuse(f"{root} would come from {os.path.dirname(spec.origin)}, which is not where it is installed")


@functools.cache
def resolve(name: str) -> Any:
    """Return what a listed name stands for.

    Raises
    ------
    Untrusted
        If it is not on the list, or is not what it says.
    """
    name = current(name)
    module, _, attribute = name.partition(":")
    if name not in allowed():
        raise refuse(f"loading it would need {name}")
    root = module.partition(".")[0]
    if root != "builtins":
        _installed(root)
    target = getattr(importlib.import_module(module), attribute, None)
    if target is None:
        raise refuse(f"{module} has no {attribute} in the installed version")
    home = getattr(target, "__module__", None) or module
    if home.partition(".")[0] != root or getattr(target, "__name__", attribute) != attribute:
        raise refuse(f"{name} is something else in the installed version")
    return target


class _Machine(pickle._Unpickler):
    append: Callable[[Any], None]
    stack: list[Any]
    read: Callable[[int], bytes]
    _unframer: Any

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._file = file
        #: What was made and has not been given a state yet, by id; the makers' must get one.
        self._fresh: dict[int, Any] = {}
        self._incomplete: dict[int, Any] = {}
        #: Data that was copied into an object. A few bytes that copied it again and again would fill any memory.
        self._copied: dict[int, Any] = {}

    def load(self) -> Any:
        model = super().load()
        if self._incomplete:
            raise refuse("a part of it was left without its state")
        return model

    def find_class(self, module: str, name: str) -> Any:
        target = resolve(f"{module}:{name}")
        key = current(f"{module}:{name}")
        return Token(key, target) if key in MAKERS or structure.is_class(target) else target

    def load_bytearray8(self) -> None:
        """Read large arrays into their place; the inherited way has three copies of them in memory at a time."""
        (size,) = struct.unpack("<Q", self.read(8))
        if self._unframer.current_frame is not None:
            self.append(bytearray(self.read(size)))
            return
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size and (count := self._file.readinto(view[filled:])):  # type: ignore[attr-defined]
            filled += count
        expect(filled == size, "file")
        self.append(data)

    def load_newobj(self) -> None:
        arguments, token = self.stack.pop(), self.stack.pop()
        if not isinstance(token, Token) or token.name in MAKERS or arguments != ():
            raise refuse("it makes an object by other means than its class offers")
        kind = token.target
        if kind.__new__ not in {object.__new__, dict.__new__}:
            raise refuse(f"{token.name} is not made empty")
        self._push(kind.__new__(kind))

    def load_reduce(self) -> None:
        arguments, token = self.stack.pop(), self.stack.pop()
        if not isinstance(token, Token) or token.name not in MAKERS or type(arguments) is not tuple:
            raise refuse(f"it calls {getattr(token, 'name', 'what is no function')}")
        if any(id(argument) in self._incomplete for argument in arguments):
            raise refuse("it uses a part that has no state yet")
        make, complete = MAKERS[token.name]
        made = make(token.target, *arguments)
        self._push(made)
        if complete:
            self._incomplete[id(made)] = complete

    def load_build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if self._fresh.pop(id(made), None) is None:
            raise refuse("it gives an object a second state")
        complete = self._incomplete.pop(id(made), None)
        if complete is None:
            self._copies(state)
            _set_state(made, state)
            return
        for part in state.values() if isinstance(state, dict) else state if isinstance(state, tuple) else ():
            self._copies(part)
        complete(made, state)

    def _copies(self, data: Any) -> None:
        if getattr(data, "__len__", None) and len(data) > 64:
            if id(data) in self._copied:
                raise refuse("it copies the same data again")
            self._copied[id(data)] = data

    def _push(self, made: Any) -> None:
        self.append(made)
        self._fresh[id(made)] = made

    def load_setitems(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        _fill(self.stack[-1], items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _fill(self.stack[-1], [key, value])

    def load_appends(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        if type(self.stack[-1]) is not list:
            raise refuse("it appends to what is no list")
        self.stack[-1].extend(items)

    def load_append(self) -> None:
        item = self.stack.pop()
        if type(self.stack[-1]) is not list:
            raise refuse("it appends to what is no list")
        self.stack[-1].append(item)

    def load_additems(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        if type(self.stack[-1]) is not set:
            raise refuse("it adds to what is no set")
        self.stack[-1].update(map(_plain, items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.append(frozenset(map(_plain, items)))


# Operations that are not listed have no entry: to meet one is a KeyError, if the audit has not refused it before.
_OWN: dict[str, Any] = {
    "BYTEARRAY8": _Machine.load_bytearray8,
    "NEWOBJ": _Machine.load_newobj,
    "REDUCE": _Machine.load_reduce,
    "BUILD": _Machine.load_build,
    "SETITEM": _Machine.load_setitem,
    "SETITEMS": _Machine.load_setitems,
    "APPEND": _Machine.load_append,
    "APPENDS": _Machine.load_appends,
    "ADDITEMS": _Machine.load_additems,
    "FROZENSET": _Machine.load_frozenset,
}
_Machine.dispatch = {
    ord(operation.code): _OWN.get(operation.name) or pickle._Unpickler.dispatch[ord(operation.code)]
    for operation in pickletools.opcodes
    if operation.name in OPERATIONS
}


def _fill(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict):
        raise refuse("it sets items of what is no dict")
    for index in range(0, len(items), 2):
        dict.__setitem__(target, _plain(items[index]), items[index + 1])


def _plain(key: Any, nested: bool = True) -> Any:
    import numpy as np

    if isinstance(key, (str, bytes, int, float, type(None))) or (isinstance(key, np.generic) and key.dtype.kind != "V"):
        return key
    if nested and type(key) is tuple and len(key) <= 64:
        return tuple(_plain(item, nested=False) for item in key)
    raise refuse(f"it uses a {type(key).__name__} as a key")


def _set_state(made: Any, state: Any) -> None:
    kind = type(made)
    if type(state) is not dict or not all(type(name) is str for name in state) or not hasattr(made, "__dict__"):
        raise refuse(f"its {kind.__name__} has a state that is no dict of attributes")
    for name in state:
        inherited = getattr(kind, name, None)
        if name.startswith("__") or callable(inherited) or isinstance(inherited, property):
            raise refuse(f"its {kind.__name__} hides {name} of its class")
    adopt = getattr(kind, "__setstate__", None)
    if adopt is None:
        made.__dict__.update(state)
    else:
        adopt(made, state)
