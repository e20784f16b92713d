"""The words of a wrong line in the order and the form that its verb takes, with something in each gap."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from registry_nb.domain import filters
from registry_nb.domain.records import Stage
from registry_nb.errors import shown
from registry_nb.notebook.grammar import FILTERED, Verb
from registry_nb.notebook.known import Known
from registry_nb.notebook.speech import (
    FILLED,
    FILLERS,
    OF_PAIRS,
    OPTIONS,
    SHAPES,
    SLOTS,
    TEXTS,
    WORDS,
    asked_of,
    cleaned,
    filter_of,
    is_time,
    name_and_version,
    pairs_of,
    phrased,
    quoted,
    rules_of,
    scores_of,
    stage_of,
    unquoted,
    which_of,
)

_STAGES = frozenset(Stage)
#: Words of a time, at most.
_LONGEST_TIME = 5
#: Words that may be a reason.
_PLAIN = r"[^\W\d][\w\s'.,!?-]*$"
#: How people say that there shall be no policy.
_NONE = [["none"], ["off"], ["remove"], ["clear"], ["delete"], ["drop"], ["empty"]]
#: What a rollback goes back to anyway.
_BACK = {"previous", "before", "back", "last"}
#: What `check` is said to check.
_WHOLE = {"registry", "all", "everything", "models", "versions"}


@dataclass
class Meant:
    """A line as it would be right.

    Attributes
    ----------
    words : list of str
    missing : list of str
        What it has that the user did not give, as nouns.
    fault : str
        What is wrong, where the verb's own complaint would not say it.
    target : str
        The variable that keeps the answer.
    """

    words: list[str]
    missing: list[str] = field(default_factory=list)
    fault: str = ""
    target: str = ""

    @property
    def line(self) -> str:
        """The line, to be copied."""
        return f"`{self.target and f'{self.target} = '}%registry {' '.join(self.words)}`"


class Lost(Exception):  # no error: there is no line to propose
    """A word would not be in the line that is proposed."""


def arranged(verb: Verb, words: Sequence[str], known: Known, knows: Callable[[str], bool]) -> Meant:
    """Put the words into the order and the form that the verb takes, and something into each gap.

    Raises
    ------
    Lost
    """
    words = [cleaned(word) for word in words]
    if verb.name == "register":
        return _registering(*_apart(verb, scores_of(words), known), knows)
    given, options = _apart(verb, phrased(words, verb.options), known)
    if verb.name == "check":
        return _checking(given, options, known)
    if verb.name not in SHAPES:
        return Meant([verb.name, *(word for word in given if word not in {"registry", "folder", "the"}), *options])
    return _Arranging(verb, known, knows, given, options).meant()


class _Arranging:
    """The words that are left, and those that have found their place."""

    def __init__(
        self, verb: Verb, known: Known, knows: Callable[[str], bool], given: list[str], options: list[str]
    ) -> None:
        self.verb, self.known, self.knows = verb, known, knows
        self.given, self.options, self.written = given, options, given
        self.slots = SHAPES[verb.name].split()
        self.kinds = {slot.strip("[]") for slot in self.slots}
        self.result, self.missing, self.fault = [verb.name], list[str](), ""
        self.name = ""

    def meant(self) -> Meant:
        """Return the line."""
        self._begin()
        if "WHEN" in self.kinds:
            self._take_time()
        if "NAME" in self.kinds and not self._take_name():
            return Meant(shlex.split(self.verb.example, posix=False), [SLOTS["NAME"][0]])
        self._name_versions()
        held = ""
        if {"WHICH", "STAGE"} <= self.kinds:
            held, self.given = _stage_apart(self.given, needed="STAGE" in self.slots)
        for slot in self.slots:
            kind = slot.strip("[]")
            if kind == "STAGE" and held:
                self.result.append(held)
            elif kind not in {"NAME", "WHEN"}:
                self._take(kind, needed=slot == kind)
        self._end()
        return Meant([*self.result, *self.options], list(dict.fromkeys(self.missing)), self.fault)

    def _begin(self) -> None:
        """Take apart what is written together, and what is an option though no dash says so."""
        given = self.given
        if self.verb.name == "load" and len(given) > 1 and given[-1].isidentifier() and not which_of(given[-1]):
            asked = given[-2].casefold() in FILLERS
            if asked or not (self.knows(given[-1]) or self.known.near(given[-1])):
                given, self.options = given[:-1], ["as", given[-1], *self.options]
        if self.verb.name == "rollback":
            numbered = [word for word in given if re.fullmatch(r"v?\d+", word)]
            if numbered and "--to" not in self.options:
                given = [word for word in given if word not in numbered]
                self.options = ["--to", *numbered, *self.options]
            self.options = [re.sub(r"^v(?=\d+$)", "", word) for word in self.options]
            given = [word for word in given if word.casefold() not in _BACK]
        if "ALIAS" in self.kinds:  # champion=3, Iris@champion 3
            given = [part for word in given for part in word.split("=") if part]
        if self.verb.name in {"compare", "shadow"}:  # 2..3
            ranges = (re.fullmatch(r"(.*?v?\d+)(?:\.\.+|:|-|,)(v?\d+)", word) for word in given)
            apart = (both.groups() if both else [word] for word, both in zip(given, ranges, strict=True))
            given = list(itertools.chain.from_iterable(apart))
        if self.verb.name == "policy" and [word.casefold() for word in given[1:]] in _NONE:
            given, self.options = given[:1], ["--none", *self.options]
        self.given = given

    def _take_time(self) -> None:
        """Take the words of the time, which may stand behind the model."""
        given, when = self.given, ""
        for size in range(min(len(given), _LONGEST_TIME), 0, -1):
            before, behind = (" ".join(map(unquoted, part)) for part in (given[:size], given[-size:]))
            if is_time(before):
                when, self.given = before, given[size:]
            elif is_time(behind):
                when, self.given = behind, given[:-size]
            if when:
                break
        if not when:
            self.missing.append(SLOTS["WHEN"][0])
            if given and not self.known.near(name_and_version(unquoted(given[0]))[0]):
                self.given = given[1:]  # what cannot be read as a time
        self.result.append(quoted(when) if when else SLOTS["WHEN"][1])

    def _take_name(self) -> bool:
        """Take the model's name, or the name of one that there is; tell whether there is one."""
        needed = sum(not slot.startswith("[") for slot in self.slots)
        only_known = len(self.given) < needed or (self.verb.name == "policy" and len(self.given) > 2)
        only_known |= "TEXT" in self.kinds and bool(self.given and which_of(unquoted(self.given[0])))
        if not any(self.known.near(name_and_version(unquoted(word))[0]) for word in self.given):
            self._find_owner()
        written = [name_and_version(unquoted(word))[0] for word in self.given]
        name, self.given = _name_of(self.given, self.known, only_known=only_known)
        if "WHEN" in self.kinds and name and name not in written:  # of that moment, nothing may be known at all
            self.fault = f"there is no registered model {shown(written[0])}"
        is_needed = self.slots[0] == "NAME" or ("WHICH" not in self.kinds and self.given and which_of(self.given[0]))
        if not name and is_needed:
            if not self.known.names and self.given:
                raise Lost
            if not self.known.names:
                return False
            name, self.missing = self.known.names[0], [*self.missing, SLOTS["NAME"][0]]
        if name:
            self.result.append(name if re.match(FILLED, name, re.DOTALL) else quoted(name))
        self.name = name
        return True

    def _find_owner(self) -> None:
        """Put the model in front that has the metric of a plot, or the alias, that is all that was written."""
        for word in map(unquoted, self.given):
            plain = word.removeprefix("metrics.").lstrip("@")
            if self.verb.name == "plot" and (name := self.known.with_metric(plain)):
                self.fault = f"{shown(plain)} is a metric, and the model is missing"
            elif "WHICH" in self.kinds and "ALIAS" not in self.kinds and (name := self.known.with_alias(plain)):
                self.fault = f"{shown(plain)} is an alias, and the model is missing"
            else:
                continue
            self.given = [quoted(name), *self.given]
            return

    def _name_versions(self) -> None:
        """Write aliases with their sign; leave out the version where the verb takes a whole model."""
        given = self.given
        if "ALIAS" in self.kinds:  # of two aliases, the second is the one that is set
            signed = [word for word in given if word.startswith("@")]
            given = [word for word in given if word not in signed]
            versions = [word for word in given if which_of(unquoted(word))] if "WHICH" not in self.kinds else []
            given = [word for word in given if word not in versions]
            self.given = [*signed[:-1], *given, *(word.lstrip("@") for word in signed[-1:])]
        elif "WHICH" in self.kinds and not self.kinds & {"TEXT", "KEYS"}:
            aliases = self.known.aliases(self.name) if self.name else []
            self.given = [f"@{word}" if word in aliases else word for word in given]
        elif "WHICH" not in self.kinds and given and which_of(unquoted(given[0])) not in {None, *_STAGES}:
            self.fault = f"{self.verb.name} takes a model, and {shown(unquoted(given[0]))} reads as a version"
            self.given = given[1:]

    def _take(self, kind: str, *, needed: bool) -> None:
        taken, self.given = self._taken(kind, whole=not needed)
        if not taken and needed:
            noun, example = SLOTS[kind]
            self.missing.append(noun)
            if kind == "WHICH":
                numbers = self.known.numbers(self.name) if self.name else []
                example = next((number for number in numbers if number not in self.result), "")
                if not example:  # there is no other
                    raise Lost
            taken = [example]
        self.result += taken

    def _taken(self, kind: str, *, whole: bool) -> tuple[list[str], list[str]]:
        """Take what fits a slot from the words; return it, and what is left."""
        words = self.given
        if kind == "WHICH":
            return self._version_of(words, whole=whole)
        if kind == "STAGE":
            found = next((place for place, word in enumerate(words) if stage_of(unquoted(word))), None)
            if found is None:
                return [], words
            return [stage_of(unquoted(words[found])) or ""], [*words[:found], *words[found + 1 :]]
        texts = kind in {"TEXT", "FILTER", "RULES"}
        words = [word for word in words if texts or unquoted(word).casefold() not in FILLERS]
        if not words:
            return [], words
        text = unquoted(words[0]) if len(words) == 1 else " ".join(words)
        match kind:
            case "TEXT":
                if len(words) == 1 and words[0][0] in "$'\"{":
                    return words, []
                told = re.sub(r"^(?:(?:text|description|desc) )?[=:] ", "", " ".join(map(unquoted, words)))
                return [quoted(told)], []
            case "FILTER":
                noun = FILTERED.get(self.verb.name, "version")
                prefixes = self.known.prefixes()
                return [quoted(asked_of(text, prefixes, noun) or filter_of(text, prefixes))], []
            case "RULES":
                return [quoted(rule) for rule in rules_of(text)], []
            case "PAIRS":
                return list(pairs_of(words)), []
            case "KEYS":
                return [quoted(re.sub(r"=.*", "", unquoted(word), flags=re.DOTALL)) for word in words], []
            case "NEW":
                return [quoted(" ".join(map(unquoted, words)))], []
            case "METRIC":
                metrics = self.known.metrics(self.name)
                metric = unquoted(words[0]).removeprefix("metrics.")
                near = get_close_matches(metric, metrics, n=1)
                if metrics and not near:
                    raise Lost
                return [quoted(near[0] if near else metric)], words[1:]
        return [quoted(unquoted(words[0]))], words[1:]

    def _version_of(self, words: list[str], *, whole: bool) -> tuple[list[str], list[str]]:
        for place, word in enumerate(words):
            plain = unquoted(word)
            if self.known.exact(plain) == self.name and not which_of(plain):
                continue
            found = which_of(plain) or _whole_of(plain, self.name)
            if found is None and re.match(FILLED, word, re.DOTALL) and "PAIRS" not in self.kinds:
                found = word
            if found:
                before = [one for one in words[:place] if unquoted(one).casefold() not in FILLERS]
                return [found], [*before, *words[place + 1 :]]
            may_wait = ("PAIRS" in self.kinds and "=" in word) or ("KEYS" in self.kinds and place == 0)
            if whole and plain.casefold() not in FILLERS and not may_wait:
                break  # of `describe Iris "version 3"`, the text is none of it
        return [], words

    def _end(self) -> None:
        """Find a place for what is left: the rows of a shadow, or a reason."""
        left = [word for word in self.given if unquoted(word).casefold() not in FILLERS]
        if self.verb.name == "shadow" and "--data" not in self.options:
            rows = [word for word in left if self.knows(word)][:2]
            left = [word for word in left if word not in rows]
            self.missing += [] if rows else ["the rows (--data)"]
            names = ["--data", "--truth"]
            self.options += [word for pair in zip(names, rows or ["X"], strict=False) for word in pair]
        if left and "--since" in self.verb.options and is_time(text := " ".join(map(unquoted, left))):
            left, self.options = [], [*self.options, "--since", quoted(text)]
        is_reason = left == self.written[len(self.written) - len(left) :] == self.given and not any(
            which_of(unquoted(word)) or not re.match(_PLAIN, unquoted(word)) for word in left
        )
        takes_reason = "--because" in self.verb.options and "--because" not in self.options
        if self.verb.name == "shadow" or (self.verb.name == "delete" and len(self.result) == len(["delete", "NAME"])):
            takes_reason = False  # what is left may be the rows, or the version
        if left and is_reason and takes_reason and not self.missing:
            self.options += ["--because", quoted(" ".join(map(unquoted, left)))]
        elif left:
            raise Lost


