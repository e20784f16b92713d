"""MLflow's import path for its exceptions; ``error_code`` is its string for the same failure."""

from registry_nb.errors import RegistryError as MlflowException
from registry_nb.errors.base import CODES

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "MlflowException",
    "RestException",
]

INTERNAL_ERROR, INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST = (
    CODES[code][0]
    for code in ("INTERNAL_ERROR", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST")
)
#: MLflow raises it for a server's answer; there is no server here.
RestException = MlflowException
