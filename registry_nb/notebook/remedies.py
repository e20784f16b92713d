"""What a wrong line of ``%registry`` was meant to be: the user's own words, as a line that can be run.

A line is taken apart by the shape of its verb, put together again, and rehearsed before it is shown: by the verb's own
action, with a registry that does nothing. So a verb needs one row in a table here, and no parser of its own.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from registry_nb import errors
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import Verb, named
from registry_nb.notebook.rehearsal import rehearsed
from registry_nb.notebook.verbs import VERBS
from registry_nb.records import Stage
from registry_nb.registry import Registry
from registry_nb.uris import parse_which

#: What people type for a verb, from shells, git, MLflow and plain speech.
TYPED = {
    "models": "list ls dir ll all catalog status st stages",
    "versions": "version ver best top",
    "show": "info get view cat open print display describe-model tags aliases exists latest details summary",
    "history": "log logs events changes activity who why when blame audit reflog",
    "runs": "run experiments experiment mlruns trainings",
    "search": "find grep query filter select sql",
    "compare": "diff cmp vs difference",
    "plot": "graph chart draw metrics",
    "inspect": "imports scan",
    "check": "verify validate test doctor fsck health lint",
    "cells": "code source notebook provenance",
    "panel": "ui gui dashboard browse web",
    "asof": "at as-of as_of past snapshot",
    "timeline": "gantt stints serving",
    "policy": "rules gate gates require policies",
    "evaluate": "eval assess can",
    "request": "ask submit propose",
    "approve": "ok accept lgtm yes sign",
    "reject": "deny no refuse decline",
    "inbox": "requests pending todo approvals",
    "shadow": "ab canary backtest",
    "register": "save add log_model push create_model_version new put store train fit upload publish",
    "promote": "deploy release prod production serve ship golive",
    "stage": "move transition transition_model_version_stage set-stage staging",
    "archive": "demote retire deprecate hide",
    "rollback": "undo revert restore previous back reset",
    "describe": "note comment document description annotate",
    "tag": "label mark set_tag settag",
    "untag": "unlabel unset delete_tag",
    "alias": "point set_alias name",
    "unalias": "delete_alias",
    "rename": "mv ren",
    "copy": "cp clone duplicate fork",
    "delete": "rm remove del drop erase destroy",
    "load": "predict import load_model read restore_model",
    "trust": "vouch believe",
    "download": "pull fetch export checkout",
    "reproduce": "rerun repro replay",
    "use": "where pwd whoami cd switch connect init registry db folder location uri set_registry",
}
_MEANT = {word: verb for verb, words in TYPED.items() for word in words.split()}
_MEANT.update(diff="compare", versions="versions")

#: The words of verbs: what has to be there, and in brackets what may be.
_VERBS_OF = {
    "NAME WHICH": "inspect cells archive load trust reproduce",
    "NAME WHICH [STAGE]": "promote evaluate request approve reject",
    "[NAME]": "history panel inbox",
    "NAME [STAGE]": "rollback timeline",
    "[FILTER]": "models runs",
    "FILTER": "search",
    "NAME [FILTER]": "versions",
    "NAME [WHICH]": "show delete",
    "NAME WHICH WHICH": "compare shadow",
    "NAME [METRIC]": "plot",
    "WHEN [NAME] [WHICH]": "asof",
    "NAME [RULES]": "policy",
    "NAME WHICH STAGE": "stage",
    "NAME [WHICH] TEXT": "describe",
    "NAME [WHICH] PAIRS": "tag",
    "NAME [WHICH] KEYS": "untag",
    "NAME WHICH ALIAS": "alias",
    "NAME ALIAS": "unalias",
    "NAME NEW": "rename",
    "NAME WHICH NEW": "copy",
    "NAME WHICH FOLDER": "download",
}
SHAPES = {verb: shape for shape, verbs in _VERBS_OF.items() for verb in verbs.split()}

#: What a word that is missing is called, and what stands for it.
_SLOTS = {
    "NAME": ("a model", ""),
    "WHICH": ("a version", ""),
    "STAGE": (f"a stage ({', '.join(Stage)})", "Production"),
    "FILTER": ("a filter", "\"stage = 'Production'\""),
    "WHEN": ("a time", '"yesterday 09:00"'),
    "TEXT": ("a text in quotes", '"trained on the May data"'),
    "PAIRS": ("a tag as key=value", "reviewed=yes"),
    "KEYS": ("the key of a tag", "reviewed"),
    "ALIAS": ("an alias", "champion"),
    "NEW": ("a new name", "Flower"),
    "FOLDER": ("a folder", "folder"),
}

#: Options as people write them elsewhere; of `promote`, a stage is a word.
_OPTIONS = {
    "--because": "-m --message --msg --reason --comment --why -b --cause --note",
    "--limit": "-n --max --top --head --tail --max-results -l",
    "--order-by": "--sort --sort-by --order --orderby",
    "--yes": "-y -f --force --confirm --assume-yes",
    "--metric": "-M --score",
    "--param": "-p --parameter --params",
    "--tag": "-t --tags --label",
    "--describe": "--description --desc -d",
    "--example": "-e --input --input-example --sample --X",
    "--to": "--stage -s",
    "--stage": "--to -s",
    "--data": "-X --dataset --train",
    "--truth": "-y --target --labels",
}
#: Words of plain speech that say nothing to a verb.
_SPEECH = "to of in into from with and the a an for on at model version versions by vs as is -> => ="
_FILLERS = frozenset(_SPEECH.split())
#: What people call a version.
_CALLED = {
    "latest": "newest last head current recent new",
    "Production": "prod live",
    "Staging": "stag stg",
    "Archived": "archive retired",
}
_SAID = {word: which for which, words in _CALLED.items() for word in words.split()}
_TEXTS = {"--because", "--describe"}


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
    except RegistryError:  # of a damaged registry, which the line itself tells
        return None
    call = None if found is None else rehearsed([found.words[0], *map(_value, found.words[1:])], knows)
    if call is None or call == rehearsed(list(map(_value, words)), knows):
        return None
    return found


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
    return _quoted(text[1:-1] if text[:1] in {"'", '"'} else text)


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
    return _quoted(str(node.value)) if isinstance(node, ast.Constant) else "{" + ast.unparse(node) + "}"


def _verb_of(words: list[str], known: _Known) -> tuple[Verb | None, list[str]]:
    """Return the verb that was meant, and the other words."""
    if not words:
        return None, []
    first, rest = _unquoted(words[0]).strip(",:;"), words[1:]
    folded = first.casefold().replace("-", "_")
    if first in VERBS:
        verb = first
        if verb == "models" and rest and known.exact(_unquoted(rest[0])):
            verb = "versions"
    elif folded in VERBS:
        verb = folded
    elif rest and known.exact(_split_name(first)[0]) and _unquoted(rest[0]).casefold() in {*VERBS, *_MEANT}:
        return _verb_of([rest[0], words[0], *rest[1:]], known)  # Iris promote 3
    elif known.exact(_split_name(first)[0]):
        verb, rest = "show", words
    elif folded in _MEANT or folded.replace("_", "-") in _MEANT:
        verb = _MEANT.get(folded) or _MEANT[folded.replace("_", "-")]
        if rest and verb == "models":  # list Iris
            verb = "versions"
        if folded == "staging" and rest:
            rest = [*rest, "Staging"]
    else:
        near = get_close_matches(folded, [*VERBS, *_MEANT], n=1, cutoff=0.6)
        if not near:
            return None, []
        verb = _MEANT.get(near[0], near[0]) if near[0] not in VERBS else near[0]
    return VERBS[verb], rest


# -- the words -------------------------------------------------------------------------------------------------------


def _arranged(verb: Verb, words: Sequence[str], known: _Known, knows: Callable[[str], bool]) -> Meant | None:
    """Put the words into the order and the form that the verb takes, and something into each gap."""
    given, options = _apart(verb, [_clean(word) for word in words])
    if verb.name == "register":
        return _registering(given, options, knows)
    if verb.name not in SHAPES:
        return Meant([verb.name, *given, *options])
    slots = SHAPES[verb.name].split()
    result, missing = [verb.name], list[str]()
    if verb.name == "use" or not slots:
        return Meant([verb.name, *given, *options])
    target: list[str] = []
    if verb.name == "load" and len(given) > 2 and _unquoted(given[-2]) == "as":
        given, target = given[:-2], given[-2:]
    if slots[0] == "WHEN":
        given, result = given[1:], [verb.name, given[0] if given else _SLOTS["WHEN"][1]]
        missing += [] if words else [_SLOTS["WHEN"][0]]
        slots = slots[1:]
    name = ""
    if "NAME" in (slot.strip("[]") for slot in slots):
        name, given = _name_of(given, known)
        if not name and slots[0] == "NAME":
            if not known.names:
                return Meant(shlex.split(verb.example, posix=False), [_SLOTS["NAME"][0]])
            name, missing = known.names[0], [*missing, _SLOTS["NAME"][0]]
    if name:
        result.append(_quoted(name))
    numbers = known.numbers(name) if name else []
    for slot in slots:
        kind = slot.strip("[]")
        if kind == "NAME":
            continue
        taken, given = _taken(kind, given, known, name, whole=slot.startswith("["))
        if not taken and not slot.startswith("["):
            noun, example = _SLOTS[kind]
            missing.append(noun)
            if kind == "WHICH":
                example = next((number for number in numbers if number not in result), "")
                if not example:  # there is no other
                    return None
            taken = [example]
        result += taken
    if any(_unquoted(word).casefold() not in _FILLERS for word in given):
        return None  # a word would be lost
    return Meant([*result, *target, *options], list(dict.fromkeys(missing)))


def _apart(verb: Verb, words: Sequence[str]) -> tuple[list[str], list[str]]:
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
        elif keyword and (f"--{keyword[1]}".replace("_", "-")) in known and verb.name not in {"tag", "register"}:
            option, rest = f"--{keyword[1]}".replace("_", "-"), [keyword[2]]
        elif keyword and keyword[1] in {"version", "name", "stage", "to"} and verb.name != "tag":
            given.append(keyword[2])
            continue
        else:
            given.append(word)
            continue
        option = _option(option, known, rest or list(words[place : place + 1]))
        if option in {"--to", "--stage"} and option not in known:
            continue  # its value is a word of its own
        if option not in known:
            continue
        if known[option].get("action") == "store_true":
            found.append(option)
            continue
        if not rest and place < len(words):
            rest, place = [words[place]], place + 1
        if option in _TEXTS:
            while place < len(words) and not re.match(r"[-\u2010-\u2015]+[A-Za-z]", words[place]):
                rest, place = [*rest, words[place]], place + 1
            rest = [" ".join(map(_unquoted, rest))] if len(rest) > 1 else rest
            rest = [_quoted(text) if not text.startswith(("'", '"', "$", "{")) else text for text in rest]
        found += [option, *(rest or ['"0.97 on holdout"' if option in _TEXTS else known[option].get("metavar", "X")])]
    return given, found


def _option(written: str, known: Iterable[str], value: Sequence[str]) -> str:
    """Return the option that was meant."""
    names = list(known)
    plain = "--" + written.lstrip("-\u2010\u2011\u2012\u2013\u2015\u2212").replace("_", "-").casefold()
    if plain == "--metrics" and value and re.match(r"[\w.-]+=", value[0]):
        return "--metric"
    for option in (written, plain):
        if option in names:
            return option
    for option, others in _OPTIONS.items():
        if option in names and (written in others.split() or plain in others.split()):
            return option
    near = get_close_matches(plain, names, n=1, cutoff=0.5)
    return near[0] if near else plain


def _registering(given: list[str], options: list[str], knows: Callable[[str], bool]) -> Meant:
    """Return ``register VARIABLE as NAME``, whichever of the two came first."""
    rest = [
        word for word in given if _unquoted(word).casefold() not in {"as", "to", "in", "into", "->", "=>", "model:"}
    ]
    if len(rest) == 2 and knows(rest[1]) and not knows(rest[0]):
        rest.reverse()
    missing = ["a variable", "a name"][len(rest) :]
    rest = [*rest, *["model", "Iris"][len(rest) :]]
    return Meant(["register", rest[0], "as", _quoted(" ".join(map(_unquoted, rest[1:]))), *options], missing)


def _name_of(words: list[str], known: _Known) -> tuple[str, list[str]]:
    """Find the word, or the words, that name the model; return it, and the others behind its version."""
    for match in (known.exact, known.near):
        for place, word in enumerate(words):
            first, which = _split_name(_unquoted(word))
            if match is known.near and (_which(first) or first.casefold() in _FILLERS):
                continue
            if found := match(first):
                return found, [*([which] if which else []), *words[:place], *words[place + 1 :]]
        for size in (2, 3, 4):
            for place in range(len(words) - size + 1):
                if found := match(" ".join(map(_unquoted, words[place : place + size]))):
                    return found, [*words[:place], *words[place + size :]]
    for place, word in enumerate(words):
        first, which = _split_name(_unquoted(word))
        if not _which(first) and first.casefold() not in _FILLERS and first:
            return first, [*([which] if which else []), *words[:place], *words[place + 1 :]]
    return "", words


def _split_name(word: str) -> tuple[str, str]:
    """Split ``Iris/3``, ``Iris@champion``, ``Iris:3``, ``Iris#3``, ``Iris==3``, ``Iris-v3`` into two."""
    whole = re.fullmatch(r"(.+?)(?:@|[/:#]|==?|[-_. ]?(?=v\d+$))([@\w.-]+)", named(word), re.DOTALL)
    if not whole:
        return named(word), ""
    return whole[1], f"@{whole[2]}" if f"{whole[1]}@" in word and not _which(whole[2]) else whole[2]


