"""The libraries whose models are saved as they save them: a row for each, and nothing of them is imported here.

A row says which objects are the library's models, how it writes and reads them, and how they are applied to data.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry_nb.errors import RegistryWarning, warn
from registry_nb.flavors.failures import cannot_save
from registry_nb.flavors.inputs import arrayed, framed

__all__ = ["LIBRARIES", "Library"]


@dataclass(frozen=True)
class Library:
    """How one library saves, loads and applies its models.

    Attributes
    ----------
    title : str
        Its name, as people write it.
    root : str
        The top-level module of its classes.
    knows : callable
        Whether an object of the library is a model.
    save : callable
        Write a model into a folder.
    load : callable
        Read a model of a class from a folder.
    predict : callable or None
        Apply a model to data; None if it does nothing with them.
    needs : tuple of str
        Modules that it needs besides its own.
    described : str
        The file by which a folder of the library itself names its class (``architectures``), if it has one.
    """

    title: str
    root: str
    knows: Callable[[Any], bool]
    save: Callable[[Any, str], object]
    load: Callable[[Any, str], Any]
    predict: Callable[[Any, Any], Any] | None
    needs: tuple[str, ...] = ()
    described: str = ""


def _is(*names: str) -> Callable[[Any], bool]:
    """Return whether one of an object's classes has one of these names."""
    return lambda model: any(kind.__name__ in names for kind in type(model).__mro__)


def _in(folder: str, name: str) -> str:
    return os.path.join(folder, name)


def _texts(data: Any) -> Any:
    """Return one text, or a list of them: also from a column of a frame, or an array."""
    return data if isinstance(data, str) else arrayed(data).ravel().tolist()


# -- CatBoost and Prophet --------------------------------------------------------------------------------------------


def _load_catboost(kind: Any, folder: str) -> Any:
    return kind().load_model(_in(folder, "model.cbm"))


def _save_prophet(model: Any, folder: str) -> None:
    text = importlib.import_module("prophet.serialize").model_to_json(model)
    with open(_in(folder, "model.json"), "w", encoding="utf-8") as file:
        file.write(text)


def _load_prophet(_: Any, folder: str) -> Any:
    with open(_in(folder, "model.json"), encoding="utf-8") as file:
        return importlib.import_module("prophet.serialize").model_from_json(file.read())


# -- statsmodels and pmdarima: pickles, applied as MLflow does -------------------------------------------------------


def _save_statsmodels(model: Any, folder: str) -> None:
    path = _in(folder, _PICKLE)
    model.save(path)
    size = os.path.getsize(path)
    if size > _LARGE and callable(getattr(model, "remove_data", None)):
        rest = f"{type(model).__name__} keeps the rows that it was fitted on ({size / 1e6:,.0f} MB)"
        warn(RegistryWarning, f"{rest}; call its remove_data() before you register it, if it need not have them")


def _save_pickle(model: Any, folder: str) -> None:
    with open(_in(folder, _PICKLE), "xb") as file:
        pickle.dump(model, file, protocol=5)


def _load_pickle(_: Any, folder: str) -> Any:
    with open(_in(folder, _PICKLE), "rb") as file:
        return pickle.load(file)


def _apply_statsmodels(model: Any, data: Any) -> Any:
    """Predict rows, or the span that a frame with the columns ``start`` and ``end`` names."""
    rows = framed(data)
    if {"start", "end"} <= set(getattr(rows, "columns", ())):
        return model.predict(start=rows["start"].iloc[0], end=rows["end"].iloc[0])
    return model.predict(rows)


def _apply_pmdarima(model: Any, data: Any) -> Any:
    """Forecast so many periods: a number, or the column ``n_periods`` of a frame."""
    rows = framed(data)
    periods = rows["n_periods"].iloc[0] if "n_periods" in getattr(rows, "columns", ()) else data
    return model.predict(n_periods=int(periods))


# -- spaCy -----------------------------------------------------------------------------------------------------------


