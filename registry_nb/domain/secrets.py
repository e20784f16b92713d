"""Detect secrets and keep them out of the records. This is the complete rule.

**Values.** A text contains a secret if one of these is in it, but not in the middle of a longer word:

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

The last two are searched in text only, not in the bytes of pickles.

**Names.** The words of a name (``dbPassword`` and ``DB-PASSWORD`` are *db password*) indicate a secret if they *end* in
``password``, ``passwd``, ``pwd``, ``passphrase``, ``secret``, ``secrets``, ``token``, ``apikey``, ``credential``,
``credentials``, ``connection string``, or in ``key`` after ``api``, ``access``, ``account``, ``auth``, ``encryption``,
``private``, ``secret``, ``shared``, ``signing``, ``ssh`` or ``subscription``. So ``max_tokens``, ``token_pattern``,
``tokenizer``, ``author``, ``secretary``, ``password_strength_metric``, ``api_key_file`` and ``sort_key`` do not, nor
do the tokens of a language model (``pad_token``, ``eos_token``, ``mask_token``, …). Such a name masks the whole value,
if it is a text other than *true*, *false*, *none* and the like: a number or a flag is no secret.

**What is missed**: a secret without a typical form under a harmless name. Entropy would find some, and was rejected: it
also finds ``lr=0.1``, hashes and identifiers, and people ignore warnings that are mostly wrong.

**What happens**: in metadata the secret is replaced before it is recorded, and the warning has its place, never the
secret. A model's bytes are not changed: a pickle is only scanned, and the warning has the positions. Byte strings in it
that are longer than 64 KB (arrays, native models) are skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from registry_nb.errors import shown

# Every repetition is limited or possessive, so the time is linear in the length of the text.

#: The characters that may be in a URL's user or password unescaped.
_PART = r"!$-&(-.0-9;=A-Z\[-~"
#: The kind, the first character, and the rest. Each part of the whole pattern begins with its first character alone,
#: which lets the search skip text without secrets quickly.
_SHAPES = (
    ("credentials in a URL", ":", rf"//(?:[{_PART}]{{0,256}}:[{_PART}:@]{{1,256}}|[A-Za-z0-9_\-]{{20,256}})@"),
    ("private key", "-", r"----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY"),
)
#: The same for those that count only at the beginning of a word.
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
#: A literal that is assigned to a name: in quotes, or up to a blank, `;` or `&`. A call, as `getpass()`, is no secret.
_ASSIGNED = (
    r"(?P<name>(?i:password|passwd|pwd|passphrase|client_?secret|secret_?key|api_?key|(?:shared_?)?access_?key"
    r"|account_?key|access_?token|auth_?token)[\"']?(?: {0,3}[=:] {0,3}(?P<quote>[\"'])|=))(?!\[masked)"
    r"(?(quote)(?:(?!(?P=quote))[^\n]){1,512}+(?=(?P=quote))|[^\s;&,\"'()\[\]]{1,512}+(?=[\s;&]|$))"
)
#: And for those that are searched in text only.
_PHRASES = (
    ("bearer token", "B", r"earer [A-Za-z0-9._~+/\-]{20,8192}"),
    ("password", "", _ASSIGNED),
)
_KINDS = tuple(kind for kind, _, _ in (*_SHAPES, *_WORDS, *_PHRASES))


def _either(before: str, words: tuple[tuple[str, str, str], ...]) -> str:
    """Return one pattern for all; the number in a group's name is the index of its kind."""
    parts = [(first, rest) for _, first, rest in _SHAPES]
    parts += [(first, before.replace("FIRST", first) + rest) for _, first, rest in words]
    return "|".join(f"{first}(?P<k{at}>{rest})" for at, (first, rest) in enumerate(parts))


_TEXT = re.compile(
    _either("(?<![A-Za-z0-9]FIRST)", (*_WORDS, *_PHRASES))
    .replace(_PART, _PART + "\x80-\U0010ffff")
    .replace("PRIVATE KEY", "PRIVATE KEY(?:(?!-----END).)*+(?:-----END[A-Z0-9 ]{0,99}-----)?"),
    re.ASCII | re.DOTALL,
)
#: In a pickle the byte before a text is its length, which may look like a letter; the opcode before it decides.
_BYTES = re.compile(_either(r"(?:(?<![A-Za-z0-9]FIRST)|(?<=[\x8cC][\x00-\xff]FIRST))", _WORDS).encode(), re.DOTALL)

