"""What a framework's own file leaves out of a model, in JSON beside it: which class it was, and its plain attributes.

JSON and not pickle, so that the whole model is data: nothing that the file says is ever imported or called, and a
reader of another version takes what it knows. What JSON lacks (NaN, tuples, arrays, keys that are no text) is marked
by an object with one key that begins with ``$``.
"""

from __future__ import annotations

import json
import math
import os
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from registry_nb.errors import Corrupted, NewerFormat, NotSerializable, listed, shown
from registry_nb.flavors import EXPANSION, SMALL, Files, parsed
from registry_nb.flavors.sizes import spread

__all__ = ["FILE", "NotPlain", "encoded", "is_plain", "read", "restored", "write"]

FILE = "params.json"
FORMAT = 1
#: Kinds of arrays whose items JSON can hold exactly: booleans, integers, floats, text, and objects that are plain.
_KINDS = "biufUO"


class NotPlain(TypeError):
    """A value that is not data: a function, an object, an array of dates."""

    def __init__(self, path: str, value: object) -> None:
        kind = type(value).__name__
        super().__init__(f"{path} is a {kind}")
        self.path = path
        self.kind = kind


def is_plain(state: Mapping[str, Any]) -> bool:
    """Tell whether all attributes are data."""
    try:
        encoded(state)
    except NotPlain:
        return False
    return True


def write(folder: str, model: object, state: Mapping[str, Any]) -> None:
    """Write the class of a model, by its bare name, and attributes of it.

    Raises
    ------
    NotSerializable
        If an attribute is not data.
    """
    kind = type(model).__name__
    try:
        content = {"format": FORMAT, "class": kind, "state": {name: encoded(state[name], name) for name in state}}
    except NotPlain as error:
        reason = f"it is a {error.kind}, which is not data"
        sentence = f"{kind} cannot be saved in its library's own format, because {kind}.{error.path} is not data, but a"
        sentence += f" {error.kind}; register it with flavor='sklearn', which pickles"
        raise NotSerializable(sentence, model=kind, path=f"{kind}.{error.path}", reason=reason) from None
    with open(os.path.join(folder, FILE), "w", encoding="utf-8") as file:
        file.write(json.dumps(content, allow_nan=False))  # json.dump, and any indent, would do it in Python


def read(files: Files, known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Return the class's name, which is one of the known ones, and the attributes.

    Raises
    ------
    Corrupted
        If it is not what `write` writes, or names a class that is not known.
    NewerFormat
        If a later release wrote it.
    """
    try:
        content = parsed(files.read(FILE))
        if (found := int(content["format"])) > FORMAT:
            raise NewerFormat(path=FILE, found=found, known=FORMAT)
        kind, state = content["class"], restored(content["state"])
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise _damaged(f"{FILE} does not read ({type(error).__name__}: {error})") from error
    if not isinstance(kind, str) or kind not in known:  # a list, never an import: the file may say os.system
        raise _damaged(f"{FILE} names {shown(kind)}, which is none of {listed(sorted(known), 10)}")
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise _damaged(f"the state in {FILE} has no names")
    return kind, state


def encoded(value: Any, path: str = "") -> Any:
    """Return a value as JSON.

    Parameters
    ----------
    value : object
    path : str
        What an error calls it.

    Raises
    ------
    NotPlain
        If the value, or a part of it, is not data.

    Examples
    --------
    >>> encoded({"missing": float("nan"), "eval_at": (1, 2), "weights": {0: 1.5}})
    {'missing': {'$float': 'nan'}, 'eval_at': {'$tuple': [1, 2]}, 'weights': {'$dict': [[0, 1.5]]}}
    """
    kind = type(value)  # exactly: what only derives from a plain type would not come back
    if value is None or kind in {bool, int, str}:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [encoded(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind is tuple:
        return {"$tuple": encoded([*value], path)}
    if kind in {dict, OrderedDict, defaultdict}:
        if all(type(key) is str and key[:1] != "$" for key in value):
            return {key: encoded(item, f"{path}[{key!r}]" if path else key) for key, item in value.items()}
        return {"$dict": [[encoded(key, path), encoded(item, f"{path}[{key!r}]")] for key, item in value.items()]}
    if kind.__module__ == "numpy":
        import numpy as np

        scalar = issubclass(kind, np.generic)
        if (scalar or kind is np.ndarray) and (what := value.dtype).kind in _KINDS:
            text = what.kind in "UO"
            if text or what.itemsize <= 8:  # a long double would lose digits
                items = encoded(np.atleast_1d(value).ravel().tolist(), path)
                name = what.kind if text else what.str
                return {"$numpy": {"dtype": name, "shape": [*value.shape], "items": items, "scalar": scalar}}
    raise NotPlain(path, value)


def restored(value: Any) -> Any:
    """Return the value of what `encoded` returned."""
    return _restored(value, _Texts())


def _restored(value: Any, texts: _Texts) -> Any:
    if isinstance(value, list):
        return [_restored(item, texts) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not (mark := next(iter(value))).startswith("$"):
        return {key: _restored(item, texts) for key, item in value.items()}
    content = value[mark]
    if mark == "$float":
        return float(content)
    if mark == "$tuple":
        return tuple(_restored(content, texts))
    if mark == "$dict":
        pairs = [(_restored(key, texts), _restored(item, texts)) for key, item in content]
        return dict(zip(spread([key for key, _ in pairs]), (item for _, item in pairs), strict=True))
    if mark == "$numpy":
        return _array(content, texts)
    raise ValueError(f"{mark} is no mark")


def _array(content: dict[str, Any], texts: _Texts) -> Any:
    import numpy as np

    items, text = _restored(content["items"], texts), content["dtype"]
    dtype = np.dtype(text)
    # The kinds again, and no width of text: an edited file would ask for all the memory there is.
    if dtype.kind not in _KINDS or dtype.itemsize > 8 or dtype.names is not None:
        raise ValueError(f"{text!r} is no type of an array here")
    if dtype.kind == "U":
        texts.add(items)
    flat = np.array(items, dtype) if dtype.kind != "O" else np.empty(len(items), dtype)
    if dtype.kind == "O":
        for index, item in enumerate(spread(items)):  # an assignment of all would take tuples for a second dimension
            flat[index] = item
    return flat[0] if content["scalar"] else flat.reshape(content["shape"])


class _Texts:
    """What the texts of a file take, and what its arrays of them do, where each takes as much as the longest."""

    def __init__(self) -> None:
        self.written = self.taken = 0

    def add(self, items: Collection[Any]) -> None:
        sizes = [len(str(item)) for item in items]
        self.written += sum(sizes)
        self.taken += 4 * max(sizes, default=0) * len(sizes)
        if self.taken > max(SMALL, EXPANSION * self.written):
            raise ValueError("a few of its texts are so long that an array of all would take too much memory")


def _damaged(reason: str) -> Corrupted:
    return Corrupted(path="the model", position=None, reason=reason, remedy="register it again")
