"""The root of the errors, with the codes and methods of MLflow's exceptions: code that handles those works with ours.

MLflow's part is here and not in the facade, because ``except MlflowException`` catches an error by its class only.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Self

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


def code_named(code: object) -> str:
    """Return the name of a code, from its name or number; an unknown one is an internal error, as in MLflow.

    Examples
    --------
    >>> code_named(1000), code_named("NOT_FOUND"), code_named(-1)
    ('INVALID_PARAMETER_VALUE', 'NOT_FOUND', 'INTERNAL_ERROR')
    """
    name = code if isinstance(code, str) else _NAMES.get(code) if isinstance(code, int) else None
    return name if name in CODES else "INTERNAL_ERROR"


class RegistryError(Exception):
    """The root of everything that this package raises on purpose.

    Parameters
    ----------
    message : str, optional
        The sentence, if the class does not write it.
    error_code : int or str, optional
        One of MLflow's codes, if it is not that of the class.
    **facts
        The facts of the sentence; each becomes an attribute.

    Examples
    --------
    >>> from registry_nb.errors import UnknownStage
    >>> error = UnknownStage(given="Prod", stages=("None", "Staging", "Production", "Archived"))
    >>> print(error)
    'Prod' is not a stage; did you mean 'Production'? (stages: None, Staging, Production, Archived)
    >>> error.code, isinstance(error, ValueError)
    ('INVALID_PARAMETER_VALUE', True)
    """

    __module__ = "registry_nb.errors"  # the public path, in tracebacks and pickles
    code = "INTERNAL_ERROR"
    #: The sentence, with the facts in braces; a class whose sentence has alternatives overrides `_sentence`.
    _template: ClassVar[str] = ""

    def __init__(self, message: object = "", /, error_code: int | str | None = None, **facts: Any) -> None:
        if error_code is not None:
            facts["code"] = code_named(error_code)
        self.__dict__.update(facts)
        super().__init__(str(message) or self._sentence())
        for fact, value in facts.items():  # ImportError's own `name` and `path` hide what is only in the dict
            setattr(self, fact, value)

    def _sentence(self) -> str:
        return self._template.format_map(self.__dict__) or type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders (joblib, multiprocessing). The default would call __init__ without the facts.
        return _revive, (type(self), str(self), self.__dict__)

    @property
    def error_code(self) -> str:
        """What MLflow's exceptions call `code`."""
        return self.code

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self)

    def get_http_status_code(self) -> int:
        """Return the status code that an MLflow server would send."""
        return CODES.get(self.code, CODES["INTERNAL_ERROR"])[1]

    def serialize_as_json(self) -> str:
        """Return code and message as JSON, with the facts that are texts and numbers."""
        facts = {name: fact for name, fact in vars(self).items() if isinstance(fact, (str, int, float, bool))}
        return json.dumps({**facts, "error_code": self.code, "message": self.message})

    @classmethod
    def invalid_parameter_value(cls, message: object, **facts: Any) -> Self:
        """Make an error about a wrong argument."""
        error = cls(message)
        vars(error).update(facts, code="INVALID_PARAMETER_VALUE")
        return error


def _revive(kind: type[RegistryError], message: str, facts: dict[str, Any]) -> RegistryError:
    return kind(message, **facts)


_revive.__module__ = RegistryError.__module__
