"""The rules for names, aliases, tags, metrics and parameters, and their limits.

A value that breaks a rule is refused, never cut or repaired, with one exception: names are normalised to Unicode NFC,
because two encodings of one word must be one name. A name never becomes a path. Every recorded text passes through this
module, and therefore secrets are masked here; a warning names them.
"""

from __future__ import annotations

import functools
import math
import numbers
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from registry_nb.domain import secrets
from registry_nb.domain.records import Stage
from registry_nb.errors import BadName, BadValue, BadVersion, Invalid, SecretFound, listed, pass_signals, warn
from registry_nb.errors.text import is_blank, is_invisible

MAX_NAME = 255
MAX_TAGS = 256
MAX_TAG_KEY = 250
MAX_TEXT = 100_000
#: Bits of the largest integer that a float can hold: filters compare floats.
_MAX_BITS = 1023

_RESERVED = set("/\\:@?#%")
#: Lower-case letters of Cyrillic and Greek that look like Latin ones.
_TWINS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf\u0432\u043a\u043c\u043d\u0442"
    "\u03b1\u03b2\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "aeopcyxijsdhlbkmhtabeikvoptux",
)
#: The largest integer that JavaScript, the language of the panel, holds exactly.
MAX_VERSION = 2**53 - 1
_ALIAS = re.compile(r"[A-Za-z0-9_.-]+")
_VERSION_LIKE = re.compile(r"v?[0-9]+", re.IGNORECASE)


def checked_name(name: object, what: str = "the name of a model") -> str:
    r"""Return the name in NFC.

    Raises
    ------
    BadName
        If it is empty, has more than 255 characters, contains one of ``/ \ : @ ? # %`` or an invisible character,
        begins or ends with white space, or is ``.`` or ``..``.

    Examples
    --------
    >>> checked_name("Iris 🌸")
    'Iris 🌸'
    """

    def refuse(reason: str) -> BadName:
        return BadName(what=what, given=name, reason=reason)

    if not isinstance(name, str):
        raise refuse("a name must be text")
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise refuse("it is empty")
    if len(name) > MAX_NAME:
        raise refuse(f"it has {len(name)} characters; at most {MAX_NAME} are allowed")
    if bad := sorted(_RESERVED.intersection(name)):
        raise refuse(f"{' '.join(bad)} is not allowed in a name")
    if hidden := next((char for place, char in enumerate(name) if is_invisible(name, place)), ""):
        raise refuse(f"it contains an invisible character ({hidden!a})")
    if name != name.strip():
        raise refuse("it begins or ends with white space")
    if name in {".", ".."}:
        raise refuse("it means a folder")
    return name


def alike(name: str, names: Iterable[str]) -> str:
    r"""Return the first other name that a reader could confuse with this one, or an empty text.

    Ignored are: case, white space, underscores, hyphens, joiners, other forms of the same character, and the difference
    between Latin letters and the letters of Greek and Cyrillic that look like them.

    Examples
    --------
    >>> alike("my-model", ["Iris", "My Model"]), alike("Ir\u0456s", ["Iris"]), alike("Iris", ["Iris"])
    ('My Model', 'Iris', '')
    """
    looks = _looks(name)
    return next((other for other in names if other != name and _looks(other) == looks), "")


@functools.lru_cache(maxsize=10_000)
def _looks(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).translate(_TWINS)
    return re.sub(r"[\s_\u200c\u200d\ufe0f-]+", "", folded) or name


def checked_alias(alias: object) -> str:
    """Return the alias unchanged.

    Raises
    ------
    BadName
        If it has other characters than letters, digits, ``_``, ``-`` and ``.``, or is ``latest``, a stage, or a version
        number such as ``v12``.
    """
    what = "an alias"
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or len(alias) > MAX_NAME:
        raise BadName(what=what, given=alias, reason="an alias has only letters, digits, '_', '-' and '.'")
    if alias.casefold() in {"latest", *(stage.casefold() for stage in Stage)} or _VERSION_LIKE.fullmatch(alias):
        raise BadName(what=what, given=alias, reason="'latest', stages and version numbers are reserved")
    return alias


def checked_version(version: object) -> int:
    """Return the version number.

    Raises
    ------
    BadVersion
        If it is not a whole number from 1: an integer (not a ``bool``), or ASCII digits.
    """
    digits = isinstance(version, str) and version.isascii() and version.isdecimal() and len(version) <= 16
    # Not only int: the numbers in data frames are numpy's.
    whole = isinstance(version, numbers.Integral) and not isinstance(version, bool)
    number = int(version) if digits or whole else 0  # type: ignore[call-overload]
    if not 1 <= number <= MAX_VERSION:
        raise BadVersion(given=version)
    return number


