"""Records for the panel's tables: compressed columns at first, single rows for later changes.

Rows have only what a table shows: short texts, and metrics rounded to the digits that are shown. Full values are
requested version by version.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

from registry_nb import rules
from registry_nb.display.cells import brief, milliseconds
from registry_nb.display.markdown import plain
from registry_nb.domain.records import ModelVersion, RegisteredModel, Stage, json_number
from registry_nb.errors import RegistryError
from registry_nb.operations.diff import direction
from registry_nb.stores import Crowd, Reader

#: Tags of a row, and characters of a value.
TAGS, WIDE = 20, 80
#: Metric columns of the table: those that most versions have.
METRICS = 40
#: Digits of a metric that are sent; from a thousand on, they would not reach the decimal point.
_DIGITS, _THOUSAND = 5, 999.0
#: A sixth smaller than the fastest level, for a few milliseconds; higher levels gain little.
_LEVEL = 5

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


_NAMED = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


def packed(value: Any) -> bytes:
    """Write a value as JSON, and compress it."""
    return _compressed(_json(value))


def packed_versions(
    model: str,
    versions: Sequence[ModelVersion],
    revision: int,
    badges: Iterable[Sequence[str]],
    policies: Mapping[str, Sequence[str]],
) -> bytes:
    """Return the versions of a model, one list a field, compressed.

    The metrics are written apart: to round a float, to read it back and to write it again took half of the time.
    """
    fields = {field: [read(version) for version in versions] for field, read in _VERSION.items()}
    steps = {field: _steps(fields.pop(field)) for field in _RISING}
    names = _names(versions)
    whole = {"model": model, "revision": revision, "steps": steps, **fields, "badges": list(badges)}
    text = _json({**whole, "better": directions(names, policies)})
    columns = [f"{_json(name)}:[{_column(versions, name)}]" for name in names]
    return _compressed(f'{text[:-1]},"metrics":{{{",".join(columns)}}}}}')


def _compressed(text: str) -> bytes:
    """Compress JSON that is mostly digits, with the strategy of zlib that ignores very short repetitions."""
    made = zlib.compressobj(_LEVEL, strategy=zlib.Z_FILTERED)
    return made.compress(text.encode()) + made.flush()


def _steps(values: Sequence[int]) -> list[int]:
    """Write numbers as differences to the one before: those of rising numbers compress well."""
    return [value - before for before, value in pairwise((0, *values))]


def directions(names: Iterable[str], policies: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return 1 for metrics of which more is better and -1 for less, by their names and the rules of the policy."""
    found = {name: sign for name in names if (sign := direction(name))}
    for text in (text for texts in policies.values() for text in texts):
        with contextlib.suppress(RegistryError):  # a rule of a newer release
            rule = rules.parsed(text)
            if rule.kind == "metric" and rule.args[1][0] in "<>":
                found[rule.args[0]] = 1 if rule.args[1][0] == ">" else -1
    return found


def version_row(version: ModelVersion, badges: Sequence[str] = ()) -> dict[str, Any]:
    """Return one version."""
    fields = {field: read(version) for field, read in _VERSION.items()}
    metrics = {name: _metric(value) for name, value in version.metrics.items()}
    return {**fields, "metrics": metrics, "badges": badges}


def model_columns(reader: Reader, models: Iterable[RegisteredModel], revision: int) -> dict[str, Any]:
    """Return the models, one list a field."""
    rows = model_rows(models, reader.crowds())
    return {"revision": revision, **{field: [row[field] for row in rows] for field in _MODEL}}


def model_rows(models: Iterable[RegisteredModel], crowds: Iterable[Crowd]) -> list[dict[str, Any]]:
    """Return one row a model; a model that was made after they were counted comes with the next change."""
    counted = {crowd.name: crowd for crowd in crowds}
    return [_model_row(model, counted[model.name]) for model in models if model.name in counted]


def _model_row(model: RegisteredModel, crowd: Crowd) -> dict[str, Any]:
    stages = {str(stage): list(held) for stage, held in crowd.holders.items()}
    return {
        "name": model.name,
        "production": max(stages.get(Stage.PRODUCTION, ()), default=None),
        "newest": crowd.newest or None,
        "stages": stages,
        "count": sum(crowd.counts.values()),
        "changed": milliseconds(model.updated_at),
        "description": brief(plain(model.description)),
    }


_MODEL = ("name", "production", "newest", "stages", "count", "changed", "description")


def bits(numbers: Iterable[int]) -> str:
    """Write a set of versions as bits in base64: 10,000 versions take 1.7 KB."""
    found = list(numbers)
    written = bytearray(max(found, default=0) // 8 + 1)
    for number in found:
        written[number >> 3] |= 1 << (number & 7)
    return base64.b64encode(written).decode()


def _column(versions: Sequence[ModelVersion], name: str) -> str:
    """Write a metric of all versions, with the digits that a table shows: seventeen digits do not compress."""
    values = [version.metrics.get(name) for version in versions]
    texts = [
        "null" if value is None
        else text if (text := "%.5g" % value)[-1] != "5" and 1e-4 < value < _THOUSAND  # noqa: UP031  # half the time
        else _written(value)
        for value in values
    ]  # fmt: skip
    return ",".join(texts)


def _written(value: float) -> str:
    """Write a number with five digits that rounds to the same four digits as the full number.

    A fifth digit that is a rounded 5 could round the wrong way. So it becomes a 4 or a 6, which has the same length.
    """
    if not math.isfinite(value):
        return _NAMED[str(value)]
    size = abs(value)
    if _THOUSAND <= size < 1e15:
        text = f"{value:.2f}" if size < 1e5 else f"{value:.1f}"
        return repr(value) if text.rstrip("0").rstrip(".")[-1] == "5" else text
    text = f"{value:.5g}"
    digits, e, power = text.partition("e")
    if digits[-1] == "5" and len(digits.lstrip("-0.").replace(".", "")) == _DIGITS:
        digits = digits[:-1] + ("4" if float(f"{size:.4g}") < size else "6")
    return digits + e + power


def _metric(value: float) -> float | str:
    return float(_written(value)) if math.isfinite(value) else str(json_number(value))


def _tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    if len("".join(tags.values())) <= WIDE:
        return tags if len(tags) <= TAGS else dict(islice(tags.items(), TAGS))
    return {key: value if len(value) <= WIDE else f"{value[:WIDE]}…" for key, value in islice(tags.items(), TAGS)}


def _names(versions: Sequence[ModelVersion]) -> list[str]:
    counted = Counter[str]()
    sets = Counter(map(tuple, [version.metrics for version in versions]))  # few sets for many versions
    for names, times in sets.items():
        counted.update(dict.fromkeys(names, times))
    return [name for name, _ in counted.most_common(METRICS)]


#: Fields whose values rise from row to row.
_RISING = ("version", "created")
_VERSION: Mapping[str, Callable[[ModelVersion], Any]] = {
    "version": lambda version: version.version,
    "stage": lambda version: version.stage,
    "aliases": lambda version: version.aliases,
    "tags": lambda version: _tags(version.tags),
    "tag_count": lambda version: len(version.tags),
    "created": lambda version: int(version.created_at.timestamp()) * 1000,  # without milliseconds
    "user": lambda version: brief(version.user),
    "size": lambda version: version.size,
    "flavor": lambda version: version.flavor,
    "description": lambda version: brief(plain(version.description)),
}
