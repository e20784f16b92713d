"""MLflow's import path for what goes wrong; ``error_code`` is its string for the same failure."""

from registry_nb.errors import RegistryError as MlflowException

__all__ = ["MlflowException"]
