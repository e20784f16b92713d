"""What a pickle would import is found by reading it, and it is code whatever that is."""

import gzip
import io
import os
import pickle
import resource
import struct
import zlib

import cloudpickle
import numpy as np
import pytest
from payloads import LATE, PAYLOADS, Call, system
from sklearn.linear_model import LogisticRegression

from registry_nb.flavors.untrusted import audit as auditing
from registry_nb.flavors.untrusted.audit import audit


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "it ran"


def audited(data):
    return audit(io.BytesIO(data))


def test_there_are_as_many_payloads_as_were_measured():
    assert len(PAYLOADS) == 26


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_payload_runs_while_it_is_read_and_what_it_names_is_found(name, marker):
    found = audited(PAYLOADS[name](str(marker)))
    assert found.kind == "code"
    assert found.imports or found.problems
    assert not marker.exists()


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_is_one(name, marker):
    """Without the gate they run: the test above is about something."""
    data = PAYLOADS[name](str(marker))
    if name == "gzip":
        data = gzip.decompress(data)
    if name == "joblib with zlib":
        data = zlib.decompress(data)
    try:
        found = pickle.loads(data)
    except Exception:
        assert name == "truncated"
    if name == "logging.FileHandler":
        found.close()
    assert marker.exists() == (name not in LATE)
    if name in LATE:
        found.predict(None)
        assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_call_is_found_in_every_protocol(protocol, marker):
    assert [name for name in audited(system(str(marker), protocol)).imports if name.endswith(":system")]
    assert not marker.exists()


@pytest.mark.parametrize(
    "hide",
    [
        lambda bad, model: [model, bad],
        lambda bad, model: {"model": model, "more": {"deep": [(1, bad)]}},
        lambda bad, model: np.array([model, bad], object),
        lambda bad, model: vars(model).update(extra=bad) or model,
    ],
)
def test_a_call_inside_of_a_model_is_found(hide, marker):
    hidden = hide(Call(os.system, f"touch '{marker}'"), LogisticRegression())
    found = audited(cloudpickle.dumps(hidden, protocol=5))
    assert {"posix:system", "sklearn.linear_model._logistic:LogisticRegression"} <= set(found.imports)
    assert list(found.imports) == sorted(found.imports)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "exhausted"),
        (b"\x80\x05", "exhausted"),
        (b"\x80\x05N", "exhausted"),
        (b"no pickle", "unreadable"),
        (b"\x80\x05N.and more", "after its end"),
        (b"\x80\x05Pabc\n.", "PERSID abc"),
        (b"\x80\x05\x82\x01.", "EXT1 1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x05\x93.", "unreadable"),
        (b"\x80\x050.", "more from its stack"),
        (b"\x80\x05h\x07.", "unreadable"),
        (b"\x80\x05NN\x93.", "not written out"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"short.", "too early"),
        (b"\x80\x05\x8e" + struct.pack("<Q", 1 << 62) + b".", "too early"),
        (b"I" + b"9" * 100_000 + b"\n.", "unreadable"),
    ],
)
def test_what_cannot_be_read_is_said(data, why):
    found = audited(data)
    assert found.kind == "code"
    assert any(why in text for text in found.problems), found.problems


def test_a_name_that_is_long_is_cut_and_one_that_is_longer_not_read():
    text = b"\x80\x05\x8d" + struct.pack("<Q", 70_000) + b"x" * 70_000 + b"\x8c\x01x\x93."
    assert audited(text).imports == ("(long):x",)
    (name,) = audited(b"c" + b"y" * 60_000 + b"\nz\n.").imports
    assert len(name) == 500


def test_more_operations_than_any_model_has_are_not_read(monkeypatch):
    monkeypatch.setattr(auditing, "_MOST", 1000)
    found = audited(b"\x80\x05cos\nsystem\n" + b"N0" * 1000 + b".")
    assert found.imports == ("os:system",)
    assert found.problems == ("unreadable: it has more than 1,000 operations, of which the rest was not read",)
    assert audited(b"\x80\x05" + b"N0" * 400 + b"N.").problems == ()


def test_the_objection_names_what_is_known():
    assert audited(pickle.dumps(1)).objection == "loading it can run any code"
    assert audited(pickle.dumps(os.system)).objection == "loading it would import posix:system"
    carried = audited(cloudpickle.dumps(lambda: 1)).objection
    assert carried.startswith("it carries code of its own, and loading it would import ")
    assert audited(b"").objection.startswith("it is unreadable: pickle exhausted before seeing STOP, and loading it")


def test_code_is_told_from_what_only_needs_other_names():
    assert audited(cloudpickle.dumps(lambda: 1)).by_value
    assert not audited(pickle.dumps(os.system)).by_value
    assert not audited(cloudpickle.dumps(LogisticRegression())).by_value


def test_audit_takes_no_memory_for_large_arrays(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.write(b"\x80\x05\x96" + struct.pack("<Q", 1 << 33))
        file.truncate(file.tell() + (1 << 33))
        file.seek(0, os.SEEK_END)
        file.write(b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(path, "rb") as file:
        assert audit(file).problems == ()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB, of 8 GiB
