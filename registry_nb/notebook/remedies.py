"""What a wrong line of ``%registry`` was meant to be: the user's own words, as a line that can be run.

A line is taken apart by the shape of its verb, put together again, and rehearsed before it is shown: by the verb's own
action, with a registry that does nothing. So a verb needs one row in a table here, and no parser of its own.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from registry_nb import errors
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import Verb
from registry_nb.notebook.rehearsal import rehearsed
from registry_nb.notebook.speech import (
    FILLERS,
    MEANT,
    OF_PAIRS,
    OPTIONS,
    SHAPES,
    SLOTS,
    TEXTS,
    WORDS,
    cleaned,
    filter_of,
    name_and_version,
    pairs_of,
    quoted,
    rule_of,
    scores_of,
    stage_of,
    unquoted,
    value_of,
    which_of,
)
from registry_nb.notebook.verbs import VERBS
from registry_nb.registry import Registry


@dataclass
class Meant:
    """A line as it would be right.

    Attributes
    ----------
    line : str
    missing : list of str
        What it has that the user did not give, as nouns.
    """

    words: list[str]
    missing: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The line, to be copied."""
        return f"`%registry {' '.join(self.words)}`"


def meant(words: Sequence[str], registry: Registry, knows: Callable[[str], bool]) -> Meant | None:
    """Return the line that was meant, or None if there is none that could be run and is not what was written.

    Parameters
    ----------
    words : sequence of str
        As they were written, with their quotes.
    registry : Registry
        Its models and versions give the names.
    knows : callable
        Whether the notebook has a variable.
    """
    asks = [word for word in words if word not in {"help", "-h", "--help"}]
    try:
        known = _Known(registry)
        if len(asks) < len(words):
            verb, _ = _verb_of(asks, known)
            return Meant(["help", verb.name]) if verb else None
        verb, rest = _verb_of(_as_line(list(words)), known)
        if verb is None:
            return None
        found = _arranged(verb, rest, known, knows)
    except _Lost:
        return None
    except RegistryError:  # of a damaged registry, which the line itself tells
        return None
    call = None if found is None else rehearsed([found.words[0], *map(value_of, found.words[1:])], knows)
    if call is None or call == rehearsed(list(map(value_of, words)), knows):
        return None
    return found


def verb_of(words: Sequence[str], registry: Registry) -> Verb | None:
    """Return the verb that was meant, for its example."""
    try:
        return _verb_of(_as_line(list(words)), _Known(registry))[0]
    except RegistryError:
        return VERBS.get(words[0]) if words else None


#: What opens another registry, in a line.
ELSEWHERE = "`%registry use FOLDER` opens another registry"
_NAMED = r"('[^']*'|\"[^\"]*\")"
#: How the core tells what to do, in Python; and the line that does it.
_LINES = {
    re.escape(errors.ELSEWHERE): ELSEWHERE,
    rf"(?:registry\.)?register\(model, {_NAMED}\) makes": "`%registry register model as {}` makes",
    rf"move one there with promote\({_NAMED}, <version>, 'Production'\)": "move one there: `%registry promote {} 3`",
    rf"move one there with promote\({_NAMED}, <version>, {_NAMED}\)": "move one there: `%registry stage {} 3 {}`",
    rf"promote\({_NAMED}, <version>\) begins": "`%registry promote {} 3` begins",
    rf"archive\({_NAMED}, (\d+)\) it first": "archive it first: `%registry archive {} {}`",
    r"promote\(…, force=True, because=…\) overrides it": '--force --because "the reason" overrides it',
    r"\b(runs|inbox)\(\) lists": "`%registry {}` lists",
    rf"versions\({_NAMED}\) lists": "`%registry versions {}` lists",
    rf"policy\({_NAMED}, to={_NAMED}, require=\['(.*?)'\]\) sets": "`%registry policy {0} {2} --to {1}` sets",
    r"request\(name, version\) asks": "`%registry request NAME VERSION` asks",
    r"transition\(\) moves": "`%registry stage` moves",
    r"register\(\) adds": "`%registry register` adds",
    r"equal=True lists": "--all lists",
    rf"registry\.copy\({_NAMED}, NAME\) registers": "`%registry copy {} NAME` registers",
}


