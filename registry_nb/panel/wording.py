"""Error messages of the panel, for people who see buttons instead of calls.

They are made from the type and the attributes of an error; its own message is for Python and may change.
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


def message_for(error: BaseException) -> str:
    """Describe an error, and what to do about it in the panel."""
    match error:
        case PolicyFailed():
            unmet = listed(f"{row.rule} ({row.found or row.verdict})" for row in error.evaluation.rows
                           if row.verdict != "passed")  # fmt: skip
            ask = "Ask for approval, or override" if error.evaluation.lacks_approval else "Override"
            return (
                f"Version {error.version} of {error.name} does not meet the policy for {error.stage}: {unmet}. "
                f"{ask} the policy and say why."
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
