"""The command line: ``registry-nb VERB …``, the verbs and words of ``%registry``, in a terminal and in CI.

``--registry URI`` and ``--json`` stand before or after the verb; ``--`` ends the options. The exit codes:

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | refused: a policy is not met (``evaluate``, ``promote``), a conflict, not found, damage (``check``), storage |
| 2 | the line is wrong, whatever the registry holds: an unknown verb, option or stage, a bad filter |
| 130, 141 | Ctrl-C; the reader of the output closed it |

``--json`` writes one object for a record, and one object a line for a listing. The keys are the fields of the record
(`ModelVersion`, `RegisteredModel`, `Event`, `Run`, `Evaluation`, …); times are ISO 8601 in UTC; NaN and infinity are
the texts that ``float`` reads. An answer that is a sentence is ``{"message": …}``; a rule of a policy is
``{"rule": …}``; the registry itself is ``{"uri": …, "user": …}``. An error is one object on stderr, with ``type``,
``code`` (MLflow's) and ``message``. Fields may be added in a later release, but are neither renamed nor removed. All of
it is ASCII, whatever the locale.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run a line of words, by default those of this process, and return the exit code."""
    try:
        from registry_nb.cli.run import run  # here, so that Ctrl-C while it is imported prints no traceback

        return run(sys.argv[1:] if words is None else words)
    except KeyboardInterrupt:
        return 130
