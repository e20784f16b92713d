"""Synonyms of the words of ``%registry``, from shells, git, MLflow, Python and plain English."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

from registry_nb.domain.records import RunStatus, Stage
from registry_nb.domain.uris import parse_which
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import named
from registry_nb.operations.times import moment

#: Other words for the verbs, from shells, git, MLflow and plain English.
TYPED = {
    "models": "list ls dir ll all catalog status st stages tables count search_registered_models",
    "versions": "version ver best top get_latest_versions search_model_versions",
    "show": "info get view cat open print display tags aliases latest details summary get_model_version",
    "history": "log logs changes activity who why when blame audit reflog",
    "runs": "run experiments experiment mlruns trainings search_runs",
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
    "atomically": "atomic batch together transaction begin",
    "rollback": "undo revert restore previous back reset",
    "describe": "note document description annotate update_registered_model update_model_version",
    "tag": "label mark set_tag settag set_registered_model_tag set_model_version_tag",
    "untag": "unlabel unset delete_tag delete_registered_model_tag delete_model_version_tag",
    "alias": "point set_alias name set_registered_model_alias",
    "unalias": "delete_alias delete_registered_model_alias",
    "rename": "mv ren rename_registered_model",
    "copy": "cp clone duplicate fork copy_model_version",
    "delete": "rm remove del drop erase destroy delete_registered_model delete_model_version",
    "load": "predict import load_model read restore_model",
    "trust": "vouch believe",
    "download": "pull fetch export checkout",
    "reproduce": "rerun repro replay",
    "use": "where pwd whoami cd switch connect init registry db folder location uri set_registry",
}
MEANT = {word: verb for verb, words in TYPED.items() for word in words.split()}
#: The words that verbs take; optional ones are in brackets.
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
#: The nouns for missing words, and examples of them.
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
#: Words in front of a verb that mean nothing.
TOOLS = frozenset(["registry", "rn", "mlflow", "git", "dvc", "dbt", "set", "please", ""])
#: Words for a whole listing.
ALL = frozenset(["all", "every", "everything", "my", "the", "of"])
#: Other names of the options.
OPTIONS = {
    "--because": "-m --message --msg --reason --comment --why -b --cause --note",
    "--limit": "-n --n --last --first --newest --max --top --head --tail --max-results -l",
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
    "--deep": "--full --all --thorough",
    "--repair": "--fix",
    "--none": "--remove --clear --delete --drop --off --empty",
}
#: Words of English that mean nothing to a verb.
_SPEECH = "to of in into from with and the a an for on at model version versions stage by vs as is where -> => > ="
FILLERS = frozenset(_SPEECH.split())
#: Other words for versions and stages.
_OTHER_WORDS = {
    "latest": "newest last head current recent new",
    "Production": "prod live",
    "Staging": "stag stg",
    "Archived": "archive retired",
}
_SYNONYMS = {word: which for which, words in _OTHER_WORDS.items() for word in words.split()}
#: Keywords of Python calls whose values are words of a line.
_OF_WORDS = "to stage env text name version model alias key value tags new filter metric"
WORDS = frozenset(f"--{word}" for word in _OF_WORDS.split())
#: The beginnings of words that are quoted or filled in.
_OPENING = ('"', "'", "$", "{")
#: A word that is filled in from the notebook.
FILLED = r"(?:\$[^\W\d].*|\{[^{}].*\})$"
OF_PAIRS = {"tag", "models", "versions", "search", "runs"}
TEXTS = {"--because", "--describe"}
_NUMBER = r"[-+]?[.\d][.\deE+-]*(?=\n|$)"
#: Patterns for words that are joined by line breaks.
_SCORES = {
    rf"(^|\n)--metrics?\n([^\n=-][^\n=]*)\n({_NUMBER})": r"\1--metric\n\2=\3",
    rf"(^|\n)--(?!metric|limit)([\w-]+)\n({_NUMBER})": r"\1--metric\n\2=\3",
    rf"(?<=\n)(\w+):\n?({_NUMBER})": r"\1=\2",
    rf"(?<!--metric)(?<!--metrics)(?<!--param)(?<!--tag)\n(\w+={_NUMBER})": r"\n--metric\n\1",
    r"(--tag)\n([^\n=-][^\n=]*)(?=\n|$)": r"\1\n\2=yes",
    r"(--tag|--param|--metric)\n(\w+=[^\n]*)\n(?=\w+=)": r"\1\n\2\n\1\n",
}
_PHRASES = {
    "--order-by": (r"(^|\n)(?:order|sort|sorted|ordered)\nby\n", r"\1--order-by\n"),
    "--limit": (r"(^|\n)(?:first|last|top|newest|latest|head|tail)\n(\d+)(?=\n|$)", r"\1--limit\n\2"),
}
_SIGN = r"=|!=|>=|<=|>|<|(?:not )?i?like|is(?! (?:not )?null)"
#: A comparison of a filter, up to the next one.
_COMPARED = re.compile(
    rf"(?P<joined>^| and | or | )(?P<subject>[\w.]+) (?P<sign>{_SIGN}) (?P<value>.+?)"
    rf"(?=(?: and | or | )[\w.]+ (?:{_SIGN}) |$)",
    re.DOTALL | re.IGNORECASE,
)


def scores_of(words: Sequence[str]) -> list[str]:
    """Read ``accuracy=0.9``, ``--accuracy 0.9`` and ``--metric accuracy 0.9`` as ``--metric accuracy=0.9``."""
    if not words:
        return []
    before, text = "", "\n".join(words)
    while before != text:
        before = text
        for pattern, put in _SCORES.items():
            text = re.sub(pattern, put, text)
    return text.split("\n")


def phrased(words: Sequence[str], options: Iterable[str]) -> list[str]:
    """Read ``order by accuracy`` and ``last 5`` as options."""
    text = "\n".join(words)
    for option in _PHRASES.keys() & set(options):
        text = re.sub(*_PHRASES[option], text, flags=re.IGNORECASE)
    return text.split("\n") if words else []


def name_and_version(word: str) -> tuple[str, str]:
    """Split ``Iris/3``, ``Iris@champion``, ``Iris:3``, ``Iris#3``, ``Iris==3``, ``Iris-3`` into two."""
    whole = re.fullmatch(r"(.+?)(?:@|[/:#]|==?|[-_. ]?(?=v\d+$)|[-_. ](?=\d+$))([@\w.-]+)", named(word), re.DOTALL)
    if not whole:
        return named(word), ""
    return whole[1], f"@{whole[2]}" if f"{whole[1]}@" in word and not which_of(whole[2]) else whole[2]


