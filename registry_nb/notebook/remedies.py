"""Suggest a corrected line for a wrong line of ``%registry``, made of the user's own words.

A line is arranged in the shape of its verb (`arranging`), and rehearsed before it is shown: the verb's own action runs
with a registry that does nothing. So a verb needs one row in a table of `speech`, but no parser of its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from registry_nb import errors
from registry_nb.domain.records import Stage
from registry_nb.errors import RegistryError, shown
from registry_nb.notebook.arranging import Meant, arranged
from registry_nb.notebook.grammar import Misread, Verb
from registry_nb.notebook.known import Known
from registry_nb.notebook.options import Lost
from registry_nb.notebook.rehearsal import rehearsed
from registry_nb.notebook.speech import (
    ALL,
    MEANT,
    TOOLS,
    name_and_version,
    quoted,
    stage_of,
    unquoted,
    value_of,
    which_of,
)
from registry_nb.notebook.verbs import VERBS
from registry_nb.registry import Registry

_HELP = {"help", "-h", "--help", "?"}
#: Tables of SQL, and the verbs that list them; any other table is a model.
_TABLES = {
    "models": "models",
    "registered_models": "models",
    "versions": "search",
    "model_versions": "search",
    "runs": "runs",
}


def meant(words: Sequence[str], registry: Registry, knows: Callable[[str], bool], target: str = "") -> Meant | None:
    """Return a corrected line that can be run, or None.

    `words` have their quotes; `knows` returns whether the notebook has a variable; `target` is the variable of a line
    that is written as an assignment.
    """
    asks = [word for word in words if word not in _HELP]
    try:
        known = Known(registry)
        if len(asks) < len(words) or (len(asks) == 1 and asks[0].endswith("?")):
            verb, _ = _verb_of([word.strip("?") for word in asks], known)
            return Meant(["help", verb.name]) if verb else None
        line = _as_line(list(words))
        verb, rest = _verb_of(line, known)
        if verb is None or (target and verb.name != line[0]):
            return None
        keeps = target and verb.name in {"load", "register"} and "as" not in rest
        found = arranged(verb, [*rest, "as", target] if keeps else rest, known, knows)
    except Lost:
        return None
    except RegistryError:  # of a damaged registry, which the line itself reports
        return None
    call = rehearsed([found.words[0], *map(value_of, found.words[1:])], knows)
    if call is None or (not target and call == rehearsed(list(map(value_of, words)), knows)):
        return None
    if target:
        found.fault = f"a line begins with its verb, not with {shown(f'{target} =')}"
        found.target = "" if keeps else target
    return found


def verb_of(words: Sequence[str], registry: Registry) -> Verb | None:
    """Return the verb of a wrong line, for its example."""
    try:
        return _verb_of(_as_line(list(words)), Known(registry))[0]
    except RegistryError:
        return VERBS.get(words[0]) if words else None


#: How to open another registry, in a line.
ELSEWHERE = "`%registry use FOLDER` opens another registry"
_NAMED = r"('[^']*'|\"[^\"]*\")"
#: What the messages of the core suggest in Python, and the line for it.
_LINES = {
    re.escape(errors.ELSEWHERE): ELSEWHERE,
    rf"(?:registry\.)?register\(model, {_NAMED}\) makes": "`%registry register model as {}` makes",
    rf"move one there with promote\({_NAMED}, <version>, 'Production'\)": "move one there: `%registry promote {} 3`",
    rf"move one there with promote\({_NAMED}, <version>, {_NAMED}\)": "move one there: `%registry stage {} 3 {}`",
    rf"promote\({_NAMED}, <version>\) begins": "`%registry promote {} 3` begins",
    rf"archive\({_NAMED}, (\d+)\) it first": "archive it first: `%registry archive {} {}`",
    r"promote\(…, force=True, because=…\) overrides": '--force --because "the reason" overrides',
    r"force=True overrides a policy, so that it needs a reason: because='…'": (
        '--force overrides a policy, so that it needs a reason: --because "the reason"'
    ),
    rf"registry\.request\({_NAMED}, (\d+)\) asks": "`%registry request {} {}` asks",
    rf"registry\.request\({_NAMED}, (\d+), {_NAMED}\) asks": "`%registry request {} {} {}` asks",
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
    """Replace the Python that a message suggests by lines of ``%registry``."""
    for pattern, line in _LINES.items():
        text = re.sub(pattern, lambda found, line=line: line.format(*map(_of_python, found.groups())), text)  # type: ignore[misc]
    return text


def _of_python(text: str) -> str:
    return quoted(text[1:-1] if text[:1] in {"'", '"'} else text)


def next_step(error: Exception, verb: Verb | None) -> str:
    """Suggest what to do, for an error whose message does not."""
    match error:
        case errors.VersionNotFound():
            return f"`%registry versions {quoted(error.name)}` lists the existing ones"
        case errors.AliasNotFound():
            return f"`%registry alias {quoted(error.name)} VERSION {quoted(error.alias)}` makes it"
        case errors.ModelNotFound():
            return "`%registry history` shows what happened"
        case errors.NothingToRollBack():
            return f"`%registry stage {quoted(error.name)} VERSION {error.stage}` moves another one there"
        case errors.BadFilter() | errors.BadName() | errors.BadVersion() | errors.BadURI() | errors.UnknownStage():
            return f"an example: `{verb.magic} {verb.example}`" if verb else ""
    is_argument = isinstance(error, Misread) or type(error) is errors.Invalid
    return f"an example: `{verb.magic} {verb.example}`" if is_argument and verb else ""


def listed(nouns: Sequence[str]) -> str:
    """Join nouns for a sentence."""
    return " and ".join(filter(None, [", ".join(nouns[:-1]), nouns[-1]]))


# -- the verb --------------------------------------------------------------------------------------------------------


def _as_line(words: list[str]) -> list[str]:
    """Convert a Python call, a query of SQL, or a line that begins with the name of a tool, to words of a line."""
    while words and words[0].lstrip("%!").casefold() in TOOLS:
        words = words[1:]
    asks = re.fullmatch(r"(?i)(?:who|what|which)\b.*?(\w+)\W*", " ".join(words))
    if asks and stage_of(asks[1]):
        return ["search", asks[1]]
    sql = re.fullmatch(
        r"""(?:\w+\s+)?(["']?)select\b.*?\sfrom\s+([^\s"']+)(.*)\1""", " ".join(words), re.DOTALL | re.IGNORECASE
    )
    if sql:
        verb = _TABLES.get(sql[2].casefold())
        return [*([verb] if verb else ["versions", sql[2]]), *sql[3].split()]
    call = re.fullmatch(r"(?:[\w.]+\.)?(\w+)\s*(\(.*\))[;,.]?", " ".join(words), re.DOTALL)
    if not call:
        return [re.sub(r"^(?:registry|rn)\.(?=\w)", "", words[0]), *words[1:]] if words else words
    try:
        made = ast.parse(f"f{call[2]}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [call[1], *re.split(r"[\s,]+", call[2][1:-1].strip())] if words else words
    if not isinstance(made, ast.Call):
        return words
    line = [call[1], *(_as_word(value) for value in made.args)]
    for keyword in made.keywords:
        option = f"--{keyword.arg}".replace("_", "-")
        line += [_as_word(keyword.value)] if keyword.arg in {"version", "name"} else [option, _as_word(keyword.value)]
    return line


def _as_word(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return quoted(str(node.value))
    if isinstance(node, ast.Name):
        return f"${node.id}"
    return ast.unparse(node) if isinstance(node, (ast.Dict, ast.Set)) else "{" + ast.unparse(node) + "}"


def _verb_of(words: list[str], known: Known) -> tuple[Verb | None, list[str]]:
    """Return the verb for the first word, and the other words."""
    if not words or words[0].startswith("-"):
        return None, []
    first, rest = unquoted(words[0]).strip(",:;"), words[1:]
    folded = first.casefold().replace("-", "_")
    if first in VERBS:
        verb = first
    elif folded in VERBS:
        verb = folded
    elif rest and known.exact(name_and_version(first)[0]) and unquoted(rest[0]).casefold() in {*VERBS, *MEANT}:
        return _verb_of([rest[0], words[0], *rest[1:]], known)  # Iris promote 3
    elif known.exact(name_and_version(first)[0]):
        verb, rest = "show", words
    elif folded in MEANT or folded.replace("_", "-") in MEANT:
        verb = MEANT.get(folded) or MEANT[folded.replace("_", "-")]
        if folded == "staging" and rest:
            rest = [*rest, "Staging"]
    else:
        near = get_close_matches(folded, [*VERBS, *MEANT], n=1, cutoff=0.8 if len(folded) > 4 else 0.7)
        if not near:
            return None, []
        verb = MEANT.get(near[0], near[0]) if near[0] not in VERBS else near[0]
    if verb in {"models", "show", "search", "versions"}:
        return _listing(verb, rest, known)
    return VERBS[verb], rest


def _listing(verb: str, words: list[str], known: Known) -> tuple[Verb, list[str]]:
    """Return the verb that lists or shows: ``list versions of Iris``, ``show Iris history``."""
    about = [word for word in words if unquoted(word).casefold() not in ALL]
    if words and not about:
        return VERBS["models"], []
    name, which = name_and_version(unquoted(about[0])) if about else ("", "")
    if not known.exact(name):
        other = _reading(about[0]) if about and verb in {"models", "show"} else None
        return (VERBS[other], about[1:]) if other else (VERBS[verb], words)
    rest = about[1:]
    if verb == "show":
        other = _reading(rest[0]) if len(rest) == 1 and not which and not which_of(unquoted(rest[0])) else None
        return (VERBS[other], about[:1]) if other else (VERBS["show"], words)
    number = which or (unquoted(rest[0]) if len(rest) == 1 else "")
    is_version = len(rest) == (not which) and which_of(number) not in {None, *Stage}
    return VERBS["show" if is_version else "versions"], about


def _reading(word: str) -> str | None:
    """Return the verb for a word, if it only reads."""
    folded = unquoted(word).casefold()
    verb = VERBS.get(MEANT.get(folded, folded))
    return verb.name if verb and not verb.changes and verb.group in {"Look", "Decide"} else None