def _which(word: str) -> str | None:
    """Return a version as a line names it, from what people call it."""
    word = word.strip(",.#()")
    number = re.fullmatch(r"(?:v|ver|version|nr|no)?[-_.#]?0*(\d+)(?:st|nd|rd|th)?", word, re.IGNORECASE)
    if number:
        return number[1]
    word = _SAID.get(word.casefold(), word)
    if word.casefold() == "latest":
        return "latest"
    with suppress(RegistryError):
        return str(parse_which(word))
    return None


def _stage(word: str) -> str | None:
    word = _SAID.get(word.casefold().strip(",."), word.strip(",."))
    near = get_close_matches(word.casefold(), [stage.casefold() for stage in Stage], n=1, cutoff=0.7)
    return next((str(stage) for stage in Stage if near and stage.casefold() == near[0]), None)


def _taken(kind: str, words: list[str], known: _Known, name: str, *, whole: bool) -> tuple[list[str], list[str]]:
    """Take what fits a slot from the words; return it, and what is left."""
    if kind in {"WHICH", "STAGE"}:
        for place, word in enumerate(words):
            plain = _unquoted(word)
            if kind == "WHICH" and known.exact(plain) == name and not _which(plain):
                continue
            found = _which(plain) or (_whole_of(plain, name) if kind == "WHICH" else None)
            if kind == "STAGE":
                found = _stage(plain)
            elif found is None and word.startswith(("$", "{")):
                found = word
            if found:
                return [found], [*words[:place], *words[place + 1 :]]
            if whole and _unquoted(word).casefold() not in _FILLERS:
                break  # of `describe Iris "version 3"`, the text is none of it
        return [], words
    words = [
        word for word in words if kind in {"TEXT", "FILTER", "RULES"} or _unquoted(word).casefold() not in _FILLERS
    ]
    if not words:
        return [], words
    if kind == "TEXT":
        return [
            words[0] if len(words) == 1 and words[0][0] in "$'\"{" else _quoted(" ".join(map(_unquoted, words)))
        ], []
    if kind in {"FILTER", "RULES"}:
        text = _unquoted(words[0]) if len(words) == 1 else " ".join(words)
        return [_quoted(_filter(text, known, name) if kind == "FILTER" else text)], []
    if kind == "PAIRS":
        return list(_pairs(words)), []
    if kind == "KEYS":
        return words, []
    first = _unquoted(words[0])
    return [_quoted(first.lstrip("@") if kind == "ALIAS" else first)], words[1:]