def _classify(model: Any, data: Any) -> list[dict[str, Any]]:
    """Return what the pipeline found in each text: categories, entities, and tags."""
    texts = _texts(data)
    return [
        {
            "cats": dict(doc.cats),
            "ents": [[each.start_char, each.end_char, each.label_] for each in doc.ents],
            "tags": [each.tag_ for each in doc],
        }
        for doc in model.pipe([texts] if isinstance(texts, str) else texts)
    ]


# -- Hugging Face ----------------------------------------------------------------------------------------------------


def _save_transformers(model: Any, folder: str) -> None:
    model.save_pretrained(folder)
    if hasattr(model, "task"):
        with open(_in(folder, _TASK), "x", encoding="utf-8") as file:
            json.dump(model.task, file)


def _load_transformers(kind: Any, folder: str) -> Any:
    """Read it from this folder alone, and never run code that a configuration names."""
    if os.path.exists(_in(folder, _TASK)):
        with open(_in(folder, _TASK), encoding="utf-8") as file:
            task = json.load(file)
        return importlib.import_module("transformers").pipeline(task, model=folder, trust_remote_code=False)
    model = kind.from_pretrained(folder, local_files_only=True)
    return model.eval() if hasattr(model, "eval") else model


def _apply_transformers(model: Any, data: Any) -> Any:
    if hasattr(model, "task"):
        texts = _texts(data) if not isinstance(data, Mapping) else data
        return model(texts)
    if hasattr(model, "forward"):
        return _forward(model, data)
    return {key: list(values) for key, values in model(_texts(data)).items()}


def _forward(model: Any, data: Any) -> Any:
    """Call a network with one tensor for each of its named inputs; return its outputs that are arrays."""
    import torch

    inputs = data if isinstance(data, Mapping) else framed(data).to_dict("list")
    given = {key: torch.as_tensor(arrayed(value)).to(model.device) for key, value in inputs.items()}
    with torch.no_grad():
        outputs = model(**given)
    return {key: value.detach().cpu().numpy() for key, value in outputs.items() if hasattr(value, "detach")}


def _save_peft(model: Any, folder: str) -> None:
    """Write the adapter, and the network that it stands on: the same bytes for every adapter, stored once."""
    base = model.get_base_model()
    if type(base).__module__.partition(".")[0] != "transformers":
        raise cannot_save(model, f"its base is a {type(base).__name__}, which transformers does not read")
    model.save_pretrained(_in(folder, "adapter"))
    prefix = model.base_model.prefix if hasattr(model.base_model, "prefix") else "lora_"
    weights = {
        name.replace(".base_layer.", "."): value
        for name, value in base.state_dict().items()
        if f".{prefix}" not in name
    }
    kept = {
        name.replace(".original_module.", "."): value
        for name, value in weights.items()
        if ".modules_to_save." not in name
    }
    base.save_pretrained(_in(folder, "base"), state_dict=kept)
    with open(_in(folder, _BASE), "x", encoding="utf-8") as file:
        json.dump(type(base).__name__, file)


def _load_peft(_: Any, folder: str) -> Any:
    with open(_in(folder, _BASE), encoding="utf-8") as file:
        kind = getattr(importlib.import_module("transformers"), json.load(file))
    base = kind.from_pretrained(_in(folder, "base"), local_files_only=True)
    return importlib.import_module("peft").PeftModel.from_pretrained(base, _in(folder, "adapter")).eval()


# -- fastai, gensim, H2O, Spark --------------------------------------------------------------------------------------


def _load_fastai(_: Any, folder: str) -> Any:
    return importlib.import_module("fastai.learner").load_learner(_in(folder, "learner.pkl"))


def _apply_fastai(model: Any, data: Any) -> Any:
    return model.get_preds(dl=model.dls.test_dl(framed(data)))[0].numpy()


@functools.cache
def _h2o() -> Any:
    """Return the module, with a server of its own if none runs."""
    h2o = importlib.import_module("h2o")
    if h2o.connection() is None:
        h2o.init(verbose=False)
    return h2o


def _apply_h2o(model: Any, data: Any) -> Any:
    return model.predict(_h2o().H2OFrame(framed(data))).as_data_frame()


