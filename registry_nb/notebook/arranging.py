"""Arrange the words of a wrong line in the order and form that its verb takes, and fill its gaps."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from registry_nb.domain.records import Stage
from registry_nb.errors import shown
from registry_nb.notebook.grammar import FILTERED, VERBS, Verb
from registry_nb.notebook.known import Known
from registry_nb.notebook.options import Lost, options_apart
from registry_nb.notebook.speech import (
    FILLED,
    FILLERS,
    SHAPES,
    SLOTS,
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
#: The most words of a time.
_LONGEST_TIME = 5
#: Text that can be a reason.
_PLAIN = r"[^\W\d][\w\s'.,!?-]*$"
#: Verbs that take two versions.
_OF_TWO = {"compare", "shadow"}
#: Words for removing a policy.
_NONE = [["none"], ["off"], ["remove"], ["clear"], ["delete"], ["drop"], ["empty"]]
#: Words for the earlier version, which a rollback restores by default.
_BACK = {"previous", "before", "back", "last"}
#: Words for the whole registry, which `check` checks by default.
_WHOLE = {"registry", "all", "everything", "models", "versions"}


@dataclass
class Meant:
    """A corrected line."""

    words: list[str]
    #: Nouns for the parts that the user did not give.
    missing: list[str] = field(default_factory=list)
    #: What is wrong, if the verb's own message does not explain it.
    fault: str = ""
    #: The variable that the result is assigned to.
    target: str = ""

    @property
    def line(self) -> str:
        """The line, to be copied."""
        magic = VERBS[self.words[0]].magic if self.words[0] in VERBS else "%registry"
        return f"`{self.target and f'{self.target} = '}{magic} {' '.join(self.words)}`"


def arranged(verb: Verb, words: Sequence[str], known: Known, knows: Callable[[str], bool]) -> Meant:
    """Arrange the words for a verb, with an example in each gap; raise `Lost` if a word has no place."""
    words = [cleaned(word) for word in words]
    if verb.name == "register":
        return _registering(*options_apart(verb, scores_of(words), known), knows)
    given, options = options_apart(verb, phrased(words, verb.options), known)
    if verb.name == "check":
        return _checking(given, options, known)
    if verb.name not in SHAPES:
        return Meant([verb.name, *(word for word in given if word not in {"registry", "folder", "the"}), *options])
    return _Arranging(verb, known, knows, given, options).meant()


class _Arranging:
    """The words that have no place yet, and those that have."""

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
            held, self.given = _stageoptions_apart(self.given, needed="STAGE" in self.slots)
        for slot in self.slots:
            kind = slot.strip("[]")
            if kind == "STAGE" and held:
                self.result.append(held)
            elif kind not in {"NAME", "WHEN"}:
                self._take(kind, needed=slot == kind)
        self._end()
        return Meant([*self.result, *self.options], list(dict.fromkeys(self.missing)), self.fault)

    def _begin(self) -> None:
        """Split words that are written together, and recognise options without dashes."""
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
        if self.verb.name in _OF_TWO:  # 2..3
            ranges = (re.fullmatch(r"(.*?v?\d+)(?:\.\.+|:|-|,)(v?\d+)", word) for word in given)
            apart = (both.groups() if both else [word] for word, both in zip(given, ranges, strict=True))
            given = list(itertools.chain.from_iterable(apart))
            name = name_and_version(unquoted(given[0]))[0] if given else ""
            others = [word for word in given[1:] if unquoted(word) != name]  # Iris 1 Iris 2 Iris 3
            given = [*given[:1], *(_whole_of(unquoted(word), name) or word for word in others)]
        if self.verb.name == "policy" and [word.casefold() for word in given[1:]] in _NONE:
            given, self.options = given[:1], ["--none", *self.options]
        self.given = given

    def _take_time(self) -> None:
        """Take the words of the time, which may come after the model."""
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
                self.given = given[1:]  # not a time
        self.result.append(quoted(when) if when else SLOTS["WHEN"][1])

    def _take_name(self) -> bool:
        """Take the model's name, or that of an existing one; return whether there is any."""
        needed = sum(not slot.startswith("[") for slot in self.slots)
        only_known = len(self.given) < needed or (self.verb.name == "policy" and len(self.given) > 2)
        only_known |= "TEXT" in self.kinds and bool(self.given and which_of(unquoted(self.given[0])))
        if not any(self.known.near(name_and_version(unquoted(word))[0]) for word in self.given):
            self._find_owner()
        written = [name_and_version(unquoted(word))[0] for word in self.given]
        name, self.given = _name_of(self.given, self.known, only_known=only_known)
        if "WHEN" in self.kinds and name and name not in written:  # at that moment, there may have been no models
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
        """If only a metric or an alias was written, add the model that has it."""
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
        """Write aliases with @; remove the version if the verb takes a model."""
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
        """Take the words that fit a slot; return them, and the others."""
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
                description = re.sub(r"^(?:(?:text|description|desc) )?[=:] ", "", " ".join(map(unquoted, words)))
                return [quoted(description)], []
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
            found = which_of(plain) or _whole_of(plain, self.name)
            if found is None and re.match(FILLED, word, re.DOTALL) and "PAIRS" not in self.kinds:
                found = word
            if found:
                before = [one for one in words[:place] if unquoted(one).casefold() not in FILLERS]
                return [found], [*before, *words[place + 1 :]]
            may_wait = ("PAIRS" in self.kinds and "=" in word) or ("KEYS" in self.kinds and place == 0)
            if whole and plain.casefold() not in FILLERS and not may_wait:
                break  # the text of `describe Iris "version 3"` has no version
        return [], words

    def _end(self) -> None:
        """Find a place for the other words: the rows of a shadow, or a reason."""
        left = [word for word in self.given if unquoted(word).casefold() not in FILLERS]
        if self.verb.name == "shadow" and "--data" not in self.options:
            rows = [word for word in left if self.knows(word)][:2]
            left = [word for word in left if word not in rows]
            self.missing += [] if rows else ["the rows (--data)"]
            names = ["--data", "--truth"]
            self.options += [word for pair in zip(names, rows or ["X"], strict=False) for word in pair]
        if left and self.verb.name in _OF_TWO and all(which_of(unquoted(word)) for word in left):
            self.fault, left = f"{self.verb.name} takes two versions at a time, not {2 + len(left)}", []
        if left and "--since" in self.verb.options and is_time(text := " ".join(map(unquoted, left))):
            left, self.options = [], [*self.options, "--since", quoted(text)]
        is_reason = left == self.written[len(self.written) - len(left) :] == self.given and not any(
            which_of(unquoted(word)) or not re.match(_PLAIN, unquoted(word)) for word in left
        )
        takes_reason = "--because" in self.verb.options and "--because" not in self.options
        if self.verb.name == "shadow" or (self.verb.name == "delete" and len(self.result) == len(["delete", "NAME"])):
            takes_reason = False  # the words may be the rows, or the version
        if left and is_reason and takes_reason and not self.missing:
            self.options += ["--because", quoted(" ".join(map(unquoted, left)))]
        elif left:
            raise Lost


