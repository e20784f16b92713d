"""The sidecar: what a framework's own file leaves out of a model, in JSON beside it: its class, and plain attributes.

JSON and not pickle, so that the whole model is data: nothing in the file is ever imported or called, and a reader of
another version takes the attributes that it knows. What JSON lacks (NaN, tuples, arrays, keys that are no text) is
written as an object with one key that begins with ``$``.
"""

from __future__ import annotations

import json
import math
import os
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from registry_nb.errors import NewerFormat, NotSerializable, listed, shown
from registry_nb.flavors import EXPANSION, SMALL, Files, parsed
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.sizes import spread

__all__ = ["FILE", "NotPlain", "encoded", "is_plain", "read", "restored", "write"]

FILE = "params.json"
FORMAT = 1
#: Kinds of arrays whose items JSON holds exactly: booleans, integers, floats, text, and plain objects.
_KINDS = "biufUO"


class NotPlain(TypeError):
    """A value that is not data: a function, an object, an array of dates."""

    def __init__(self, path: str, value: object) -> None:
        kind = type(value).__name__
        super().__init__(f"{path} is a {kind}")
        self.path = path
        self.kind = kind


def is_plain(state: Mapping[str, Any]) -> bool:
    """Whether all attributes are data."""
    try:
        encoded(state)
    except NotPlain:
        return False
    return True


def write(folder: str, model: object, state: Mapping[str, Any]) -> None:
    """Write the class of a model, by its bare name, and some of its attributes, which have to be data."""
    kind = type(model).__name__
    try:
        content = {"format": FORMAT, "class": kind, "state": {name: encoded(state[name], name) for name in state}}
    except NotPlain as error:
        reason = f"it is a {error.kind}, which is not data"
        sentence = f"{kind} cannot be saved in its library's own format, because {kind}.{error.path} is not data, but a"
        sentence += f" {error.kind}; register it with flavor='sklearn', which pickles"
        raise NotSerializable(sentence, model=kind, path=f"{kind}.{error.path}", reason=reason) from None
    with open(os.path.join(folder, FILE), "w", encoding="utf-8") as file:
        file.write(json.dumps(content, allow_nan=False))  # json.dump, and any indent, would run in Python


def read(files: Files, known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Return the name of the class, which must be among the known ones, and the attributes."""
    try:
        content = parsed(files.read(FILE))
        if (written := int(content["format"])) > FORMAT:
            raise NewerFormat(path=FILE, found=written, known=FORMAT)
        kind, state = content["class"], restored(content["state"])
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise damaged(f"{FILE} does not read ({type(error).__name__}: {error})") from error
    if not isinstance(kind, str) or kind not in known:  # a list, never an import: the file may name os.system
        raise damaged(f"{FILE} names {shown(kind)}, which is none of {listed(sorted(known), 10)}")
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise damaged(f"the state in {FILE} has no names")
    return kind, state


def encoded(value: Any, path: str = "") -> Any:
    """Return a value as JSON; `path` names it in errors (NotPlain).

    >>> encoded({"missing": float("nan"), "eval_at": (1, 2), "weights": {0: 1.5}})
    {'missing': {'$float': 'nan'}, 'eval_at': {'$tuple': [1, 2]}, 'weights': {'$dict': [[0, 1.5]]}}
    """
    kind = type(value)  # exactly: a derived type would not come back
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
    """Return the value behind what `encoded` returned."""
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
    # The same kinds, and no width of text: an edited file could demand all memory.
    if dtype.kind not in _KINDS or dtype.itemsize > 8 or dtype.names is not None:
        raise ValueError(f"{text!r} is no type of an array here")
    if dtype.kind == "U":
        texts.add(items)
    flat = np.array(items, dtype) if dtype.kind != "O" else np.empty(len(items), dtype)
    if dtype.kind == "O":
        for index, item in enumerate(spread(items)):  # one assignment would take tuples for a second dimension
            flat[index] = item
    return flat[0] if content["scalar"] else flat.reshape(content["shape"])


class _Texts:
    """The size of all texts in a file, and of its arrays of texts, in which each is as wide as the longest."""

    def __init__(self) -> None:
        self.written = self.taken = 0

    def add(self, items: Collection[Any]) -> None:
        sizes = [len(str(item)) for item in items]
        self.written += sum(sizes)
        self.taken += 4 * max(sizes, default=0) * len(sizes)
        if self.taken > max(SMALL, EXPANSION * self.written):
            raise ValueError("a few of its texts are so long that an array of all of them would take too much memory")