def checked_text(text: object, what: str = "a description") -> str:
    """Return the text, with secrets masked.

    Raises
    ------
    BadValue
        If it is not text, too long, or not valid Unicode.
    """
    if not isinstance(text, str):
        raise BadValue(what=what, reason=f"must be text, not {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise BadValue(what=what, reason=f"has {len(text):,} characters; at most {MAX_TEXT:,} are allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadValue(
            what=what, reason="contains half a character (a lone surrogate), which cannot be saved"
        ) from None
    kept, kinds = secrets.masked(text)
    _warn_of(tuple(f"{what} ({kind})" for kind in kinds))
    return kept


def _as_text(value: object, what: str) -> str:
    try:
        text = str(value)
    except Exception as error:
        pass_signals(error)
        raise BadValue(
            what=what, reason=f"cannot be converted to text ({type(error).__name__}); pass a text"
        ) from error
    return checked_text(text, what)


def checked_key(key: object, what: str) -> str:
    """Return the key of a tag, metric or parameter.

    Raises
    ------
    BadName
        If it is not text, is empty or invisible, has more than 250 characters, or contains a control character.
    """
    if not isinstance(key, str):
        raise BadName(what=what, given=key, reason="it must be text")
    if is_blank(key) or len(key) > MAX_TAG_KEY:
        raise BadName(what=what, given=key, reason=f"it must have 1 to {MAX_TAG_KEY} characters")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in key):
        raise BadName(what=what, given=key, reason="it contains a control character or half a character")
    return key


def checked_path(path: object, what: str) -> str:
    """Return the path of a file within a run: names divided by slashes, each of which every system takes as one name.

    Raises
    ------
    BadName
        If it is absolute, leads out of the run, or could be written in another way.
    """
    text = checked_key(path, what)
    if any(part in {"", ".", ".."} for part in text.split("/")):
        raise BadName(what=what, given=path, reason="names are divided by single slashes, and none is '.' or '..'")
    if "\\" in text or ":" in text:
        raise BadName(what=what, given=path, reason="a backslash or a colon would be a path of Windows")
    return text


def checked_step(step: object, what: str = "step") -> int:
    """Return a step, or a time in milliseconds, as an int.

    Raises
    ------
    BadValue
        If it is no whole number that JSON's readers hold exactly.
    """
    if not isinstance(step, numbers.Integral) or isinstance(step, bool) or abs(int(step)) > MAX_VERSION:
        raise BadValue(what=what, reason=f"must be a whole number, not {step!r}")
    return int(step)


def checked_tags(tags: Mapping[str, Any] | None, already: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return tags as text; a value that is not text becomes ``str(value)``, as in MLflow.

    Parameters
    ----------
    tags : mapping, optional
    already : mapping, optional
        The tags that the record has already; they count towards the limit.

    Raises
    ------
    BadName, BadValue
        For a bad key, a value over 100,000 characters, or more than 256 tags in all.
    """
    checked = {
        checked_key(key, "the key of a tag"): _as_text(value, f"the value of tag {key!r}")
        for key, value in _items(tags, "tags")
    }
    checked, phrases = secrets.masked_items(checked, "tags")
    _warn_of(phrases)
    if len({*checked, *(already or ())}) > MAX_TAGS:
        raise BadValue(what="a record", reason=f"cannot have more than {MAX_TAGS} tags")
    return checked


def checked_metrics(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """Return metrics as floats; NaN and infinities are kept.

    Raises
    ------
    BadName, BadValue
        For a bad key, or a value that is not one number.
    """
    checked = {}
    for key, value in _items(metrics, "metrics"):
        name = checked_key(key, "the name of a metric")
        try:
            if isinstance(value, (str, bytes)) or value is None:
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadValue(what=f"metric {key!r}", reason=f"must be a number, not {type(value).__name__}") from error
        checked[name] = math.nan if math.isnan(number) else number  # one object: equal records compare equal
    return checked


def checked_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return parameters: text, numbers, booleans and None as they are, anything else as ``str(value)``.

    Raises
    ------
    BadName, BadValue
        For a bad key, or a value over 100,000 characters.
    """
    checked: dict[str, Any] = {}
    for key, given in _items(params, "params"):
        name = checked_key(key, "the name of a parameter")
        is_numpy_scalar = getattr(given, "ndim", None) == 0 and hasattr(given, "item")
        value = given.item() if is_numpy_scalar else given
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise BadValue(what=f"parameter {key!r}", reason="is too large a number; pass it as text")
        if value is None or isinstance(value, (bool, int, float)):
            checked[name] = value
        else:
            checked[name] = _as_text(value, f"the value of parameter {key!r}")
    checked, phrases = secrets.masked_items(checked, "params")
    _warn_of(phrases)
    return checked


def checked_facts(
    description: str,
    tags: Mapping[str, Any] | None,
    metrics: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    aliases: Iterable[str],
    run_id: str | None,
) -> dict[str, Any]:
    """Return the facts of a new version, each checked by its own rule."""
    if isinstance(aliases, str):
        aliases = (aliases,)
    return {
        "description": checked_text(description),
        "tags": checked_tags(tags),
        "metrics": checked_metrics(metrics),
        "params": checked_params(params),
        "aliases": tuple(map(checked_alias, aliases)),
        "run_id": None if run_id is None else checked_text(run_id, "a run_id"),
    }


def checked_limit(limit: object) -> int | None:
    """Return the number of records to return, or None for all.

    Raises
    ------
    Invalid
        If it is neither None nor a whole number from 0.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise Invalid(f"limit must be a whole number from 0, or None for all records, not {limit!r}")
    return limit


def _warn_of(places: tuple[str, ...]) -> None:
    if places:
        text = f"what looks like a secret was masked in the record: {listed(places)}"
        warn(SecretFound, f"{text}; if anybody else may have seen it, replace it")


def _items(values: object, what: str) -> Iterable[tuple[Any, Any]]:
    if values is None:
        return ()
    if not isinstance(values, Mapping):
        raise BadValue(what=what, reason=f"must be a mapping of name to value, not {type(values).__name__}")
    return values.items()
