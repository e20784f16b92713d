"""The text of an ``MLmodel`` file: YAML of plain data, read without a tag that makes objects, and within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_nb.errors import shown
from registry_nb.flavors.failures import damaged

__all__ = ["FILE", "described", "options_of"]

FILE = "MLmodel"
#: Bytes: a signature of 50,000 columns. The parser takes a few seconds for as many.
_MOST_BYTES = 1 << 22
#: Values, those counted again that an alias repeats: a few lines of aliases would otherwise be billions of values.
_MOST_VALUES = 100_000
_REMEDY = "do not load it, or save the model again"


def described(text: bytes, place: str = FILE) -> dict[str, Any]:
    """Parse the text of an ``MLmodel`` file, or raise `Corrupted`.

    Its ``flavors`` are a mapping of names to mappings; nothing else is checked.
    """
    import yaml  # type: ignore[import-untyped]

    if len(text) > _MOST_BYTES:
        raise damaged(f"it is larger than {_MOST_BYTES >> 20} MB, which no description of a model is", place, _REMEDY)
    try:
        # Python's parser, not the one in C: nesting without an end is an exception here, and ends the process there.
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            _count(node, {})
            content = loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it is not the YAML of a model ({type(error).__name__}: {shown(str(error), 200)})"
        raise damaged(reason, place, _REMEDY) from error
    if not isinstance(content, dict) or not isinstance(content.get("flavors"), dict):
        raise damaged("it names no flavors", place, _REMEDY)
    if not all(isinstance(name, str) and isinstance(one, dict) for name, one in content["flavors"].items()):
        raise damaged("its flavors are not names with options", place, _REMEDY)
    return content


def options_of(content: Mapping[str, Any], flavor: str) -> dict[str, Any]:
    """Return the options of a flavor that `described` returned; none if the model has no such flavor."""
    options: dict[str, Any] = content["flavors"].get(flavor, {})
    return options


def _count(node: Any, sizes: dict[int, int]) -> int:
    """Count the values below a node of YAML, or raise ValueError if they are too many, or one holds itself."""
    if id(node) in sizes:
        if not (size := sizes[id(node)]):
            raise ValueError("a value holds itself")
        return size
    sizes[id(node)] = 0  # not known yet
    parts = node.value if node is not None and not isinstance(node.value, str) else []
    size = 1 + sum(_count(each, sizes) for part in parts for each in (part if isinstance(part, tuple) else (part,)))
    if size > _MOST_VALUES:
        raise ValueError(f"it has more than {_MOST_VALUES:,} values")
    sizes[id(node)] = size
    return size
