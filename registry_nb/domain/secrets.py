"""What looks like a secret, and how it is kept out of the records: this is the rule, and all of it.

**Values.** A text holds a secret where one of these stands in it, not in the middle of a longer word:

====================  =================================================================================
kind                  what it looks like
====================  =================================================================================
credentials in a URL  ``scheme://user:password@host``; ``scheme://token@host`` from 20 characters on
AWS access key        ``AKIA`` or ``ASIA``, then 16 capitals and digits
GitHub token          ``ghp_``, ``gho_``, ``ghu_``, ``ghs_``, ``ghr_`` or ``github_pat_``, then 20 or more
GitLab token          ``glpat-``, then 20 or more
Hugging Face token    ``hf_``, then 20 or more letters and digits
API key               ``sk-``, then 20 or more letters and digits (OpenAI); ``sk-ant-…``, ``sk-proj-…`` and the like
Slack token           ``xoxb-``, ``xoxp-``, …, then a digit and 9 or more
Google API key        ``AIza``, then 30 or more
JSON web token        ``eyJ….eyJ….…``
private key           ``-----BEGIN … PRIVATE KEY-----``, to its end
bearer token          ``Bearer``, then 20 or more
password              ``password=…``, ``"api_key": "…"``, ``Pwd=…;``: a literal given to a name of a secret in a text
====================  =================================================================================

The last two are looked for in text only, not in the bytes of pickles.

**Names.** The words of a name (``dbPassword`` and ``DB-PASSWORD`` are *db password*) tell of a secret if they *end* in
``password``, ``passwd``, ``pwd``, ``passphrase``, ``secret``, ``secrets``, ``token``, ``apikey``, ``credential``,
``credentials``, ``connection string``, or in ``key`` after ``api``, ``access``, ``account``, ``auth``, ``encryption``,
``private``, ``secret``, ``shared``, ``signing``, ``ssh`` or ``subscription``. So ``max_tokens``, ``token_pattern``,
``tokenizer``, ``author``, ``secretary``, ``password_strength_metric``, ``api_key_file`` and ``sort_key`` are none; nor
are the tokens of a language model (``pad_token``, ``eos_token``, ``mask_token``, …). A name masks the whole value, if
that is a text with something in it other than *true*, *false*, *none* and the like: a number or a flag is no secret.

**What is not found**: a secret without a shape of its own under a harmless name. Measures of entropy would find some,
and were rejected: they also find ``lr=0.1``, hashes and identifiers, and a warning that is mostly wrong is not read.

**What happens**: in metadata the secret is replaced before it is recorded, and the warning names where it stood, never
what it was. A model's bytes are not changed: a pickle is only scanned, and the warning gives the positions. Bytes in it
that are longer than 64 KB (arrays, native models) are passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from registry_nb.errors import shown

# Every repetition is limited, or does not give back what it took: no text takes longer than its length allows.

#: What may stand in a URL's user or password as it is.
_PART = r"!$-&(-.0-9;=A-Z\[-~"
#: The kind, the first character, and the rest. The first character of each stands alone at the beginning of its part of
#: the whole pattern: that is what lets the search pass quickly over what holds no secret.
_SHAPES = (
    ("credentials in a URL", ":", rf"//(?:[{_PART}]{{0,256}}:[{_PART}:@]{{1,256}}|[A-Za-z0-9_\-]{{20,256}})@"),
    ("private key", "-", r"----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY"),
)
#: The same for those that are secrets only where a word begins.
_WORDS = (
    ("AWS access key", "A", r"[KS]IA[A-Z0-9]{16}(?![A-Z0-9])"),
    ("GitHub token", "g", r"(?:h[pousr]_[A-Za-z0-9]{20,255}|ithub_pat_[A-Za-z0-9_]{20,255})"),
    ("GitLab token", "g", r"lpat-[A-Za-z0-9_\-]{20,255}"),
    ("Hugging Face token", "h", r"f_[A-Za-z0-9]{20,255}"),
    ("API key", "s", r"k-(?:(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_\-]{16,512}|[A-Za-z0-9]{20,255})"),
    ("Slack token", "x", r"ox[abeoprs]-[0-9][A-Za-z0-9\-]{9,255}"),
    ("Google API key", "A", r"Iza[A-Za-z0-9_\-]{30,255}"),
    ("JSON web token", "e", r"(?<![_\-]e)yJ[A-Za-z0-9_\-]{8,8192}\.eyJ[A-Za-z0-9_\-]{8,8192}\.[A-Za-z0-9_\-]{8,8192}"),
)
#: A literal that is given to a name: in quotes, or up to a blank, `;` or `&`. What is given `getpass()` is no secret.
_ASSIGNED = (
    r"(?P<name>(?i:password|passwd|pwd|passphrase|client_?secret|secret_?key|api_?key|(?:shared_?)?access_?key"
    r"|account_?key|access_?token|auth_?token)[\"']?(?: {0,3}[=:] {0,3}(?P<quote>[\"'])|=))(?!\[masked)"
    r"(?(quote)(?:(?!(?P=quote))[^\n]){1,512}+(?=(?P=quote))|[^\s;&,\"'()\[\]]{1,512}+(?=[\s;&]|$))"
)
#: And for those that are looked for in text only.
_PHRASES = (
    ("bearer token", "B", r"earer [A-Za-z0-9._~+/\-]{20,8192}"),
    ("password", "", _ASSIGNED),
)
_KINDS = tuple(kind for kind, _, _ in (*_SHAPES, *_WORDS, *_PHRASES))


def _either(before: str, words: tuple[tuple[str, str, str], ...]) -> str:
    """Return one pattern for all; the number in a group's name is the place of its kind."""
    parts = [(first, rest) for _, first, rest in _SHAPES]
    parts += [(first, before.replace("FIRST", first) + rest) for _, first, rest in words]
    return "|".join(f"{first}(?P<k{at}>{rest})" for at, (first, rest) in enumerate(parts))


