"""MLflow's codes for what goes wrong, and what its exceptions tell by them: code that catches those goes on working.

This is below the errors, and not in the facade: an ``except MlflowException`` catches only what is one by its class.
"""

from __future__ import annotations

import json
from typing import Any, Self

#: For each code its number in MLflow's protocol, and its status in HTTP.
CODES = {
    "INTERNAL_ERROR": (1, 500),
    "TEMPORARILY_UNAVAILABLE": (2, 503),
    "BAD_REQUEST": (4, 400),
    "DEADLINE_EXCEEDED": (7, 504),
    "CANCELLED": (8, 499),
    "RESOURCE_EXHAUSTED": (9, 429),
    "ABORTED": (10, 409),
    "NOT_FOUND": (11, 404),
    "ALREADY_EXISTS": (12, 409),
    "UNAUTHENTICATED": (13, 401),
    "INVALID_PARAMETER_VALUE": (1000, 400),
    "ENDPOINT_NOT_FOUND": (1001, 404),
    "INVALID_STATE": (1003, 500),
    "PERMISSION_DENIED": (1004, 403),
    "CUSTOMER_UNAUTHORIZED": (1006, 401),
    "REQUEST_LIMIT_EXCEEDED": (1007, 429),
    "RESOURCE_CONFLICT": (1008, 409),
    "NOT_IMPLEMENTED": (1010, 501),
    "DATA_LOSS": (1011, 500),
    "RESOURCE_ALREADY_EXISTS": (3001, 400),
    "RESOURCE_DOES_NOT_EXIST": (3002, 404),
}
_NAMES = {number: name for name, (number, _) in CODES.items()}


def code_named(given: object) -> str:
    """Return the name of a code, given that or its number; what is unknown is an internal error, as in MLflow.

    Examples
    --------
    >>> code_named(1000), code_named("NOT_FOUND"), code_named(-1)
    ('INVALID_PARAMETER_VALUE', 'NOT_FOUND', 'INTERNAL_ERROR')
    """
    name = given if isinstance(given, str) else _NAMES.get(given) if isinstance(given, int) else None
    return name if name in CODES else "INTERNAL_ERROR"


class Coded(Exception):
    """An exception that tells what MLflow's tell."""

    code = "INTERNAL_ERROR"

    @property
    def error_code(self) -> str:
        """What MLflow's exceptions call `code`."""
        return self.code

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self)

    def get_http_status_code(self) -> int:
        """Return what a server of MLflow's would answer with."""
        return CODES.get(self.code, CODES["INTERNAL_ERROR"])[1]

    def serialize_as_json(self) -> str:
        """Return code and message as JSON, with those facts that are texts and numbers."""
        facts = {name: fact for name, fact in vars(self).items() if isinstance(fact, (str, int, float, bool))}
        return json.dumps({**facts, "error_code": self.code, "message": self.message})

    @classmethod
    def invalid_parameter_value(cls, message: object, **facts: Any) -> Self:
        """Make one for an argument that is wrong."""
        made = cls(message)
        vars(made).update(facts, code="INVALID_PARAMETER_VALUE")
        return made
