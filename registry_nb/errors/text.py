"""Values in sentences: quoted, listed, cut, and without characters that would disguise the rest of the text."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

#: What to do if the thing may be in another registry.
ELSEWHERE = 'registry_nb.set_registry("FOLDER") or Registry("FOLDER") opens another registry'
#: Unicode categories: control, format (bidi, zero width), surrogate, line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Characters that show as nothing although Unicode counts them as letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0\U0001d159")
_ZWJ, _ZWNJ = "\u200d", "\u200c"
#: What may stand between an emoji and a joiner: the emoji variation selector and skin tones.
_EMOJI_MARKS = "\ufe0f" + "".join(map(chr, range(0x1F3FB, 0x1F400)))
#: The combining class of viramas, the signs that suppress a letter's vowel.
_VIRAMA = 9


def is_invisible(text: str, place: int) -> bool:
    r"""Whether the character at a place of a text shows as nothing, or only changes how others are shown.

    This is the one rule for names, tables and messages. Joiners are allowed where the spelling of a word or an emoji
    needs them, as in the names of domains (RFC 5892).

    Examples
    --------
    >>> [is_invisible(text, 1) for text in ("a\u200db", "👩\u200d🔬", "a\u202eb", "a b")]
    [True, False, True, False]
    """
    char = text[place]
    return (unicodedata.category(char) in _INVISIBLE and not _joins(text, place)) or char in _BLANK


def _joins(text: str, place: int) -> bool:
    """Whether this is a joiner between emoji, behind a virama, or between Arabic letters, whose form it chooses."""
    joiner, before, after = text[place], text[:place][-3:].rstrip(_EMOJI_MARKS)[-1:], text[place + 1 : place + 2]
    if joiner not in {_ZWJ, _ZWNJ} or not before:
        return False
    if unicodedata.combining(text[place - 1]) == _VIRAMA:
        return True
    if joiner == _ZWNJ:
        return bool(after) and unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"
    return bool(after) and unicodedata.category(before) == unicodedata.category(after) == "So"


def is_blank(text: str) -> bool:
    r"""Whether a text has no letter, digit or symbol that can be seen.

    Examples
    --------
    >>> is_blank("0.97 on holdout"), is_blank(" \u200b\u2800\u3164")
    (False, True)
    """
    return not any(unicodedata.category(char)[0] in "LNPS" and char not in _BLANK for char in text)


def printable(text: str, keep: str = "") -> str:
    """Return a text with its invisible characters as escapes, except for those in `keep`."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(
        ascii(char)[1:-1] if is_invisible(text, place) and char not in keep else char for place, char in enumerate(text)
    )


def shown(value: object, most: int = 80) -> str:
    """Quote a value: its repr without invisible characters, cut."""
    try:
        text = printable(repr(value)[: most + 1])
    except Exception:  # noqa: BLE001  # it nests too deeply, or its class has a broken __repr__
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else f"{text[:most]}…"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Join names for a sentence, without invisible characters, and count those that do not fit."""
    every = list(map(printable, names))
    rest = f", and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def close(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'Iris'?`` for the most similar known name, or nothing."""
    by_fold = {other.casefold(): other for other in known}
    match = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.5)
    meant = by_fold[match[0]] if match else name
    return f"; did you mean {meant!r}?" if meant != name else ""


def in_bytes(size: float) -> str:
    """Return a number of bytes as people write it: 2.0 KB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def first_version(name: str) -> str:
    """Return the call that makes the first version of a model."""
    return f"register(model, {name!r}) makes the first"
