"""The input example beside a model, as JSON in MLflow's forms."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from registry_nb.errors import Invalid
from registry_nb.flavors import Files
from registry_nb.flavors.failures import damaged

__all__ = ["read", "write"]

FILE, SERVING = "input_example.json", "serving_input_example.json"
#: Bytes of an example that is read.
_MOST = 1 << 26


def write(folder: str, example: Any) -> dict[str, Any]:
    """Write an example and what a server takes, and return how ``MLmodel`` describes them.

    Raises
    ------
    Invalid
        If it is no frame of pandas, array, list, mapping or single value.
    """
    import numpy as np
    import pandas as pd

    info = {"artifact_path": FILE, "serving_input_path": SERVING}
    content: Any
    if hasattr(example, "detach"):  # a tensor of PyTorch
        example = example.detach().cpu().numpy()
    if isinstance(example, pd.DataFrame):
        info |= {"type": "dataframe", "pandas_orient": "split"}
        rows = example.astype(object).where(example.notna(), None)
        content = {"columns": list(example.columns), "data": rows.to_numpy(dtype=object).tolist()}
        serving = {"dataframe_split": content}
    elif isinstance(example, np.ndarray) or _is_of_arrays(example):
        info |= {"type": "ndarray"}
        arrays = {} if isinstance(example, np.ndarray) else example
        content = {name: array.tolist() for name, array in arrays.items()} if arrays else example.tolist()
        serving = {"inputs": content}
    elif isinstance(example, (list, dict, str, bytes, bool, int, float, date)):
        info |= {"type": "json_object"}
        content, serving = example, {"inputs": example}
    else:
        raise Invalid(
            f"input_example= is a frame of pandas, an array, a list or a mapping, not a {type(example).__name__}; "
            "give signature= instead"
        )
    for name, text in ((FILE, content), (SERVING, serving)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(json.dumps(text, default=_plain))
    return info


def read(folder: str, info: Mapping[str, Any] | None) -> Any:
    """Read the example that a description names, as the object that it was; None if it names none.

    Raises
    ------
    Corrupted
        If it is not among the files of the folder, or does not read.
    """
    if info is None:
        return None
    import numpy as np
    import pandas as pd

    files = Files.of_folder(folder)
    with files.open(str(info.get("artifact_path"))) as file:
        text = file.read(_MOST + 1)
    try:
        if len(text) > _MOST:
            raise ValueError("it is too large")
        content = json.loads(text)
        if info.get("type") == "ndarray":
            many = isinstance(content, dict)
            return {key: np.array(value) for key, value in content.items()} if many else np.array(content)
        if info.get("type") == "dataframe":
            split = {key: content[key] for key in ("columns", "data", "index") if key in content}
            return pd.DataFrame(split["data"], index=split.get("index"), columns=split.get("columns"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(f"it does not read ({type(error).__name__}: {error})", FILE) from error
    return content


def _is_of_arrays(example: Any) -> bool:
    return isinstance(example, dict) and bool(example) and all(hasattr(one, "tolist") for one in example.values())


def _plain(value: Any) -> Any:
    """Return what JSON has for a value that it lacks, as MLflow writes it."""
    if isinstance(value, (bytes, bytearray)):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise Invalid(f"input_example= has a {type(value).__name__}, which JSON cannot hold; give signature= instead")
