"""MLflow's import path for signatures."""

from __future__ import annotations

from typing import Any

from registry_nb.errors import Invalid
from registry_nb.schema import inference
from registry_nb.schema.signature import Signature as ModelSignature

__all__ = ["ModelSignature", "infer_signature"]


def infer_signature(model_input: Any = None, model_output: Any = None, params: Any = None) -> ModelSignature:
    """Infer a signature from data; see `registry_nb.infer_signature`.

    Raises
    ------
    Invalid
        For no data, for data that has no type of its own, and for `params`, which signatures do not hold here.
    """
    if model_input is None and model_output is None and params is None:
        raise Invalid("a signature is inferred from model_input=, model_output= or both; neither was given")
    if params:
        raise Invalid("a signature holds inputs and outputs here, and no params= of predict()")
    return inference.infer_signature(model_input, model_output)