def _apart(verb: Verb, words: Sequence[str], model: Known) -> tuple[list[str], list[str]]:
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
        elif keyword and _is_word(keyword[1], verb) and verb.name not in OF_PAIRS:
            given.append(keyword[2])
            continue
        elif keyword and (called := _called(f"--{keyword[1]}", known)):
            option, rest = called, [keyword[2]]
        elif f"--{word.casefold()}" in known and word not in FILLERS:
            option, rest = f"--{word.casefold()}", []
        else:
            given.append(word)
            continue
        option = _option(option, known, rest or list(words[place : place + 1]))
        if option not in known:
            if verb.name in FILTERED:
                rest, place = (rest, place) if rest else (list(words[place : place + 1]), place + 1)
                given += _filtering(option[2:], rest, FILTERED[verb.name], joined="=" in "".join(given))
            elif _is_word(option[2:], verb):
                given += rest  # its value is a word
            elif option[2:] in FILLERS:
                given += [option[2:], *rest]
            else:
                raise Lost
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
            key, *down = unquoted(rest[0]).split()[:2] or [""]
            if not down and place < len(words) and re.fullmatch("(?i)(asc|desc)(ending)?", words[place]):
                down, place = [words[place]], place + 1
            down = ["DESC" if one.casefold().startswith("d") else "ASC" for one in down]
            rest = [quoted(" ".join([model.prefixes().get(key, key), *down]))]
        found += [option, *(rest or ['"0.97 on holdout"' if option in TEXTS else known[option].get("metavar", "X")])]
    return given, found


