"""Separate the options of a wrong line from its other words, also options that are misspelt or have no dashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from registry_nb.domain import filters
from registry_nb.notebook.grammar import FILTERED, Verb, near_option
from registry_nb.notebook.known import Known
from registry_nb.notebook.speech import FILLERS, OF_PAIRS, OPTIONS, TEXTS, WORDS, asked_of, quoted, unquoted


class Lost(Exception):  # no error: there is no line to suggest
    """A word would be missing from the suggested line."""


def options_apart(verb: Verb, words: Sequence[str], model: Known) -> tuple[list[str], list[str]]:
    """Separate words from options and their values; texts get quotes."""
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
                given += rest  # its value is a word of the line
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
    """Return an option of a listing as a comparison: ``--stage Production``, ``--tag team=risk``."""
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
    """Return whether a keyword of a Python call is a word of a line."""
    return f"--{name}" in WORDS or (verb.name == "describe" and name in {"description", "desc"})


def _called(written: str, known: Iterable[str]) -> str | None:
    """Return the option for another name of it."""
    return next((option for option, others in OPTIONS.items() if option in known and written in others.split()), None)


def _option(written: str, known: Iterable[str], value: Sequence[str]) -> str:
    """Return the option for what was written."""
    names = list(known)
    plain = "--" + written.lstrip("-\u2010\u2011\u2012\u2013\u2015\u2212").replace("_", "-").casefold()
    if plain == "--metrics" and value and re.match(r"[\w.-]+=", value[0]):
        return "--metric"
    for option in (written, plain):
        if option in names:
            return option
    return _called(written, names) or _called(plain, names) or near_option(plain, names) or plain