_TEXT = re.compile(
    _either("(?<![A-Za-z0-9]FIRST)", (*_WORDS, *_PHRASES))
    .replace(_PART, _PART + "\x80-\U0010ffff")
    .replace("PRIVATE KEY", "PRIVATE KEY(?:(?!-----END).)*+(?:-----END[A-Z0-9 ]{0,99}-----)?"),
    re.ASCII | re.DOTALL,
)
#: In a pickle the byte before a text is its length, which may look like a letter; the opcode before that tells.
_BYTES = re.compile(_either(r"(?:(?<![A-Za-z0-9]FIRST)|(?<=[\x8cC][\x00-\xff]FIRST))", _WORDS).encode(), re.DOTALL)

#: The end of a name, in words of small letters.
_NAMED = re.compile(
    r"\b(?:passwords?|passwd|pwd|passphrase|secrets?|credentials?|connection ?string|(?:access ?|auth ?)?token"
    r"|(?:api|access|account|auth|encryption|private|secret|shared|signing|ssh|subscription) ?key)\Z"
)
#: The tokens of a language model, not of somebody who logs in: ``pad_token``.
_SPOKEN = re.compile(
    r"\b(?:audio|bos|cls|decoder|end|eos|eot|first|image|last|mask|middle|new|next|pad|prefix|sep|special|start|stop"
    r"|suffix|unk|video) token\Z"
)
_FLAGS = frozenset({"", "[masked]", "true", "false", "yes", "no", "none", "null"})

#: A pickle is read in pieces; a secret that begins this close to the end of one is looked for with the next.
_PIECE, _OVERLAP, _BEFORE = 1 << 20, 1 << 15, 2
#: Bytes of a pickle that are longer than this hold an array, or a native model: no secret of a program is as long.
_LONG = 1 << 16
#: In how many bytes an operation of a pickle says how long it is: frames, texts, and those that hold `_NUMBERS`.
_LENGTHS = {b"\x95": 8, b"X": 4, b"\x8d": 8, b"\x8c": 1, b"C": 1, b"B": 4, b"\x8e": 8, b"\x96": 8}
_NUMBERS = frozenset({b"B", b"\x8e", b"\x96"})
#: The operations that may stand between two frames, and how long the argument of each is.
_SMALL = {bytes([code]): 0 for code in b"()]}0tRbus\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94ae2N1l"}
_SMALL |= {b"\x80": 1, b"K": 1, b"M": 2, b"J": 4, b"G": 8, b"h": 1, b"j": 4, b"q": 1, b"r": 4}
#: Of so many pieces the rest is looked at as a whole.
_STEPS = 1_000_000


