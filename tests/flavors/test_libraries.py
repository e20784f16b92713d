"""Libraries whose models are saved as they save them: by default, by stage in a fresh process, and by MLflow's module.

Each is tiny, and built from its configuration: nothing is downloaded. A library that is not here is skipped.
"""

import importlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.errors import Corrupted, RegistryWarning, Untrusted
from registry_nb.flavors.libraries import LIBRARIES
from registry_nb.packaging import equality

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # what the libraries say of themselves and of each other
    pytest.mark.filterwarnings("error::registry_nb.errors.RegistryWarning"),
]

_RNG = np.random.default_rng(0)
ROWS = pd.DataFrame(_RNG.random((40, 3)), columns=list("abc"))
TARGET = (ROWS["a"] > 0.5).astype(int)


@dataclass
class Case:
    """A model of a library, some input, and its files opened without this package."""

    model: Any
    data: Any
    opened: Any
    flavor: str = ""


def catboost():
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False).fit(ROWS, TARGET)
    return Case(
        model,
        ROWS[:5],
        lambda folder: CatBoostClassifier().load_model(folder / "model.cbm").predict(ROWS[:5]),
    )


def statsmodels():
    import statsmodels.api as sm

    return Case(sm.OLS(TARGET, ROWS).fit(), ROWS[:5], lambda folder: sm.load(folder / "model.pkl").predict(ROWS[:5]))


def prophet():
    from prophet import Prophet
    from prophet.serialize import model_from_json

    days = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=60), "y": np.arange(60.0)})
    model = Prophet(uncertainty_samples=0).fit(days)
    return Case(
        model,
        days[["ds"]][:5],
        lambda folder: model_from_json((folder / "model.json").read_text()).predict(days[["ds"]][:5]),
    )


def pmdarima():
    import pmdarima as pm

    model = pm.ARIMA((1, 0, 0)).fit(np.arange(30.0) + _RNG.random(30))

    def opened(folder):
        with (folder / "model.pkl").open("rb") as file:
            return pickle.load(file).predict(n_periods=3)

    return Case(model, pd.DataFrame({"n_periods": [3]}), opened)


def spacy():
    import spacy as library

    nlp = library.blank("en")
    textcat = nlp.add_pipe("textcat")
    textcat.add_label("GOOD")
    textcat.add_label("BAD")
    nlp.initialize()
    data = ["good", "bad day"]

    def opened(folder):
        docs = library.load(folder / "nlp").pipe(data)
        return [{"cats": doc.cats, "ents": [], "tags": [each.tag_ for each in doc]} for doc in docs]

    return Case(nlp, data, opened)