def in_a_line(text: str) -> str:
    """Write what the core says to do in Python as lines of ``%registry``."""
    for pattern, line in _LINES.items():
        text = re.sub(pattern, lambda found, line=line: line.format(*map(_of_python, found.groups())), text)  # type: ignore[misc]
    return text


def _of_python(text: str) -> str:
    return quoted(text[1:-1] if text[:1] in {"'", '"'} else text)


def listed(nouns: Sequence[str]) -> str:
    """Join what is missing for a sentence."""
    return " and ".join(filter(None, [", ".join(nouns[:-1]), nouns[-1]]))


# -- what is known ---------------------------------------------------------------------------------------------------


class _Known:
    """The models of a registry, asked once."""

    def __init__(self, registry: Registry) -> None:
        self._store = registry.store
        self.names = registry.store.model_names()
        self._folded = {name.casefold(): name for name in reversed(self.names)}

    def exact(self, word: str) -> str | None:
        """Return the model of a word, whatever its case."""
        return word if word in self.names else self._folded.get(word.casefold())

    def near(self, word: str) -> str | None:
        """Return the model that a word may be a misspelling of."""
        found = get_close_matches(word.casefold(), self._folded, n=1, cutoff=0.5)
        return self.exact(word) or (self._folded[found[0]] if found else None)

    def prefixes(self) -> dict[str, str]:
        """Return the metrics, parameters and tags of the newest versions, as filters write them."""
        found = dict[str, str]()
        for name in self.names[:20]:
            for number in self.numbers(name)[:5]:
                record: Any = self._store.version(name, int(number))
                for prefix in ("tags", "params", "metrics"):
                    found.update((key, f"{prefix}.{key}") for key in getattr(record, prefix))
        return found

    def numbers(self, name: str) -> list[str]:
        """Return some numbers of versions, the newest first."""
        newest = self._store.newest(name)
        return [str(n) for n in range(newest, max(newest - 20, 0), -1) if self._store.version(name, n)]


# -- the verb --------------------------------------------------------------------------------------------------------


