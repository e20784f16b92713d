"""The gate as `Registry.load` has it: payloads and real models that somebody else put into the folder."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from composites import COMPOSITES, outcome
from payloads import LATE, PAYLOADS

import registry_nb as rn
from registry_nb import environment, lifecycle
from registry_nb.records import SavedModel

#: No pickles as they lie there, or they run later, or leave a file open: `test_every_payload_is_one` has them all.
_NOT_BY_LOADING = {*LATE, "gzip", "joblib with zlib", "logging.FileHandler"}


@pytest.fixture
def planted(registry):
    """Put bytes into a registry as a version, as somebody would who can write its folder."""

    def plant(data, flavor):
        with registry.artifacts.drafting() as folder:
            draft = Path(folder, "model.pkl")
            draft.write_bytes(data)
            files = (registry.artifacts.put(str(draft), draft.name),)
            saved = SavedModel(flavor=flavor, files=files, python_version=environment.python_here())
        with registry.store.transaction() as tx:
            stamp = lifecycle.Stamp(datetime.now(UTC), "eve", "")
            tx.apply(lifecycle.registered(None, 1, "Gift", saved, stamp))
        return registry

    return plant


@pytest.mark.parametrize("flavor", ["sklearn", "pyfunc"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_no_payload_in_the_folder_runs_unless_its_very_digest_is_given(name, flavor, planted, tmp_path):
    marker = tmp_path / "it ran"
    registry = planted(PAYLOADS[name](str(marker)), flavor)
    uri = "models:/Gift/1"
    found = registry.inspect(uri)
    assert (found.origin, found.kind) == ("foreign", "code")
    with pytest.raises(rn.Untrusted) as caught:
        registry.load(uri)
    assert found.digest[:39] in str(caught.value)
    with pytest.raises(rn.Untrusted):
        registry.load(uri, trust="sha256:" + "0" * 16)
    with pytest.raises(rn.Invalid):
        registry.load(uri, trust=True)
    assert not marker.exists()
    if name not in _NOT_BY_LOADING:
        with suppress(Exception):  # what the others return is no model
            registry.load(uri, trust=found.digest)
        assert marker.exists(), "the control: what is trusted does run"


def test_of_28_composites_23_load_without_trust_and_predict_equally():
    assert len(COMPOSITES) == 28
    assert sum(reason is None for _, _, reason in COMPOSITES.values()) == 23


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_strangers_composite_loads_or_says_why_not(name, planted):
    make, (X, y), reason = COMPOSITES[name]
    model = make().fit(X, y)
    registry = planted(cloudpickle.dumps(model, protocol=5), "sklearn")
    if reason is None:
        loaded = registry.load("models:/Gift/1")
        assert loaded.origin == "foreign"
        for ours, theirs in zip(outcome(loaded.unwrap(), X), outcome(model, X), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    else:
        with pytest.raises(rn.Untrusted, match=re.escape(reason)):
            registry.load("models:/Gift/1")
        registry.trust("models:/Gift/1", because="read")
        np.testing.assert_array_equal(outcome(registry.load("models:/Gift/1").unwrap(), X)[0], outcome(model, X)[0])
