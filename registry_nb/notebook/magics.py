"""The magics ``%registry`` and ``%%registry``, with their settings and completions.

This module is loaded with the extension and imports nothing of the registry: the first line loads what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
    output_can_be_silenced,
)
from traitlets import Bool, Enum, Int, Unicode, observe

_LINE = re.compile(r"^\s*(?:[\w.,\s]+=\s*)?%{1,2}registry\s+(.*)$", re.DOTALL)

#: A cell whose lines are lines of the registry, and such a line.
_TOGETHER = re.compile(r"\s*%%registry\s+atomically\b")
_BODY = re.compile(r"\s*([^\s#%].*|)$", re.DOTALL)


@magics_class
class RegistryMagics(Magics):
    """``%registry`` and ``%%registry``."""

    display = Enum(("html", "text", "frame"), "html", help="How records are shown; frame: listings as pandas").tag(
        config=True
    )
    uri = Unicode("", help="The current registry, as %registry use sets it; empty is the default one").tag(config=True)
    limit = Int(50, min=1, help="Rows of a listing that are shown").tag(config=True)
    echo = Bool(default_value=True, help="Show below a change the versions in each stage, and its Python").tag(
        config=True
    )
    confirm = Bool(default_value=True, help="Ask before something is deleted").tag(config=True)

    shell: Any

    @needs_local_scope
    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def registry(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Work with the model registry: ``%registry`` alone lists the verbs, ``%registry help VERB`` explains one."""
        from registry_nb.notebook.grammar import Unusable
        from registry_nb.notebook.line import run

        try:
            return run(self, line, cell, local_ns)
        except Unusable as error:
            raise UsageError(str(error)) from None

    @observe("uri")
    def _choose(self, change: Mapping[str, Any]) -> None:
        from registry_nb.notebook.line import use

        use(self.shell, change["new"])

    @context_matcher(identifier="registry_nb")  # type: ignore[untyped-decorator,unused-ignore]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete verbs, options, models, versions, stages and variables after ``%registry``."""
        before = context.line_with_cursor[: context.cursor_position]
        line = _LINE.match(before) or (_BODY.match(before) if _TOGETHER.match(context.full_text) else None)
        if line is None:
            return {"completions": []}
        from registry_nb import session
        from registry_nb.notebook.completion import completed
        from registry_nb.notebook.namespace import Here

        typed, found = completed(line[1], Here(self.shell, None), session.get_registry)
        matches = [SimpleCompletion(word, type="param") for word in found]
        return {"completions": matches, "matched_fragment": typed, "suppress": bool(matches), "ordered": True}