#: The end of a name, in words of small letters.
_NAMED = re.compile(
    r"\b(?:passwords?|passwd|pwd|passphrase|secrets?|credentials?|connection ?string|(?:access ?|auth ?)?token"
    r"|(?:api|access|account|auth|encryption|private|secret|shared|signing|ssh|subscription) ?key)\Z"
)
#: The tokens of a language model, not of a login: ``pad_token``.
_SPOKEN = re.compile(
    r"\b(?:audio|bos|cls|decoder|end|eos|eot|first|image|last|mask|middle|new|next|pad|prefix|sep|special|start|stop"
    r"|suffix|unk|video) token\Z"
)
_FLAGS = frozenset({"", "[masked]", "true", "false", "yes", "no", "none", "null"})

#: A pickle is read in pieces; a secret that begins this close to the end of one is searched with the next.
_PIECE, _OVERLAP, _BEFORE = 1 << 20, 1 << 15, 2
#: Byte strings of a pickle longer than this are arrays or native models: no secret is as long.
_LONG = 1 << 16
#: The bytes of the length field of a pickle operation: frames, texts, and byte strings (`_NUMBERS`).
_LENGTHS = {b"\x95": 8, b"X": 4, b"\x8d": 8, b"\x8c": 1, b"C": 1, b"B": 4, b"\x8e": 8, b"\x96": 8}
_NUMBERS = frozenset({b"B", b"\x8e", b"\x96"})
#: The operations that may be between two frames, and the length of the argument of each.
_SMALL = {bytes([code]): 0 for code in b"()]}0tRbus\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94ae2N1l"}
_SMALL |= {b"\x80": 1, b"K": 1, b"M": 2, b"J": 4, b"G": 8, b"h": 1, b"j": 4, b"q": 1, b"r": 4}
#: After so many pieces the rest is scanned as one.
_STEPS = 1_000_000


def masked(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace the secrets in a text, and return their kinds, each once; in a URL the scheme and the host stay.

    Examples
    --------
    >>> masked("from postgresql://ada:lovelace@db.example/iris")
    ('from postgresql://***@db.example/iris', ('credentials in a URL',))
    >>> masked("max_tokens=5, from https://db.example/iris")
    ('max_tokens=5, from https://db.example/iris', ())
    """
    kinds: dict[str, None] = {}

    def replaced(match: re.Match[str]) -> str:
        kind = _kind(match)
        kinds[kind] = None
        if kind == "credentials in a URL":
            return "://***@"
        return f"{match['name'] or ''}[masked {kind}]"

    clean = _TEXT.sub(replaced, text)
    return clean, tuple(kinds)


def masked_items(items: Mapping[str, Any], what: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Replace the secrets in the values of parameters or tags, by their form and by their names.

    `what` names the mapping in the phrases that are returned, one for each secret, without the secret.

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
    """Whether a name is typical of secrets.

    Examples
    --------
    >>> [name for name in ("dbPassword", "HF_TOKEN", "max_tokens", "pad_token", "author") if names_a_secret(name)]
    ['dbPassword', 'HF_TOKEN']
    """
    words = " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)).lower()
    return bool(_NAMED.search(words)) and not _SPOKEN.search(words)


def secrets_in(file: IO[bytes]) -> tuple[str, ...]:
    """Find secrets in the bytes of a pickle, from the position of the file to its end, which are read in pieces.

    Each kind gets a phrase, with the position of the first, relative to the start, and the number of the others.

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
    data, start, left = b"", 0, end - at  # the window, where to search from in it, and the bytes still to be read
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
        dropped = max(start - _BEFORE, 0)  # the bytes before decide whether a word begins
        data, at, start = data[dropped:], at + dropped, start - dropped


def _texts(file: IO[bytes], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a file that may contain text: of a pickle all but its long byte strings, which are numbers.

    Since protocol 4 a pickle consists of frames with a length, and long values are between them. The alternative,
    reading every operation, takes a second for a million of them.
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
        if size < 0 or at + size >= end:  # the end, or no pickle
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