def _registering(given: list[str], options: list[str], knows: Callable[[str], bool]) -> Meant:
    """Return ``register VARIABLE as NAME``, in whatever order they were written, without a number."""
    rest = [word for word in given if unquoted(word).casefold() not in FILLERS - {"model", "a"}]
    if "--path" in options:
        missing = [] if rest else ["a name"]
        return Meant(["register", "as", quoted(unquoted((rest or ["Iris"])[-1])), *options], missing)
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
    """Return the check of the whole registry; there is no check of a part."""
    if not all(known.exact(name_and_version(word)[0]) or which_of(word) or word.casefold() in _WHOLE for word in given):
        raise Lost
    return Meant(["check", *options], fault="check checks the whole registry" if given else "")


def _name_of(words: list[str], known: Known, *, only_known: bool) -> tuple[str, list[str]]:
    """Find the words that name the model; return its name, and the other words after its version."""
    for match in (known.exact, known.near):
        for place, word in enumerate(words):
            plain = unquoted(word)
            first, which = (plain, "") if known.exact(plain) else name_and_version(plain)
            if match == known.near and (which_of(first) or first.casefold() in FILLERS):
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


def _stageoptions_apart(words: list[str], *, needed: bool) -> tuple[str, list[str]]:
    """Take the target stage, after a "to" or last, unless it is the only word that can be the version."""
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