def _spark() -> Any:
    return importlib.import_module("pyspark.sql").SparkSession.builder.getOrCreate()


def _load_spark(kind: Any, folder: str) -> Any:
    _spark()
    return kind.load(_in(folder, "spark"))


def _apply_spark(model: Any, data: Any) -> Any:
    return model.transform(_spark().createDataFrame(framed(data))).toPandas()["prediction"]


_TASK, _BASE, _PICKLE = "task.json", "base_class.json", "model.pkl"
#: Bytes of a pickle from which it is worth a word that rows are in it.
_LARGE = 1 << 20

#: By the name of the flavor, which is that of MLflow's module.
LIBRARIES: Mapping[str, Library] = {
    "catboost": Library(
        "CatBoost",
        "catboost",
        _is("CatBoost"),
        lambda model, folder: model.save_model(_in(folder, "model.cbm")),
        _load_catboost,
        lambda model, data: model.predict(framed(data)),
        ("numpy",),
    ),
    "fastai": Library(
        "fastai",
        "fastai",
        _is("Learner"),
        lambda model, folder: model.export(os.path.abspath(_in(folder, "learner.pkl"))),
        _load_fastai,
        _apply_fastai,
        ("torch",),
    ),
    "gensim": Library(
        "Gensim",
        "gensim",
        _is("SaveLoad"),
        lambda model, folder: model.save(_in(folder, "model.gensim")),
        lambda kind, folder: kind.load(_in(folder, "model.gensim")),
        None,
        ("numpy",),
    ),
    "h2o": Library(
        "H2O",
        "h2o",
        _is("ModelBase"),
        lambda model, folder: _h2o().save_model(model, folder, filename="model.h2o"),
        lambda _, folder: _h2o().load_model(_in(folder, "model.h2o")),
        _apply_h2o,
        ("pandas",),
    ),
    "peft": Library("PEFT", "peft", _is("PeftModel"), _save_peft, _load_peft, _forward, ("torch", "transformers")),
    "pmdarima": Library(
        "pmdarima",
        "pmdarima",
        lambda model: hasattr(model, "predict"),
        _save_pickle,
        _load_pickle,
        _apply_pmdarima,
        ("numpy", "statsmodels"),
    ),
    "prophet": Library(
        "Prophet",
        "prophet",
        _is("Prophet"),
        _save_prophet,
        _load_prophet,
        lambda model, data: model.predict(framed(data)),
        ("pandas",),
    ),
    "sentence_transformers": Library(
        "Sentence Transformers",
        "sentence_transformers",
        _is("SentenceTransformer"),
        lambda model, folder: model.save(folder, create_model_card=False),
        lambda kind, folder: kind(folder, local_files_only=True, trust_remote_code=False),
        lambda model, data: model.encode(_texts(data), show_progress_bar=False),
        ("torch", "transformers"),
    ),
    "spacy": Library(
        "spaCy",
        "spacy",
        _is("Language"),
        lambda model, folder: model.to_disk(_in(folder, "nlp")),
        lambda _, folder: importlib.import_module("spacy").load(_in(folder, "nlp")),
        _classify,
    ),
    "spark": Library(
        "Spark ML",
        "pyspark",
        lambda model: hasattr(model, "transform") and hasattr(model, "write"),
        lambda model, folder: model.write().save(_in(folder, "spark")),
        _load_spark,
        _apply_spark,
        ("pandas",),
    ),
    "statsmodels": Library(
        "statsmodels",
        "statsmodels",
        lambda model: hasattr(model, "predict") and hasattr(model, "save"),
        _save_statsmodels,
        _load_pickle,
        _apply_statsmodels,
        ("numpy", "pandas"),
    ),
    "transformers": Library(
        "Transformers",
        "transformers",
        _is("Pipeline", "PreTrainedModel", "PreTrainedTokenizerBase"),
        _save_transformers,
        _load_transformers,
        _apply_transformers,
        ("torch",),
        "config.json",
    ),
}