def which_of(word: str) -> str | None:
    """Return a version as a line names it, for other words for it."""
    word = word.strip(",.#()!?")
    number = re.fullmatch(r"(?:v|ver|version|nr|no)?[-_.#]?0*(\d+)(?:st|nd|rd|th)?", word, re.IGNORECASE)
    if number:
        return number[1]
    word = _SYNONYMS.get(word.casefold(), word)
    if word.casefold() == "latest":
        return "latest"
    with suppress(RegistryError):
        return str(parse_which(word))
    return None


def stage_of(word: str) -> str | None:
    """Return a stage, for other words for it."""
    word = _SYNONYMS.get(word.casefold().strip(",."), word.strip(",."))
    near = get_close_matches(word.casefold(), [stage.casefold() for stage in Stage], n=1, cutoff=0.8)
    return next((str(stage) for stage in Stage if near and stage.casefold() == near[0]), None)


def is_time(text: str) -> bool:
    """Return whether a text is a moment."""
    with suppress(RegistryError):
        return moment(text) is not None
    return False


def pairs_of(words: Sequence[str]) -> Iterator[str]:
    """Read ``reviewed yes``, ``reviewed: yes`` and a dictionary as ``reviewed=yes``."""
    if words[0].startswith("{") and "=" not in words[0]:
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            found = ast.literal_eval(" ".join(words))
            tags = found if isinstance(found, dict) else dict.fromkeys(found, "yes")
            yield from (f"{quoted(str(key))}={quoted(str(value))}" for key, value in tags.items())
        return
    words = [unquoted(word) if re.fullmatch(r"(['\"])\w+=[^\s'\"]*\1", word) else word for word in words]
    if not any("=" in word for word in words):
        text = [part for part in re.split(r"[\s:,]+", " ".join(map(unquoted, words))) if part]
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


