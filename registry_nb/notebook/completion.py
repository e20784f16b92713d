"""Complete a line of ``%registry``: verbs, options, models, versions, stages, tags, variables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from registry_nb.domain import filters
from registry_nb.domain.records import ModelVersion, Stage
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import FILTERED, Place
from registry_nb.notebook.verbs import VERBS, Verb
from registry_nb.registry import Registry
from registry_nb.rules import RULES

#: A word, or the beginning of one: its quote may still be open.
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$)|\\$)+""", re.DOTALL)
#: The prefix of a key in a filter; people begin with the key.
_OF = re.compile(r"(?<![\w.])(metrics|params|tags)\.")
#: Verbs whose first word is not a model.
_OF_NO_MODEL = {"runs", "check", "use", "models", "search", "inbox", "atomically"}
#: The operators after a field of a filter and after a comparison, by their names in its grammar.
_SIGNS = {
    "NULL": ("IS NULL", "IS NOT NULL"),
    "COMPARE": ("=", "!=", ">=", "<=", ">", "<"),
    "LIKE": ("LIKE", "NOT LIKE", "ILIKE"),
    "IN": ("IN",),
    "AND": ("AND",),
    "OR": ("OR",),
}
#: Newest versions that are searched for the keys of tags and metrics.
_RECENT = 20
#: Names of a folder that are offered.
_MOST_PATHS = 500


def completed(line: str, here: Place, registry_of: Callable[[], Registry]) -> tuple[str, list[str]]:
    """Return the word before the cursor and its completions; `line` is the text from ``%registry`` to the cursor."""
    words = _WORD.findall(line)
    typed = words.pop() if words and line.endswith(words[-1]) else ""
    before = list(map(_unquoted, words))
    try:
        registry = registry_of()
        if (place := _in_a_filter(before)) and not typed.startswith("-"):
            begins = typed  # a word, or a part of a quoted one
            typed, found = _in_filter(place, before, typed, registry)
            found += [] if begins else _left(VERBS[before[0]], before)
        else:
            found = list(_offered(before, _unquoted(typed), here, registry))
    except RegistryError:  # running the line reports it
        found = []
    begun = typed.casefold()
    begins = (begun, f'"{begun}')
    return typed, [
        word for word in found if word.casefold().startswith(begins) or _OF.sub("", word).casefold().startswith(begins)
    ]


def _in_a_filter(words: Sequence[str]) -> str:
    """Return what a filter after `words` filters, or an empty text if no filter can follow."""
    if words and words[-1] == "--filter":
        return "version"
    noun = FILTERED.get(words[0], "") if words else ""
    return noun if noun and len(words) == (2 if words[0] == "versions" else 1) else ""


def _in_filter(noun: str, words: Sequence[str], typed: str, registry: Registry) -> tuple[str, list[str]]:
    """Return the end of an unfinished filter, and its completions."""
    quote = typed[:1] if typed[:1] in {'"', "'"} else ""
    written = typed[len(quote) :]
    found = re.search(r"[A-Za-z_][\w.]*$", written)
    tail = found[0] if found else ""
    begun = written[: len(written) - len(tail)]
    if not begun:
        return typed, [f"{quote}{name}" for name in _fields(noun, words, registry)]
    expected = filters.follows(begun)
    offered = [*_fields(noun, words, registry)] if "FIELD" in expected else []
    return tail, [*offered, *(word for sign, words in _SIGNS.items() if sign in expected for word in words)]


def _fields(noun: str, words: Sequence[str], registry: Registry) -> list[str]:
    """Name the fields of a filter, existing keys first."""
    names = words[1:2] if words[0] == "versions" or "--filter" in words else registry.store.model_names()[:_RECENT]
    recent = [version for name in names for version in list(_recent(registry, name))[: _RECENT if words[1:] else 3]]
    of: dict[str, Sequence[Any]] = {}
    if noun == "version":
        of = dict.fromkeys(("metrics", "params", "tags"), recent)
    if noun == "model":
        of = {"tags": [model for name in names if (model := registry.store.model(name, latest=False))]}
    keys = (f"{kind}.{key}" for kind, held in of.items() for one in held for key in getattr(one, kind))
    plain = [
        key if re.fullmatch(r"\w+\.[\w./-]+", key) else key.replace(".", ".`", 1) + "`" for key in dict.fromkeys(keys)
    ]
    return [*plain, *filters.fields(noun)]


