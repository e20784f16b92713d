"""The words that people write for those of ``%registry``: from shells, git, MLflow, Python and plain speech."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

from registry_nb.domain.records import Stage
from registry_nb.domain.uris import parse_which
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import named

#: What people type for a verb, from shells, git, MLflow and plain speech.
TYPED = {
    "models": "list ls dir ll all catalog status st stages",
    "versions": "version ver best top",
    "show": "info get view cat open print display tags aliases latest details summary",
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
MEANT = {word: verb for verb, words in TYPED.items() for word in words.split()}
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
SLOTS = {
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
OPTIONS = {
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
_SPEECH = "to of in into from with and the a an for on at model version versions stage by vs as is where -> => ="
FILLERS = frozenset(_SPEECH.split())
#: What people call a version.
_CALLED = {
    "latest": "newest last head current recent new",
    "Production": "prod live",
    "Staging": "stag stg",
    "Archived": "archive retired",
}
_SAID = {word: which for which, words in _CALLED.items() for word in words.split()}
#: Words of Python's calls that a line writes without their names.
WORDS = frozenset(
    ["--to", "--stage", "--text", "--name", "--version", "--model", "--alias", "--key", "--tags", "--new", "--filter"]
)
#: What a word begins with that is quoted or filled in already.
_OPENING = ('"', "'", "$", "{")
OF_PAIRS = {"tag", "models", "versions", "search", "runs"}
TEXTS = {"--because", "--describe"}
_NUMBER = r"[-+]?[.\d][.\deE+-]*(?=\n|$)"
#: Of words with a line break between them.
_SCORES = {
    rf"(^|\n)--metrics?\n([^\n=-][^\n=]*)\n({_NUMBER})": r"\1--metric\n\2=\3",
    rf"(^|\n)--(?!metric|limit)([\w-]+)\n({_NUMBER})": r"\1--metric\n\2=\3",
    rf"(?<!--metric)(?<!--metrics)(?<!--param)(?<!--tag)\n(\w+={_NUMBER})": r"\n--metric\n\1",
}


def scores_of(words: Sequence[str]) -> list[str]:
    """Read ``accuracy=0.9``, ``--accuracy 0.9`` and ``--metric accuracy 0.9`` as ``--metric accuracy=0.9``."""
    if not words:
        return []
    text = "\n".join(words)
    for pattern, put in _SCORES.items():
        text = re.sub(pattern, put, text)
    return text.split("\n")


def name_and_version(word: str) -> tuple[str, str]:
    """Split ``Iris/3``, ``Iris@champion``, ``Iris:3``, ``Iris#3``, ``Iris==3``, ``Iris-v3`` into two."""
    whole = re.fullmatch(r"(.+?)(?:@|[/:#]|==?|[-_. ]?(?=v\d+$))([@\w.-]+)", named(word), re.DOTALL)
    if not whole:
        return named(word), ""
    return whole[1], f"@{whole[2]}" if f"{whole[1]}@" in word and not which_of(whole[2]) else whole[2]


def which_of(word: str) -> str | None:
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


def stage_of(word: str) -> str | None:
    """Return a stage, from what people call it."""
    word = _SAID.get(word.casefold().strip(",."), word.strip(",."))
    near = get_close_matches(word.casefold(), [stage.casefold() for stage in Stage], n=1, cutoff=0.7)
    return next((str(stage) for stage in Stage if near and stage.casefold() == near[0]), None)


def pairs_of(words: Sequence[str]) -> Iterator[str]:
    """Read ``reviewed yes`` and ``reviewed: yes`` as ``reviewed=yes``."""
    if not any("=" in word for word in words):
        text = [part for part in re.split(r"[\s:]+", " ".join(map(unquoted, words))) if part]
        text = text if len(text) % 2 == 0 else [*text, "yes"]
        yield from (f"{quoted(key)}={quoted(value)}" for key, value in zip(text[::2], text[1::2], strict=True))
        return
    joined = re.sub(r"\s*=\s*", "=", " ".join(words))
    pairs = list[str]()
    for word in joined.split():
        if "=" in word or not pairs:
            pairs.append(word if "=" in word else f"{word}=yes")
        else:
            pairs[-1] += f" {word}"
    for pair in pairs:
        key, _, value = pair.partition("=")
        yield f"{key}={value if value.startswith(_OPENING) else quoted(value)}"


def rule_of(text: str) -> str:
    """Write ``accuracy >= 0.9`` and ``metric(accuracy) >= 0.9`` as a rule."""
    found = re.fullmatch(r"(?:metric\()?([\w.-]+)\)?\s*(>=|<=|==|!=|>|<)\s*(\S.*)", text.strip())
    return f'metric("{found[1]}") {found[2]} {found[3]}' if found else text


def filter_of(text: str, prefixes: Mapping[str, str]) -> str:
    """Give a metric its prefix, an equals sign its meaning, and a text its quotes."""
    text = re.sub(r"^where\s+", "", text.strip(), flags=re.IGNORECASE)
    text = re.sub(r"\s*(==|>=|<=|!=|=|>|<)\s*", lambda sign: f" {sign[1].replace('==', '=')} ", text).strip()
    compared = re.fullmatch(r"([\w.]+) (=|>|<|>=|<=|!=) (.+)", text)
    if not compared:
        return text
    subject, sign, value = compared.groups()
    subject = prefixes.get(subject, subject)
    if not re.fullmatch(r"-?[\d.]+(e-?\d+)?|'.*'|\".*\"", value) and "'" not in value:
        value = f"'{value}'"
    return f"{subject} {sign} {value}"


def cleaned(word: str) -> str:
    """Take away a comma behind a word, and the quotes of a word processor."""
    word = re.sub("[\u201c\u201d\u201e\u00ab\u00bb]", '"', re.sub("[\u2018\u2019]", "'", word))
    return word.rstrip(",;") or word


def unquoted(word: str) -> str:
    """Take the quotes of a word away, also such as do not match."""
    with suppress(ValueError):
        return "".join(shlex.split(word, posix=True)) if word[:1] in "'\"" else word
    return word.strip("'\"")


def quoted(text: str) -> str:
    """Write a text as one word of a line."""
    if text and re.fullmatch(r"[^\s'\"\\${}]+", text) and not text.startswith("-"):
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def value_of(word: str) -> str:
    """Return what a word means, where what is filled in is a number."""
    return re.sub(r"(^|=)[${].*", r"\g<1>1", word, flags=re.DOTALL) if word[:1] not in "'\"" else unquoted(word)
