"""Errors as the panel says them: a person reads them who looks at buttons, not at calls.

What an error is about is taken from its type and its facts, never from its English, which is Python's and may change.
"""

from __future__ import annotations

from registry_nb.errors import (
    HoldsStage,
    Invalid,
    PolicyFailed,
    RegistryError,
    StageEmpty,
    Untrusted,
    listed,
    sentence_of,
)


def worded(error: BaseException) -> str:
    """Say what went wrong, and what a person can do about it who has the panel in front of them."""
    match error:
        case PolicyFailed():
            unmet = listed(f"{row.rule} ({row.found or row.verdict})" for row in error.evaluation.rows
                           if row.verdict != "passed")  # fmt: skip
            return (
                f"Version {error.version} of {error.name} does not meet the policy for {error.stage}: {unmet}. "
                "Ask for approval, or override the policy and say why."
            )
        case Invalid() if getattr(error, "missing", "") == "because":
            return "Give a reason for overriding the policy."
        case HoldsStage():
            return (
                f"Version {error.version} of {error.name} is in {error.stage}, so it cannot be deleted. "
                f"Archive version {error.version} first."
            )
        case StageEmpty():
            return f"No version of {error.name} is in {error.stage}."
        case Untrusted():
            return f"{error.what} was not loaded: {error.reason}. Its page says how to trust it."
        case RegistryError():
            return str(error)
    return sentence_of(error)