def rules_of(text: str) -> Iterator[str]:
    """Write ``accuracy >= 0.9 and metric(f1) > 80%`` and ``approved_by 2`` as rules."""
    for part in re.split(r"\s*(?:,(?![^(]*\))|;|&+|\band\b)\s*", text.strip()):
        found = re.fullmatch(r"(?:metric\()?([\w.-]+)\)?\s*(>=|<=|==|!=|>|<)\s*(\S.*)", part)
        percent = found and re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", found[3])
        if found:
            yield (
                f'metric("{found[1]}") {found[2]} {float(percent[1]) / 100:g}'
                if percent
                else (f'metric("{found[1]}") {found[2]} {found[3]}')
            )
        else:
            yield re.sub(r"^(\w+)\s+(\d+)$", r"\1(\2)", part)


def filter_of(text: str, prefixes: Mapping[str, str]) -> str:
    """Correct a filter: prefixes of keys, operators, quotes, and AND between comparisons."""
    text = re.sub(r"^where\s+", "", text.strip(), flags=re.IGNORECASE)
    text = re.sub(r"^(?=(?:not )?i?like )", "name ", text, flags=re.IGNORECASE)
    if not re.search(r"['\"(]", text):
        text = re.sub(r"\s*(?:[,;]|&+)\s*", " and ", re.sub(r"\s*\|+\s*", " or ", text))
    text = re.sub(r"\s*(==|>=|<=|!=|<>|=|>|<)\s*", lambda sign: f" {_SIGNS.get(sign[1], sign[1])} ", text).strip()
    text = re.sub(_BETWEEN, r"\1 >= \2 and \1 <= \3", text)
    if null := re.fullmatch(r"(?i)([\w.]+) (is (?:not )?null)", text):
        return f"{prefixes.get(null[1], null[1])} {null[2].upper()}"
    found = [*_COMPARED.finditer(text)]
    if "".join(one[0] for one in found) != text:
        return text
    return "".join(_comparison(one, prefixes) for one in found) or text


_SIGNS = {"==": "=", "<>": "!="}
#: A range of SQL, which filters write as two comparisons.
_BETWEEN = re.compile(r"(?i)([\w.]+) between ('[^']*'|\"[^\"]*\"|\S+) (?:and|to) ('[^']*'|\"[^\"]*\"|\S+)")


def _comparison(found: re.Match[str], prefixes: Mapping[str, str]) -> str:
    joined, subject, sign, value = found.groups()
    sign = "=" if sign.casefold() == "is" else sign.upper()
    if subject == "stage":
        value = stage_of(unquoted(value)) or value
    if subject == "status":
        value = unquoted(value).upper()
    if not re.fullmatch(r"-?[\d.]+(e-?\d+)?|'.*'|\".*\"", value, re.DOTALL) and "'" not in value:
        value = f"'{value}'"
    joined = joined and f" {joined.strip().upper() or 'AND'} "
    return f"{joined}{prefixes.get(subject, subject)} {sign} {value}"


def asked_of(word: str, prefixes: Mapping[str, str], noun: str) -> str | None:
    """Return the filter for one word: a stage, the status of a run, or an existing key."""
    if noun == "version" and (stage := stage_of(word)):
        return f"stage = '{stage}'"
    if noun == "run" and (near := get_close_matches(word.upper(), list(RunStatus), n=1, cutoff=0.7)):
        return f"status = '{near[0]}'"
    return f"{prefixes[word]} IS NOT NULL" if word in prefixes else None


def cleaned(word: str) -> str:
    """Remove a comma after a word, and replace typographic quotes."""
    word = re.sub("[\u201c\u201d\u201e\u00ab\u00bb]", '"', re.sub("[\u2018\u2019]", "'", word))
    return word.rstrip(",;") or word


def unquoted(word: str) -> str:
    """Remove the quotes of a word, also unbalanced ones."""
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
    """Return the value of a word, with a number for anything that is filled in."""
    return re.sub(rf"(^|=){FILLED}", r"\g<1>1", word, flags=re.DOTALL) if word[:1] not in "'\"" else unquoted(word)