def _offered(words: Sequence[str], typed: str, here: Place, registry: Registry) -> Iterable[str]:
    """Return the completions of `typed` after `words`."""
    if not words:
        return [*VERBS, "help"]
    verb = VERBS.get(words[0])
    if verb is None:
        return VERBS if words == ["help"] else ()
    if typed.startswith("-"):
        return _left(verb, words)
    last = words[-1]
    if last == "--path":
        return _paths(typed)
    if last in verb.options:
        return _values(verb, last, words, here, registry)
    if verb.name == "register" and "--path" in words:
        return ["as", *_names(registry)]
    if verb.name == "register":
        return [here.models(), ["as"], _names(registry)][len(words) - 1] if len(words) < 4 else ()
    if verb.name in _OF_NO_MODEL:
        return _left(verb, words) if len(words) > 1 or verb.name != "use" else ()
    if verb.name == "asof":  # its first word is a time
        words = words[1:]
        if not words:
            return ()
    if len(words) == 1:
        return _models_or_references(registry, typed)
    whole = re.search(r"[/@]", words[1]) is not None
    name, place = re.split(r"[/@]", words[1])[0], len(words) - (1 if whole else 2)
    match verb.name:
        case "shadow":
            return _whiches(registry, name) if len(words) in {2, 3} else ()
        case "compare":
            return _models_or_references(registry, typed) if whole or place else _whiches(registry, name)
        case "plot":
            return _metrics(registry) if len(words) == 2 else _left(verb, words)
        case "policy":
            return [*_rules(registry, name), *_left(verb, words)]
        case "tag" | "untag":
            keys = _tags(registry, name)
            return [f"{key}=" for key in keys] if verb.name == "tag" else keys
        case "unalias":
            return _aliases(registry, name) if len(words) == 2 else ()
    if not place and not whole and _takes_versions(verb):
        return _whiches(registry, name)
    if place == 1:
        match verb.name:
            case "stage":
                return list(Stage)
            case "alias":
                return _aliases(registry, name)
            case "copy":
                return _names(registry)
            case "load":
                return ["as"]
    return _left(verb, words)


def _left(verb: Verb, words: Sequence[str]) -> list[str]:
    """Name the options that are not on the line yet."""
    return [option for option in verb.options if option not in words]


def _rules(registry: Registry, name: str) -> list[str]:
    """Name the beginnings of policy rules; each is one word of the line."""
    metrics = dict.fromkeys(key for version in _recent(registry, name) for key in version.metrics)
    return [*(f'metric("{key}")' for key in metrics), *(f'tag("{key}")' for key in _tags(registry, name)), *RULES]


def _values(verb: Verb, option: str, words: Sequence[str], here: Place, registry: Registry) -> Iterable[str]:
    if option in {"--example", "--data", "--metrics", "--truth"}:
        return here.names()
    if option == "--stage" or (option == "--to" and verb.name != "rollback"):
        return [Stage.PRODUCTION, Stage.STAGING]
    if option == "--metric":
        return [f"{name}=" for name in _metrics(registry)]
    return _numbers(registry, re.split(r"[/@]", words[1])[0]) if option in {"--to", "--expected"} else ()


def _paths(typed: str) -> list[str]:
    """Name the files and folders that a path may mean, hidden ones only if it begins so."""
    folder, begun = os.path.split(typed)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in islice(entries, _MOST_PATHS)]
    except OSError:
        return []
    return [_as_typed(os.path.join(folder, name)) for name in sorted(found) if name[0] != "." or begun[:1] == "."]


def _models_or_references(registry: Registry, typed: str) -> list[str]:
    found = re.match(r"([^/@]+)[/@]", typed)
    if found is None:
        return _names(registry)
    name = found[1]
    if registry.store.model(name, latest=False) is None:  # its case may differ
        name = next((one for one in registry.store.model_names() if one.casefold() == name.casefold()), name)
    offered = [*(f"{name}/{which}" for which in _whiches(registry, name)), *_at(registry, name)]
    return [_as_typed(reference) for reference in offered]


def _takes_versions(verb: Verb) -> bool:
    return any("REF" in options.get("metavar", "") and "nargs" in options for _, options in verb.arguments)


def _names(registry: Registry) -> list[str]:
    return [_as_typed(name) for name in registry.store.model_names()]


def _as_typed(name: str) -> str:
    """Quote a text that is not one word."""
    if re.fullmatch(r"[^\s\"'\\${}=-][^\s\"'\\${}]*", name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _unquoted(word: str) -> str:
    if word[:1] not in {'"', "'"}:
        return word
    inside = word[1:].removesuffix(word[0])
    return re.sub(r"\\(.)", r"\1", inside) if word[0] == '"' else inside


def _at(registry: Registry, name: str) -> list[str]:
    return [f"{name}@{alias}" for alias in _aliases(registry, name)]


def _aliases(registry: Registry, name: str) -> list[str]:
    model = registry.store.model(name, latest=False)
    return list(model.aliases) if model else []


def _whiches(registry: Registry, name: str) -> list[str]:
    numbers = _numbers(registry, name)
    return [*(stage for stage in Stage if registry.store.latest(name, stage)), "latest", *numbers] if numbers else []


def _numbers(registry: Registry, name: str) -> list[str]:
    newest = registry.store.newest(name)
    return [str(number) for number in range(newest, max(newest - _RECENT, 0), -1)]


def _tags(registry: Registry, name: str) -> list[str]:
    model = registry.store.model(name, latest=False)
    found = list(model.tags) if model else []
    return sorted({*found, *(key for version in _recent(registry, name) for key in version.tags)})


def _metrics(registry: Registry) -> list[str]:
    names = registry.store.model_names()[:_RECENT]
    return sorted({key for name in names for version in list(_recent(registry, name))[:3] for key in version.metrics})


def _recent(registry: Registry, name: str) -> Iterator[ModelVersion]:
    newest = registry.store.newest(name)
    recent = registry.store.picked([(name, number) for number in range(max(newest - _RECENT, 0) + 1, newest + 1)])
    return reversed(list(recent))