def _whole_of(word: str, name: str) -> str | None:
    first, which = _split_name(word)
    return _which(which) if which and first == name else None


def _pairs(words: Sequence[str]) -> Iterator[str]:
    """Read ``reviewed yes`` and ``reviewed: yes`` as ``reviewed=yes``."""
    if not any("=" in word for word in words):
        text = [part for part in re.split(r"[\s:]+", " ".join(map(_unquoted, words))) if part]
        text = text if len(text) % 2 == 0 else [*text, "yes"]
        yield from (f"{_quoted(key)}={_quoted(value)}" for key, value in zip(text[::2], text[1::2], strict=True))
        return
    joined = re.sub(r"\s*=\s*", "=", " ".join(words))
    yield from (word if "=" in word else f"{word}=yes" for word in shlex.split(joined, posix=False))


def _filter(text: str, known: _Known, name: str) -> str:
    """Give a metric its prefix, an equals sign its meaning, and a text its quotes."""
    text = re.sub(r"\s*(==|>=|<=|!=|=|>|<)\s*", lambda sign: f" {sign[1].replace('==', '=')} ", text).strip()
    compared = re.fullmatch(r"([\w.]+) (=|>|<|>=|<=|!=) (.+)", text)
    if not compared:
        return text
    subject, sign, value = compared.groups()
    for each in known.names if not name else [name]:
        for number in known.numbers(each)[:5]:
            record: Any = known._store.version(each, int(number))
            for prefix in ("metrics", "params", "tags"):
                if subject in getattr(record, prefix):
                    subject = f"{prefix}.{subject}"
    if not re.fullmatch(r"-?[\d.]+(e-?\d+)?|'.*'|\".*\"", value) and "'" not in value:
        value = f"'{value}'"
    return f"{subject} {sign} {value}"


# -- quotes ----------------------------------------------------------------------------------------------------------


def _clean(word: str) -> str:
    """Take away a comma behind a word, and the quotes of a word processor."""
    word = re.sub("[\u201c\u201d\u201e\u00ab\u00bb]", '"', re.sub("[\u2018\u2019]", "'", word))
    return word.rstrip(",;") or word


def _unquoted(word: str) -> str:
    with suppress(ValueError):
        return "".join(shlex.split(word, posix=True)) if word[:1] in "'\"" else word
    return word.strip("'\"")


def _quoted(text: str) -> str:
    """Write a text as one word of a line."""
    if text and re.fullmatch(r"[^\s'\"\\${}]+", text) and not text.startswith("-"):
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _value(word: str) -> str:
    """Return what a word means, where what is filled in is a number."""
    return re.sub(r"(^|=)[${].*", r"\g<1>1", word, flags=re.DOTALL) if word[:1] not in "'\"" else _unquoted(word)
