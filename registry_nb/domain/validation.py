"""What may be called what: the rules for names, aliases, tags and their limits, in one place.

A value that breaks a rule is refused, never cut or repaired, with one exception: names are normalised to Unicode NFC,
so that two spellings of one word are one name. A name never becomes a path. What looks like a secret is masked here,
since all text that is recorded passes here, and the caller is warned.
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

MAX_NAME = 255
MAX_TAGS = 256
MAX_TAG_KEY = 250
MAX_TEXT = 100_000
#: What a float can hold, and so what a filter can compare.
_MAX_BITS = 1023

_RESERVED = set("/\\:@?#%")
#: Unicode categories: control, format (bidi, zero width), surrogate, line and paragraph separators.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
#: Characters that show as nothing although Unicode counts them as letters, marks or symbols.
_BLANK = set("\u034f\u115f\u1160\u2800\u3164\uffa0\U0001d159")
_ZWJ, _ZWNJ = "\u200d", "\u200c"
#: What stands between an emoji and a joiner: that it is a picture, and the tones of skin.
_EMOJI_MARKS = "\ufe0f" + "".join(map(chr, range(0x1F3FB, 0x1F400)))
#: The class of the signs that take a letter its vowel.
_VIRAMA = 9
#: Small letters of Cyrillic and Greek that look like Latin ones.
_TWINS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf\u0432\u043a\u043c\u043d\u0442"
    "\u03b1\u03b2\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "aeopcyxijsdhlbkmhtabeikvoptux",
)
#: What JSON, and so the panel, holds exactly.
MAX_VERSION = 2**53 - 1
_ALIAS = re.compile(r"[A-Za-z0-9_.-]+")
_VERSION_LIKE = re.compile(r"v?[0-9]+", re.IGNORECASE)


def checked_name(name: object, what: str = "the name of a model") -> str:
    r"""Return the name in NFC.

    Raises
    ------
    BadName
        Unless it has 1 to 255 characters, none of ``/ \ : @ ? # %``, none that is invisible, no blank at either end,
        and is not ``.`` or ``..``.

    Examples
    --------
    >>> checked_name("Iris 🌸")
    'Iris 🌸'
    """

    def refuse(reason: str) -> BadName:
        return BadName(what=what, given=name, reason=reason)

    if not isinstance(name, str):
        raise refuse("a name is text")
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise refuse("it is empty")
    if len(name) > MAX_NAME:
        raise refuse(f"it has {len(name)} characters, and {MAX_NAME} is the most")
    if bad := sorted(_RESERVED.intersection(name)):
        raise refuse(f"{' '.join(bad)} is not allowed in a name")
    if hidden := next((char for place, char in enumerate(name) if _is_hidden(char) and not joins(name, place)), ""):
        raise refuse(f"it contains an invisible character ({hidden!a})")
    if name != name.strip():
        raise refuse("it begins or ends with a blank")
    if name in {".", ".."}:
        raise refuse("it means a folder")
    return name


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE or char in _BLANK


def joins(text: str, place: int) -> bool:
    r"""Tell whether the joiner at a place is how the word is written, as in the names of domains (RFC 5892).

    Between emoji it makes one of several, behind a virama and between letters of Arabic it chooses their form.

    Examples
    --------
    >>> [joins(text, text.index("\u200d")) for text in ("👩\u200d🔬", "a\u200db")]
    [True, False]
    """
    joiner, before, after = (
        text[place],
        text[max(place - 3, 0) : place].rstrip(_EMOJI_MARKS)[-1:],
        text[place + 1 : place + 2],
    )
    if joiner not in {_ZWJ, _ZWNJ} or not before:
        return False
    if unicodedata.combining(text[place - 1]) == _VIRAMA:
        return True
    if joiner == _ZWNJ:
        return bool(after) and unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"
    return bool(after) and unicodedata.category(before) == unicodedata.category(after) == "So"


def alike(name: str, names: Iterable[str]) -> str:
    r"""Return one of some names that looks like another name, or nothing.

    Case, blanks, underscores, hyphens and joiners make no difference, nor do forms of one character, nor letters of
    Greek and Cyrillic that look like Latin ones.

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
    """Return the alias.

    Raises
    ------
    BadName
        Unless it is made of letters, digits, ``_``, ``-`` and ``.``, and is not ``latest``, a stage or like ``v12``.
    """
    what = "an alias"
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or len(alias) > MAX_NAME:
        raise BadName(what=what, given=alias, reason="an alias is made of letters, digits, '_', '-' and '.'")
    if alias.casefold() in {"latest", *(stage.casefold() for stage in Stage)} or _VERSION_LIKE.fullmatch(alias):
        raise BadName(what=what, given=alias, reason="'latest', stages and version numbers are reserved")
    return alias


def checked_version(version: object) -> int:
    """Return the version number.

    Raises
    ------
    BadVersion
        Unless it is a whole number from 1: an ``int`` (not a ``bool``), or ASCII digits.
    """
    digits = isinstance(version, str) and version.isascii() and version.isdecimal() and len(version) <= 16
    whole = isinstance(version, numbers.Integral) and not isinstance(
        version, bool
    )  # numpy's integers come out of frames
    number = int(version) if digits or whole else 0  # type: ignore[call-overload]
    if not 1 <= number <= MAX_VERSION:
        raise BadVersion(given=version)
    return number