def _as_line(words: list[str]) -> list[str]:
    """Take Python's way to write a call, and a second ``%registry``, for the line that they mean."""
    while words and words[0].lstrip("%!").casefold() in {"registry", "rn", "mlflow", ""}:
        words = words[1:]
    call = re.fullmatch(r"(?:[\w.]+\.)?(\w+)\s*(\(.*\))[;,.]?", " ".join(words), re.DOTALL)
    if not call:
        return [re.sub(r"^(?:registry|rn)\.(?=\w)", "", words[0]), *words[1:]] if words else words
    try:
        made = ast.parse(f"f{call[2]}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [call[1], *re.split(r"[\s,]+", call[2][1:-1].strip())] if words else words
    if not isinstance(made, ast.Call):
        return words
    told = [call[1], *(_as_word(value) for value in made.args)]
    for keyword in made.keywords:
        option = f"--{keyword.arg}".replace("_", "-")
        told += [_as_word(keyword.value)] if keyword.arg in {"version", "name"} else [option, _as_word(keyword.value)]
    return told


def _as_word(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return quoted(str(node.value))
    if isinstance(node, ast.Name):
        return f"${node.id}"
    return ast.unparse(node) if isinstance(node, (ast.Dict, ast.Set)) else "{" + ast.unparse(node) + "}"


def _verb_of(words: list[str], known: _Known) -> tuple[Verb | None, list[str]]:
    """Return the verb that was meant, and the other words."""
    if not words:
        return None, []
    first, rest = unquoted(words[0]).strip(",:;"), words[1:]
    folded = first.casefold().replace("-", "_")
    if first in VERBS:
        verb = first
        if verb == "models" and rest and known.exact(unquoted(rest[0])):
            verb = "versions"
    elif folded in VERBS:
        verb = folded
    elif rest and known.exact(name_and_version(first)[0]) and unquoted(rest[0]).casefold() in {*VERBS, *MEANT}:
        return _verb_of([rest[0], words[0], *rest[1:]], known)  # Iris promote 3
    elif known.exact(name_and_version(first)[0]):
        verb, rest = "show", words
    elif folded in MEANT or folded.replace("_", "-") in MEANT:
        verb = MEANT.get(folded) or MEANT[folded.replace("_", "-")]
        if rest and verb == "models":  # list Iris
            verb = "versions"
        if folded == "staging" and rest:
            rest = [*rest, "Staging"]
    else:
        near = get_close_matches(folded, [*VERBS, *MEANT], n=1, cutoff=0.6 if len(folded) > 4 else 0.7)
        if not near:
            return None, []
        verb = MEANT.get(near[0], near[0]) if near[0] not in VERBS else near[0]
    return VERBS[verb], rest


# -- the words -------------------------------------------------------------------------------------------------------


def _arranged(verb: Verb, words: Sequence[str], known: _Known, knows: Callable[[str], bool]) -> Meant | None:
    """Put the words into the order and the form that the verb takes, and something into each gap."""
    words = [cleaned(word) for word in words]
    if verb.name == "register":
        return _registering(*_apart(verb, scores_of(words), {}), knows)
    given, options = _apart(verb, words, known.prefixes())
    if verb.name not in SHAPES:
        return Meant([verb.name, *given, *options])
    slots = SHAPES[verb.name].split()
    result, missing = [verb.name], list[str]()
    if verb.name == "use" or not slots:
        return Meant([verb.name, *given, *options])
    target: list[str] = []
    if verb.name == "load" and len(given) > 1 and given[-1].isidentifier() and not which_of(given[-1]):
        asked = given[-2].casefold() in FILLERS or not (knows(given[-1]) or known.near(given[-1]))
        given, target = (given[:-1], ["as", given[-1]]) if asked else (given, [])
    if verb.name == "shadow" and "--data" not in options and len(given) > 3 and knows(given[-1]):
        given, target = given[:-1], ["--data", given[-1]]
    if verb.name == "rollback" and "--to" not in options:
        numbered = [word for word in given if re.fullmatch(r"v?\d+", word)]
        given = [word for word in given if word not in numbered]
        target = ["--to", *numbered] if numbered else []
    target = [word.lstrip("v") if verb.name == "rollback" else word for word in target]
    if verb.name == "rollback" and "--to" in options:
        options = [re.sub(r"^v(?=\d+$)", "", word) for word in options]
    if slots[0] == "WHEN" and given and known.exact(name_and_version(given[0])[0]):
        given, words = ["", *given], []
    if slots[0] == "WHEN":
        result, given = [verb.name, (given[0] if given else "") or SLOTS["WHEN"][1]], given[1:]
        missing += [] if words else [SLOTS["WHEN"][0]]
        slots = slots[1:]
    name = ""
    if "NAME" in (slot.strip("[]") for slot in slots):
        needed = sum(not slot.startswith("[") for slot in slots)
        name, given = _name_of(given, known, only_known=len(given) < needed)
        if not name and slots[0] == "NAME":
            if not known.names and given:
                return None
            if not known.names:
                return Meant(shlex.split(verb.example, posix=False), [SLOTS["NAME"][0]])
            name, missing = known.names[0], [*missing, SLOTS["NAME"][0]]
    if name:
        result.append(quoted(name))
    numbers = known.numbers(name) if name else []
    held = ""
    if "WHICH" in slots and "STAGE" in (slot.strip("[]") for slot in slots):
        held, given = _stage_apart(given, needed="STAGE" in slots)
    for slot in slots:
        kind = slot.strip("[]")
        if kind == "NAME":
            continue
        if kind == "STAGE" and held:
            result.append(held)
            continue
        taken, given = _taken(kind, given, known, name, whole=slot.startswith("["))
        if not taken and not slot.startswith("["):
            noun, example = SLOTS[kind]
            missing.append(noun)
            if kind == "WHICH":
                example = next((number for number in numbers if number not in result), "")
                if not example:  # there is no other
                    return None
            taken = [example]
        result += taken
    if any(unquoted(word).casefold() not in FILLERS for word in given):
        return None  # a word would be lost
    return Meant([*result, *target, *options], list(dict.fromkeys(missing)))


def _apart(verb: Verb, words: Sequence[str], prefixes: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Tell words from options with their values; a text without quotes is put into them."""
    known = {name: how for names, how in verb.arguments for name in names if name.startswith("--")}
    given, found = list[str](), list[str]()
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        keyword = re.fullmatch(r"(\w+)=(.+)", word, re.DOTALL)
        dashed = re.match(r"[-\u2010-\u2015\u2212]+(?=[A-Za-z])", word)
        if dashed:
            option, _, value = (dashed[0].replace("\u2014", "--") + word[dashed.end() :]).partition("=")
            rest = [value] if value else []
        elif keyword and f"--{keyword[1]}".replace("_", "-") in known and verb.name not in {"tag", "register"}:
            option, rest = f"--{keyword[1]}".replace("_", "-"), [keyword[2]]
        elif keyword and f"--{keyword[1]}" in WORDS and verb.name not in OF_PAIRS:
            given.append(keyword[2])
            continue
        elif f"--{word}" in known and word not in FILLERS and verb.name not in {"describe", "tag", "untag"}:
            option, rest = f"--{word}", []
        else:
            given.append(word)
            continue
        option = _option(option, known, rest or list(words[place : place + 1]))
        if option not in known:
            if option not in WORDS:
                raise _Lost
            given += rest  # its value is a word
            continue
        if known[option].get("action") == "store_true":
            found.append(option)
            continue
        if not rest and place < len(words):
            rest, place = [words[place]], place + 1
        if option in TEXTS:
            while place < len(words) and not re.match(r"[-\u2010-\u2015]+[A-Za-z]", words[place]):
                rest, place = [*rest, words[place]], place + 1
            rest = [" ".join(map(unquoted, rest))] if len(rest) > 1 else rest
            rest = [quoted(text) if not text.startswith(("'", '"', "$", "{")) else text for text in rest]
        if option == "--order-by" and rest:
            rest = [prefixes.get(unquoted(rest[0]), unquoted(rest[0]))] if rest[0].isidentifier() else rest
        found += [option, *(rest or ['"0.97 on holdout"' if option in TEXTS else known[option].get("metavar", "X")])]
    return given, found


class _Lost(Exception):  # no error: there is no line to propose
    """A word would not be in the line that is proposed."""


def _option(written: str, known: Iterable[str], value: Sequence[str]) -> str:
    """Return the option that was meant."""
    names = list(known)
    plain = "--" + written.lstrip("-\u2010\u2011\u2012\u2013\u2015\u2212").replace("_", "-").casefold()
    if plain == "--metrics" and value and re.match(r"[\w.-]+=", value[0]):
        return "--metric"
    for option in (written, plain):
        if option in names:
            return option
    for option, others in OPTIONS.items():
        if option in names and (written in others.split() or plain in others.split()):
            return option
    near = get_close_matches(plain, names, n=1, cutoff=0.5)
    return near[0] if near else plain


def _registering(given: list[str], options: list[str], knows: Callable[[str], bool]) -> Meant:
    """Return ``register VARIABLE as NAME``, whichever of the two came first; the number is the registry's to give."""
    rest = [word for word in given if unquoted(word).casefold() not in FILLERS - {"model", "a"}]
    if len(rest) == 2 and knows(rest[1]) and not knows(rest[0]):
        rest.reverse()
    if len(rest) == 1 and not knows(rest[0]) and rest[0].isidentifier() and knows("model"):
        return Meant(["register", "model", "as", rest[0], *options], ["a variable"])
    if len(rest) > 2 and re.fullmatch(r"v?\d+", rest[-1]):
        rest = rest[:-1]
    missing = ["a variable", "a name"][len(rest) :]
    rest = [*rest, *["model", "Iris"][len(rest) :]]
    return Meant(["register", rest[0], "as", quoted(" ".join(map(unquoted, rest[1:]))), *options], missing)


def _name_of(words: list[str], known: _Known, *, only_known: bool) -> tuple[str, list[str]]:
    """Find the word, or the words, that name the model; return it, and the others behind its version."""
    for match in (known.exact, known.near):
        for place, word in enumerate(words):
            first, which = name_and_version(unquoted(word))
            if match is known.near and (which_of(first) or first.casefold() in FILLERS):
                continue
            if found := match(first):
                others = [*words[:place], *words[place + 1 :]]
                if which or sum(unquoted(other) == found for other in others) == 1:  # Iris 2 Iris 3
                    others = [other for other in others if unquoted(other) != found]
                return found, [*([which] if which else []), *others]
        for size in (2, 3, 4):
            for place in range(len(words) - size + 1):
                if found := match(" ".join(map(unquoted, words[place : place + size]))):
                    return found, [*words[:place], *words[place + size :]]
    for place, word in enumerate(() if only_known else words):
        first, which = name_and_version(unquoted(word))
        if not which_of(first) and first.casefold() not in FILLERS and first:
            return first, [*([which] if which else []), *words[:place], *words[place + 1 :]]
    return "", words


def _taken(kind: str, words: list[str], known: _Known, name: str, *, whole: bool) -> tuple[list[str], list[str]]:
    """Take what fits a slot from the words; return it, and what is left."""
    if kind in {"WHICH", "STAGE"}:
        for place, word in enumerate(words):
            plain = unquoted(word)
            if kind == "WHICH" and known.exact(plain) == name and not which_of(plain):
                continue
            found = which_of(plain) or (_whole_of(plain, name) if kind == "WHICH" else None)
            if kind == "STAGE":
                found = stage_of(plain)
            elif found is None and word.startswith(("$", "{")):
                found = word
            if found:
                return [found], [*words[:place], *words[place + 1 :]]
            if whole and unquoted(word).casefold() not in FILLERS:
                break  # of `describe Iris "version 3"`, the text is none of it
        return [], words
    words = [word for word in words if kind in {"TEXT", "FILTER", "RULES"} or unquoted(word).casefold() not in FILLERS]
    if not words:
        return [], words
    if kind == "TEXT":
        return [words[0] if len(words) == 1 and words[0][0] in "$'\"{" else quoted(" ".join(map(unquoted, words)))], []
    if kind in {"FILTER", "RULES"}:
        text = unquoted(words[0]) if len(words) == 1 else " ".join(words)
        return [quoted(filter_of(text, known.prefixes()) if kind == "FILTER" else rule_of(text))], []
    if kind == "PAIRS":
        return list(pairs_of(words)), []
    if kind == "KEYS":
        return words, []
    if kind == "NEW":
        return [quoted(" ".join(map(unquoted, words)))], []
    first = unquoted(words[0])
    return [quoted(first.lstrip("@") if kind == "ALIAS" else first)], words[1:]


def _stage_apart(words: list[str], *, needed: bool) -> tuple[str, list[str]]:
    """Take the stage that is moved to, behind a "to" or last, unless it may be all that names a version."""
    places = [place for place, word in enumerate(words) if stage_of(unquoted(word))]
    behind = [place for place in places if place and words[place - 1].casefold() in {"to", "in", "into"}]
    versions = [word for word in words if which_of(unquoted(word))]
    if not places or not (behind or needed or len(versions) > len(places)):
        return "", words
    place = (behind or places)[-1]
    return stage_of(unquoted(words[place])) or "", [*words[:place], *words[place + 1 :]]


def _whole_of(word: str, name: str) -> str | None:
    first, which = name_and_version(word)
    return which_of(which) if which and first == name else None