def _network():
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return BertForSequenceClassification(BertConfig(vocab_size=50, **sizes)).eval()


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["[UNK]", "[PAD]", "good", "bad", "day"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")


TOKENS = {"input_ids": np.array([[1, 2, 3]]), "attention_mask": np.array([[1, 1, 1]])}


def transformers():
    import torch
    from transformers import BertForSequenceClassification

    def opened(folder):
        with torch.no_grad():
            given = {key: torch.as_tensor(value) for key, value in TOKENS.items()}
            return {"logits": BertForSequenceClassification.from_pretrained(folder).eval()(**given).logits.numpy()}

    return Case(_network(), TOKENS, opened)


def transformers_pipeline():
    from transformers import pipeline

    data = ["good", "bad day"]
    model = pipeline("text-classification", model=_network(), tokenizer=_tokenizer(), device="cpu")
    return Case(
        model,
        data,
        lambda folder: pipeline("text-classification", model=str(folder), device="cpu")(data),
        "transformers",
    )


def transformers_tokenizer():
    from transformers import AutoTokenizer

    data = ["good day", "bad"]
    return Case(
        _tokenizer(), data, lambda folder: dict(AutoTokenizer.from_pretrained(folder)(data)), flavor="transformers"
    )


def sentence_transformers():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers import models as parts

    data = ["good", "bad day"]
    here = Path(os.environ["BASE_OF_SENTENCES"])
    _network().bert.save_pretrained(here)
    _tokenizer().save_pretrained(here)
    model = SentenceTransformer(modules=[parts.Transformer(str(here)), parts.Pooling(8)], device="cpu")
    return Case(model, data, lambda folder: SentenceTransformer(str(folder), device="cpu").encode(data))


def _adapter(seed=0):
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(_network(), LoraConfig(r=2, target_modules=["query", "value"], task_type="SEQ_CLS"))
    torch.manual_seed(seed)
    with torch.no_grad():  # an adapter begins as zeros, and would not show in a prediction
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.normal_()
    return model.eval()


def peft():
    import torch
    from peft import PeftModel
    from transformers import BertForSequenceClassification

    def opened(folder):
        base = BertForSequenceClassification.from_pretrained(folder / "base")
        with torch.no_grad():
            given = {key: torch.as_tensor(value) for key, value in TOKENS.items()}
            model = PeftModel.from_pretrained(base, folder / "adapter").eval()
            return {"logits": model(**given).logits.numpy()}

    return Case(_adapter(), TOKENS, opened)


def gensim():
    from gensim.models import Word2Vec

    model = Word2Vec([["a", "b"], ["b", "c"]], vector_size=4, min_count=1)
    return Case(model, None, lambda folder: Word2Vec.load(str(folder / "model.gensim")).wv["a"])


MAKERS = {
    "catboost": catboost,
    "gensim": gensim,
    "peft": peft,
    "pmdarima": pmdarima,
    "prophet": prophet,
    "sentence_transformers": sentence_transformers,
    "spacy": spacy,
    "statsmodels": statsmodels,
    "transformers": transformers,
    "transformers, pipeline": transformers_pipeline,
    "transformers, tokenizer": transformers_tokenizer,
}
_LOADING = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import registry_nb
with open(sys.argv[2], "rb") as file:
    data = pickle.load(file)
model = registry_nb.Registry(sys.argv[1]).load("models:/Model/Production", verify=None if data is None else "behaviour")
answer = None if data is None else (model.predict(data), model.behaviour.ok)
with open(sys.argv[3], "wb") as file:
    pickle.dump(answer, file)
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No library asks its hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    (tmp_path / "base").mkdir()
    monkeypatch.setenv("BASE_OF_SENTENCES", str(tmp_path / "base"))


@pytest.fixture(params=sorted(MAKERS))
def case(request, offline):
    """A case of each library that is here."""
    library = request.param.partition(",")[0]
    pytest.importorskip(library, reason=f"{library} is not installed")
    made = MAKERS[request.param]()
    made.flavor = made.flavor or library
    return made


@pytest.fixture
def library(offline):
    """A case of one library, by its name."""

    def made(name):
        pytest.importorskip(name, reason=f"{name} is not installed")
        return MAKERS[name]()

    return made


def registered(registry, case, name="Model"):
    return registry.register(case.model, name, example=case.data)


def test_a_model_is_registered_by_the_default_call_and_loaded_by_stage_in_a_fresh_process(registry, case, tmp_path):
    version = registered(registry, case)
    assert version.flavor == case.flavor
    assert any(text.replace("-", "_").startswith(f"{case.flavor}==") for text in version.requirements)
    assert not any("+" in text for text in version.requirements), "no index has builds with a label"
    registry.promote("Model", version.version)
    rows, answer = tmp_path / "rows", tmp_path / "answer"
    rows.write_bytes(pickle.dumps(case.data))
    subprocess.run([sys.executable, "-c", _LOADING, registry.uri, rows, answer], check=True, timeout=240)
    found = pickle.loads(answer.read_bytes())
    if case.data is None:
        assert version.signature is None
        assert found is None
        return
    assert version.signature is not None
    assert version.probe is not None
    predicted, behaves = found
    assert behaves
    assert equality.same(registry.load(version.uri).predict(case.data), predicted)
    assert registry.check().ok


def test_its_files_open_without_this_package_and_predict_the_same(registry, case, tmp_path):
    version = registered(registry, case)
    folder = tmp_path / "files"
    registry.download(version.uri, folder)
    found = case.opened(folder)
    if case.data is None:
        assert np.array_equal(found, case.model.wv["a"])
        return
    expected = registry.load(version.uri).predict(case.data)
    if isinstance(expected, pd.DataFrame | pd.Series):
        expected, found = np.asarray(expected), np.asarray(found)
    assert equality.same(expected, found)


def test_a_stranger_s_is_code_and_not_loaded(registry, case, tmp_path, monkeypatch):
    version = registered(registry, case)
    monkeypatch.setenv("REGISTRY_NB_HOME", str(tmp_path / "another user"))
    with pytest.raises(Untrusted, match="may name code"):
        registry.load(version.uri)
    assert registry.inspect(version.uri).kind == "code"
    assert registry.load(version.uri, trust=version.digest).version == version


def test_mlflow_s_module_logs_it_and_loads_it(case, tmp_path, monkeypatch):
    if case.flavor in {"gensim", "peft"}:
        pytest.skip(f"MLflow has no module for {case.flavor}")
    monkeypatch.chdir(tmp_path)
    from registry_nb import mlflow

    rn.set_registry(tmp_path / "registry")
    door = importlib.import_module(f"registry_nb.mlflow.{case.flavor}")
    info = door.log_model(case.model, name="model", input_example=case.data, registered_model_name="Model")
    assert type(door.load_model(info.model_uri)) is type(case.model)
    assert set(info.flavors) == {"python_function", case.flavor}
    expected = rn.Registry(tmp_path / "registry").load("models:/Model/1").predict(case.data)
    assert equality.same(mlflow.pyfunc.load_model("models:/Model/1").predict(case.data), expected)


def test_ten_adapters_store_their_base_once(registry, library):
    library("peft")
    versions = [registry.register(_adapter(seed), "Adapter", example=TOKENS) for seed in range(10)]
    bases = {file.digest for version in versions for file in version.files if file.path == "base/model.safetensors"}
    adapters = {file.digest for version in versions for file in version.files if "adapter_model" in file.path}
    assert len(bases) == 1
    assert len(adapters) == 10
    predictions = {registry.load(version.uri).predict(TOKENS)["logits"].tobytes() for version in versions}
    assert len(predictions) == 10


def test_results_of_statsmodels_that_keep_their_rows_are_told(registry, library):
    library("statsmodels")
    import statsmodels.api as sm

    rows = np.random.default_rng(0).random((100_000, 3))
    results = sm.OLS(rows[:, 0], rows).fit()
    with pytest.warns(RegistryWarning, match=r"keeps the rows that it was fitted on \(\d+ MB\); call its remove_data"):
        version = registry.register(results, "Model", example=rows[:3])
    results.remove_data()
    assert registry.register(results, "Model", example=rows[:3]).size < version.size / 100


def test_an_estimator_s_other_methods_are_there(registry, library):
    case = library("catboost")
    version = registered(registry, case)
    loaded = registry.load(version.uri)
    assert np.array_equal(loaded.predict_proba(case.data), case.model.predict_proba(case.data))


def test_forecasts_take_a_number_of_periods_too(registry, library):
    case = library("pmdarima")
    loaded = registry.load(registry.register(case.model, "Model").uri)
    assert np.array_equal(loaded.predict(3), case.model.predict(n_periods=3))


@pytest.mark.parametrize(
    "about",
    [
        {"format": 2, "module": "catboost.core", "class": "CatBoost"},
        {"format": 1, "module": "os", "class": "system"},
        {"format": 1, "module": "catboost.core", "class": "CatBoost()"},
        {"format": 1, "module": 3, "class": "CatBoost"},
        [],
    ],
)
def test_a_description_that_names_something_else_is_damaged(tmp_path, about):
    from registry_nb.flavors import Files, flavor_named

    (tmp_path / "native.json").write_text(json.dumps(about))
    with pytest.raises(Corrupted, match=r"native\.json does not read"):
        flavor_named("catboost").load(Files.of_folder(str(tmp_path)), restricted=False)


def test_every_library_of_the_table_has_a_module_of_mlflow_s_or_a_reason():
    without = {"fastai", "gensim", "peft"}  # MLflow has none
    for name in LIBRARIES.keys() - without:
        door = importlib.import_module(f"registry_nb.mlflow.{name}")
        assert callable(door.log_model), name
        assert callable(door.load_model), name


def test_a_folder_of_hugging_face_predicts_if_its_flavor_is_named_and_it_is_trusted(registry, library, tmp_path):
    case = library("transformers")
    case.model.save_pretrained(tmp_path / "folder")
    version = registry.register(tmp_path / "folder", "Model", flavor="transformers")
    assert registry.inspect(version.uri).kind == "code"
    with pytest.raises(Untrusted, match="may name code"):
        registry.load(version.uri)
    loaded = registry.load(version.uri, trust=version.digest)
    expected = registry.load(registered(registry, case, "Object").uri).predict(case.data)
    assert equality.same(loaded.predict(case.data), expected)


@pytest.mark.parametrize("config", ["{}", '{"architectures": []}', '{"architectures": ["a.b()"]}', "[", "3"])
def test_a_folder_that_names_no_class_is_refused_and_nothing_is_registered(registry, refused, tmp_path, config):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text(config)
    with refused(registry, rn.Invalid, "transformers does not read these files", "config.json does not read"):
        registry.register(tmp_path / "folder", "Model", flavor="transformers")


def test_code_of_its_own_in_a_folder_is_not_run_although_its_bytes_are_trusted(registry, library, tmp_path):
    library("transformers").model.save_pretrained(folder := tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text())
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    for kind in (config["architectures"][0], "Own"):
        own = {"architectures": [kind], "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Own"}}
        (folder / "config.json").write_text(json.dumps(config | own))
        version = registry.register(folder, "Model", flavor="transformers")
        if kind == "Own":
            with pytest.raises(Corrupted, match=r"transformers\.Own, which Transformers does not have here"):
                registry.load(version.uri, trust=version.digest)
        else:
            registry.load(version.uri, trust=version.digest)
    assert not ran.exists()