def masked(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace each secret in a text; in a URL the scheme and the host stay.

    Parameters
    ----------
    text : str

    Returns
    -------
    tuple of str and tuple of str
        The text (the same object if there is no secret in it), and the kinds that were found, each once.

    Examples
    --------
    >>> masked("from postgresql://ada:lovelace@db.example/iris")
    ('from postgresql://***@db.example/iris', ('credentials in a URL',))
    >>> masked("max_tokens=5, from https://db.example/iris")
    ('max_tokens=5, from https://db.example/iris', ())
    """
    found: dict[str, None] = {}

    def replaced(match: re.Match[str]) -> str:
        kind = _kind(match)
        found[kind] = None
        if kind == "credentials in a URL":
            return "://***@"
        return f"{match['name'] or ''}[masked {kind}]"

    clean = _TEXT.sub(replaced, text)
    return (clean, tuple(found)) if found else (text, ())


def masked_items(items: Mapping[str, Any], what: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Replace the secrets in the values of parameters or tags, by what they look like and by their names.

    Parameters
    ----------
    items : mapping
        What is not text passes, unless its name tells of a secret and it is bytes.
    what : str
        What the sentences call them.

    Returns
    -------
    tuple of dict and tuple of str
        The items, and a phrase for each that was masked, which does not hold the secret.

    Examples
    --------
    >>> masked_items({"db_password": "lovelace", "max_tokens": 5}, "params")
    ({'db_password': '[masked]', 'max_tokens': 5}, ("params['db_password']: its name tells of a secret",))
    """
    clean: dict[str, Any] = {}
    phrases: list[str] = []
    for key, value in items.items():
        name, kinds = masked(key)
        if isinstance(value, (str, bytes)) and names_a_secret(key) and not _is_flag(value):
            clean[name] = "[masked]"
            kinds += ("its name tells of a secret",)
        elif isinstance(value, str):
            clean[name], more = masked(value)
            kinds += more
        else:
            clean[name] = value
        if kinds:
            phrases.append(f"{what}[{shown(name)}]: {', '.join(dict.fromkeys(kinds))}")
    return clean, tuple(phrases)


def names_a_secret(name: str) -> bool:
    """Tell whether a name is one that secrets have.

    Examples
    --------
    >>> [name for name in ("dbPassword", "HF_TOKEN", "max_tokens", "pad_token", "author") if names_a_secret(name)]
    ['dbPassword', 'HF_TOKEN']
    """
    words = " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)).lower()
    return bool(_NAMED.search(words)) and not _SPOKEN.search(words)


def secrets_in(file: IO[bytes]) -> tuple[str, ...]:
    """Look for secrets in the bytes of a pickle, from where the file stands to its end.

    Parameters
    ----------
    file : binary file
        It is read in pieces.

    Returns
    -------
    tuple of str
        For each kind a phrase: how often, and the position of the first, counted from where the file stood.

    Examples
    --------
    >>> import io
    >>> secrets_in(io.BytesIO(b"key = AKIAABCDEFGHIJKLMNOP"))
    ('AWS access key at byte 6',)
    """
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    begin = file.tell()
    end = file.seek(0, os.SEEK_END)
    for start, stop in _texts(file, begin, end):
        for kind, at in _found_between(file, start, stop):
            first.setdefault(kind, at - begin)
            count[kind] = count.get(kind, 0) + 1
    return tuple(
        f"{kind} at byte {at}" + (f" and in {count[kind] - 1} more places" if count[kind] > 1 else "")
        for kind, at in first.items()
    )


def _found_between(file: IO[bytes], at: int, end: int) -> Iterator[tuple[str, int]]:
    """Yield the kind and the position of each secret in a part of a file."""
    file.seek(at)
    data, start, left = b"", 0, end - at  # what is looked at, from where to look in it, and what is still to be read
    while left:
        piece = file.read(min(_PIECE, left))
        left = left - len(piece) if piece else 0
        data += piece
        limit = len(data) - (_OVERLAP if left else 0)
        for match in _BYTES.finditer(data, start):
            if match.start() >= limit:
                break
            yield _kind(match), at + match.start()
            start = match.end()
        start = max(start, limit)
        dropped = max(start - _BEFORE, 0)  # what stands before tells whether a word begins
        data, at, start = data[dropped:], at + dropped, start - dropped


def _texts(file: IO[bytes], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a file that may hold text: of a pickle all but its long bytes, which are numbers.

    Since protocol 4 a pickle stands in frames, of which each says how long it is, and what is long stands between them.
    To look at every operation was the alternative: it takes a second for a million of them.
    """
    at = start = begin
    for _ in range(_STEPS):
        file.seek(at)
        head = file.read(9)
        operation, size = head[:1], -1
        if at == begin and (operation != b"\x80" or head[1:2] < b"\x04"):
            break
        width = _LENGTHS.get(operation, 0)
        if width:
            at += 1 + width
            size = int.from_bytes(head[1 : 1 + width], "little")
        elif operation in _SMALL:
            size = 1 + _SMALL[operation]
        if size < 0 or at + size >= end:  # it is at its end, or is no pickle
            break
        at += size
        if operation in _NUMBERS and size > _LONG:
            yield start, at - size
            start = at
    if start < end:
        yield start, end


def _kind(match: re.Match[Any]) -> str:
    return _KINDS[int(str(match.lastgroup)[1:])]


def _is_flag(value: str | bytes) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip().lower() in _FLAGS or text == "[masked]"
