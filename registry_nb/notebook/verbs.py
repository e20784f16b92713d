"""The verbs of ``%registry`` and their help pages; each verb is one call of `Registry`.

To add a verb, write a function with `grammar.verb` in `looking`, `deciding` or `changing`. It gets the notebook, the
registry and the parsed words, and returns the output of the cell.
"""

from __future__ import annotations

from registry_nb.display.cells import Cell
from registry_nb.display.render import text as rendered
from registry_nb.display.sheets import Page, Sheet
from registry_nb.notebook import changing, deciding, looking  # noqa: F401  # they fill the table
from registry_nb.notebook.grammar import VERBS, Verb

__all__ = ["GROUPS", "VERBS", "Verb", "overview", "page"]

GROUPS = ("Look", "Register", "Move", "Decide", "Tell", "Describe", "Use")


def overview(title: str = "", close: str = "") -> Page:
    """List the verbs in groups, each with a line and an example; title and close are by default those of the magic."""
    title, close = title or _TITLE, close or _CLOSE
    lines, rows = [title, ""], []
    for group in GROUPS:
        verbs = [verb for verb in VERBS.values() if verb.group == group]
        firsts = [group, *("" for _ in verbs[1:])]
        rows += [
            (Cell(first), Cell(verb.name, kind="code"), Cell(verb.summary), _line(verb))
            for first, verb in zip(firsts, verbs, strict=True)
        ]
        lines += [group, *(f"  {verb.name:<9} {verb.summary}\n{'':12}{_line(verb).text}" for verb in verbs), ""]
    return Page("\n".join([*lines, close]), Sheet(title, head=("to", "verb", "does", "example"), rows=rows, note=close))


def page(verb: Verb) -> Page:
    """Explain one verb: its syntax, and the meaning of each word."""
    written = [f"{verb.magic} {verb.name}"]
    rows = []
    for names, options in verb.arguments:
        word = options.get("metavar", "")
        if names[0].startswith("--"):
            word = f"{names[0]} {word}".rstrip()
            written.append(f"[{word}]" + ("…" if options.get("action") == "append" else ""))
        else:
            written.append(f"[{word}]" if options.get("nargs") == "?" else word)
        if "help" in options:
            rows.append((Cell(word, kind="code"), Cell(options["help"])))
    facts = [("does", Cell(verb.summary)), ("written", Cell(" ".join(written), kind="code")), ("example", _line(verb))]
    sheet = Sheet(f"{verb.magic} {verb.name}", facts=facts, head=("word", "means"), rows=rows)
    return Page(rendered(sheet), sheet)


def _line(verb: Verb) -> Cell:
    return Cell(f"{verb.magic} {verb.example}", kind="code")


_TITLE = "%registry VERB …: the model registry, in the notebook"
_CLOSE = (
    "%registry help VERB explains one; each returns its record: v = %registry promote Iris 3; "
    "$name and {expression} are filled in, but not inside quotes; "
    "below a change is its Python, with registry = registry_nb.get_registry()"
)