def says_something(text: str) -> bool:
    r"""Tell whether a text has anything to see: a letter, a digit, a sign; not blanks, controls and marks alone.

    Examples
    --------
    >>> says_something("0.97 on holdout"), says_something(" \u200b\u2800\u3164")
    (True, False)
    """
    return any(unicodedata.category(char)[0] in "LNPS" and char not in _BLANK for char in text)


def checked_text(text: object, what: str = "a description") -> str:
    """Return the text, with secrets masked.

    Raises
    ------
    BadValue
        If it is not text, too long, or not valid Unicode.
    """
    if not isinstance(text, str):
        raise BadValue(what=what, reason=f"is text, not {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise BadValue(what=what, reason=f"has {len(text):,} characters, and {MAX_TEXT:,} is the most")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadValue(
            what=what, reason="contains half a character (a lone surrogate), which no file can hold"
        ) from None
    kept, kinds = secrets.masked(text)
    _warn_of(tuple(f"{what} ({kind})" for kind in kinds))
    return kept


def _told(value: object, what: str) -> str:
    try:
        text = str(value)
    except Exception as error:
        pass_signals(error)
        raise BadValue(what=what, reason=f"has no text ({type(error).__name__}); give a text") from error
    return checked_text(text, what)


def checked_key(key: object, what: str) -> str:
    """Return the key of a tag, metric or parameter.

    Raises
    ------
    BadName
        Unless it is text of 1 to 250 characters, and something of it can be seen.
    """
    if not isinstance(key, str):
        raise BadName(what=what, given=key, reason="it is not text")
    if not says_something(key) or len(key) > MAX_TAG_KEY:
        raise BadName(what=what, given=key, reason=f"it must have 1 to {MAX_TAG_KEY} characters")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in key):
        raise BadName(what=what, given=key, reason="it contains a control character or half a character")
    return key


def checked_tags(tags: Mapping[str, Any] | None, already: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return tags as text; a value that is not text becomes ``str(value)``, as in MLflow.

    Parameters
    ----------
    tags : mapping, optional
    already : mapping, optional
        The tags that these join, for the limit.

    Raises
    ------
    BadName, BadValue
        For a bad key, a value over 100,000 characters, or more than 256 tags in all.
    """
    read = {
        checked_key(key, "the key of a tag"): _told(value, f"the value of tag {key!r}")
        for key, value in _items(tags, "tags")
    }
    read, found = secrets.masked_items(read, "tags")
    _warn_of(found)
    if len({*read, *(already or ())}) > MAX_TAGS:
        raise BadValue(what="this", reason=f"would have more than {MAX_TAGS} tags, which is the most")
    return read


def checked_metrics(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """Return metrics as floats; NaN and infinities are kept.

    Raises
    ------
    BadName, BadValue
        For a bad key, or a value that is not one number.
    """
    read = {}
    for key, value in _items(metrics, "metrics"):
        name = checked_key(key, "the name of a metric")
        try:
            if isinstance(value, (str, bytes)) or value is None:
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadValue(what=f"metric {key!r}", reason=f"is a number, not {type(value).__name__}") from error
        read[name] = math.nan if math.isnan(number) else number  # one object: what is read again equals it
    return read


def checked_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return parameters: text, numbers, booleans and None as they are, anything else as ``str(value)``.

    Raises
    ------
    BadName, BadValue
        For a bad key, or a value over 100,000 characters.
    """
    read: dict[str, Any] = {}
    for key, given in _items(params, "params"):
        name = checked_key(key, "the name of a parameter")
        value = (
            given.item() if getattr(given, "ndim", None) == 0 and hasattr(given, "item") else given
        )  # numpy's scalars
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise BadValue(what=f"parameter {key!r}", reason="is too large a number; give it as text")
        if value is None or isinstance(value, (bool, int, float)):
            read[name] = value
        else:
            read[name] = _told(value, f"the value of parameter {key!r}")
    read, found = secrets.masked_items(read, "params")
    _warn_of(found)
    return read


def checked_facts(
    description: str,
    tags: Mapping[str, Any] | None,
    metrics: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    aliases: Iterable[str],
    run_id: str | None,
) -> dict[str, Any]:
    """Return what is said of a new version, each part by its own rule.

    Raises
    ------
    BadName, BadValue
    """
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
    """Return how many records are wanted, or None for all.

    Raises
    ------
    Invalid
        Unless it is a whole number from 0.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise Invalid(f"limit is a whole number from 0, or None for everything, not {limit!r}")
    return limit


def _warn_of(places: tuple[str, ...]) -> None:
    if places:
        text = f"what looks like a secret was masked in the record: {listed(places)}"
        warn(SecretFound, f"{text}; if it was ever shown to somebody, replace it")


def _items(given: object, what: str) -> Iterable[tuple[Any, Any]]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise BadValue(what=what, reason=f"are a mapping of name to value, not {type(given).__name__}")
    return given.items()
