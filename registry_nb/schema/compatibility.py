"""Compare two signatures: what breaks for callers of the old version if the new one replaces it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from registry_nb.errors import listed, shown
from registry_nb.schema.columns import SCALARS, Column, Spec, Tensor
from registry_nb.schema.containers import SINGLE, is_makeable
from registry_nb.schema.signature import Signature

_DTYPES = {
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "boolean": "bool",
    "string": "str",
    "binary": "bytes",
}
_NUMBER = re.compile(r"(u?int|float)(\d+)")
#: Bits of whole numbers that a float holds exactly.
_EXACT = {16: 8, 32: 16, 64: 32}


def incompatibilities(old: Signature, new: Signature) -> tuple[str, ...]:
    """Return what breaks for callers that send the old input and read the old output.

    The new signature must accept every input that the old one accepts, whatever its values. Facts that are unknown on
    either side break nothing.

    Parameters
    ----------
    old, new : Signature

    Returns
    -------
    tuple of str
        One sentence each; empty if the new signature is compatible.

    Examples
    --------
    >>> from registry_nb.schema.signature import Column
    >>> old = Signature((Column("a", "double"),))
    >>> incompatibilities(old, Signature((Column("a", "long"), Column("b", "string"))))
    ("the input 'b' is new and required", "the input 'a' was double and must be long now")
    >>> incompatibilities(old, Signature((Column("a", "double"), Column("b", "string", required=False))))
    ()
    """
    inputs: Iterable[str] = ()
    if old.inputs and new.inputs:
        inputs = (*_of_containers(old, new), *_of_inputs(_aligned(old.inputs, new.inputs), new.inputs))
    outputs = _of_outputs(old.outputs, new.outputs) if old.outputs and new.outputs else ()
    return *inputs, *outputs


def _aligned(old: Sequence[Spec], new: Sequence[Spec]) -> Sequence[Spec]:
    """Describe an old array as columns if the new side has columns, and the reverse: they match by position."""
    first, other = old[0], new[0]
    if isinstance(first, Tensor) and isinstance(other, Column) and first.name is None and len(first.shape) == 2:
        width = first.shape[1]
        return [Column(spec.name, first.dtype) for spec in new] if width == len(new) else [first]
    if isinstance(first, Column) and isinstance(other, Tensor) and other.name is None:
        worst = next((spec.dtype for spec in old if not _safe(spec.dtype, other.dtype)), first.dtype)
        flat = len(old) == len(other.shape) == 1
        return [Tensor(worst, (-1,) if flat else (-1, len(old)))]
    return old


def _of_containers(old: Signature, new: Signature) -> Iterator[str]:
    """Report one row or value instead of many, and containers that cannot be made here."""
    if new.form in SINGLE and old.form not in {*SINGLE, ""}:
        yield f"the input could have many rows ({old.form}) and must be one now ({new.form})"
    elif not is_makeable(new.form) and old.form not in {new.form, ""}:
        yield f"the input could be {old.form} and must be given as {new.form} now"


def _of_inputs(old: Sequence[Spec], new: Sequence[Spec]) -> Iterator[str]:
    if type(old[0]) is not type(new[0]) or (not (_named(old) and _named(new)) and len(old) != len(new)):
        yield f"the input was {_side(old)} and must be {_side(new)} now"
        return
    if _named(old) and _named(new):
        before = {spec.name: spec for spec in old}
        for spec in new:
            if spec.name not in before and _required(spec):
                yield f"{_called('input', spec)} is new and required"
        pairs = [(before[spec.name], spec) for spec in new if spec.name in before]
    else:
        pairs = list(zip(old, new, strict=True))
    for was, now in pairs:
        yield from _narrowed(_called("input", now), was, now)


def _narrowed(what: str, was: Spec, now: Spec) -> Iterator[str]:
    unchecked = isinstance(now, Column) and now.dtype not in SCALARS
    before, after = _width(was, now)
    if not unchecked and not _safe(before, after):
        hint = " (exact up to 2**53 only)" if (was.dtype, now.dtype) == ("long", "double") else ""
        yield f"{what} was {before} and must be {after} now{hint}"
    elif unchecked and isinstance(was, Column) and isinstance(now, Column) and _kind(now) not in {"", _kind(was)}:
        yield f"{what} was {_kind(was) or was.dtype} and must be {_kind(now)} now"
    if isinstance(was, Tensor) and isinstance(now, Tensor):
        fits = [want in {-1, size} for size, want in zip(was.shape, now.shape, strict=False)]
        if len(was.shape) != len(now.shape) or not all(fits):
            yield f"{what} had the shape {list(was.shape)} and must have {list(now.shape)} now"
    if isinstance(was, Column) and isinstance(now, Column):
        if _required(now) and not was.required:
            yield f"{what} could be left out and is required now"
        if was.nullable and not now.nullable and now.dtype in {"boolean", "integer", "long"}:
            yield f"{what} could have missing values and must have none now"
        yield from _levelled(what, was, now)
        if now.tz is not None and was.tz not in {None, now.tz}:
            yield f"{what} was {_zone(was.tz)} and must be {_zone(now.tz)} now"


def _levelled(what: str, was: Column, now: Column) -> Iterator[str]:
    """Report levels that a category no longer accepts: an unknown one is added, unless the levels have an order."""
    if now.digest and now.digest != was.digest:
        yield f"{what} must be a category now whose levels are not kept"
    elif now.levels is not None and now.ordered:
        gone = [level for level in was.levels or () if level not in now.levels]
        if gone:
            yield f"{what} could be {listed(map(shown, gone), 5)} and must be one of its levels in their order now"
        elif was.levels is None:
            yield f"{what} could be any {was.dtype} and must be one of {listed(map(shown, now.levels), 5)} now"


def _width(was: Spec, now: Spec) -> tuple[str, str]:
    """Return the types of both sides; for numbers of one type, the dtypes of the examples, if both are known."""
    if isinstance(was, Column) and isinstance(now, Column) and was.dtype == now.dtype:
        before, after = (_NUMBER.fullmatch(spec.storage.lower().removesuffix("[pyarrow]")) for spec in (was, now))
        if before and after and was.levels is None and now.levels is None:
            return before[0], after[0]
    return was.dtype, now.dtype


def _kind(spec: Column) -> str:
    """Name the contents of types that are nested or unknown to MLflow; empty if they are not checked."""
    return re.sub(r"\[.*", "", spec.cells if spec.storage == "object" else spec.storage)


def _of_outputs(old: Sequence[Spec], new: Sequence[Spec]) -> Iterator[str]:
    if type(old[0]) is not type(new[0]) or not (_named(old) and _named(new)):
        if list(map(str, old)) != list(map(str, new)):
            yield f"the output was {_side(old)} and is {_side(new)} now"
        return
    after = {spec.name: str(spec) for spec in new}
    for spec in old:
        if spec.name not in after:
            yield f"{_called('output', spec)} is gone"
        elif str(spec) != after[spec.name]:
            yield f"{_called('output', spec)} was {spec} and is {after[spec.name]} now"


def _safe(was: str, now: str) -> bool:
    """Whether every value of one type is accepted as the other."""
    was, now = _DTYPES.get(was, was), _DTYPES.get(now, now)
    a, b = _NUMBER.fullmatch(was), _NUMBER.fullmatch(now)
    if not a or not b:
        return was == now or (was, now) == ("str", "object")
    bits, wide = int(a[2]), int(b[2])
    if a[1] == b[1]:
        return bits <= wide
    if b[1] == "float":
        return bits <= _EXACT[wide]
    return (a[1], b[1]) == ("uint", "int") and bits < wide


def _named(specs: Sequence[Spec]) -> bool:
    return specs[0].name is not None


def _required(spec: Spec) -> bool:
    return isinstance(spec, Tensor) or spec.required


def _called(what: str, spec: Spec) -> str:
    return f"the {what}" if spec.name is None else f"the {what} {shown(spec.name)}"


def _side(specs: Sequence[Spec]) -> str:
    return f"({listed(map(str, specs), 5)})"


def _zone(zone: str) -> str:
    return f"in the zone {zone}" if zone else "without a zone"