def _filtering(name: str, values: Sequence[str], noun: str, *, joined: bool) -> list[str]:
    """Return the comparison that an option of a listing stands for: ``--stage Production``, ``--tag team=risk``."""
    value = values[0] if values else ""
    if "=" in value:
        comparison = [f"{name}s.{value}" if name in {"tag", "metric", "param"} else value]
    elif name in filters.fields(noun) and value:
        comparison = [name, "=", value]
    elif asked_of(name, {}, noun):
        return [name, *values]
    else:
        raise Lost
    return [*(["and"] if joined else []), *comparison]


def _is_word(name: str, verb: Verb) -> bool:
    """Tell whether what a call of Python names so is a word of a line."""
    return f"--{name}" in WORDS or (verb.name == "describe" and name in {"description", "desc"})


def _called(written: str, known: Iterable[str]) -> str | None:
    """Return the option that people call so."""
    return next((option for option, others in OPTIONS.items() if option in known and written in others.split()), None)


def _option(written: str, known: Iterable[str], value: Sequence[str]) -> str:
    """Return the option that was meant."""
    names = list(known)
    plain = "--" + written.lstrip("-\u2010\u2011\u2012\u2013\u2015\u2212").replace("_", "-").casefold()
    if plain == "--metrics" and value and re.match(r"[\w.-]+=", value[0]):
        return "--metric"
    for option in (written, plain):
        if option in names:
            return option
    if called := _called(written, names) or _called(plain, names):
        return called
    near = get_close_matches(plain[2:], [name[2:] for name in names], n=1, cutoff=0.6)
    return f"--{near[0]}" if near else plain


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


def _checking(given: list[str], options: list[str], known: Known) -> Meant:
    """Return the check of the whole registry, which there is no check of a part of."""
    if not all(known.exact(name_and_version(word)[0]) or which_of(word) or word.casefold() in _WHOLE for word in given):
        raise Lost
    return Meant(["check", *options], fault="check looks at the whole registry" if given else "")


def _name_of(words: list[str], known: Known, *, only_known: bool) -> tuple[str, list[str]]:
    """Find the word, or the words, that name the model; return it, and the others behind its version."""
    for match in (known.exact, known.near):
        for place, word in enumerate(words):
            plain = unquoted(word)
            first, which = (plain, "") if known.exact(plain) else name_and_version(plain)
            if match is known.near and (which_of(first) or first.casefold() in FILLERS):
                continue
            if found := match(first):
                others = [*words[:place], *words[place + 1 :]]
                again = [
                    other
                    for other in others
                    if known.near(unquoted(other)) == found and unquoted(other).casefold() not in FILLERS
                ]
                if which or len(again) == 1:  # Iris 2 Iris 3
                    others = [other for other in others if other not in again]
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
