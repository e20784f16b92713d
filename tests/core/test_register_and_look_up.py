"""Register and look up: records, listings, frames, URIs."""

import copy
import math
import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.errors import BadFilter


def test_a_registered_version_says_everything_that_was_given(registry, constant):
    version = registry.register(
        constant(1),
        "Iris",
        metrics={"accuracy": 0.97, "n": np.int64(3), "nan": float("nan"), "inf": float("inf")},
        params={"depth": 3, "on": True, "none": None, "list": [1, 2], "np": np.float64(0.5), "nan": math.nan},
        tags={"team": "a"},
        description="good",
        run_id="abc",
        requirements=["numpy==1.0"],
        because="first fit",
    )
    assert (version.name, version.version, version.stage) == ("Iris", 1, "None")
    assert version.metrics["accuracy"] == 0.97
    assert (version.metrics["n"], version.metrics["inf"]) == (3.0, math.inf)
    assert math.isnan(version.metrics["nan"])
    assert version.params == {"depth": 3, "on": True, "none": None, "list": "[1, 2]", "np": 0.5, "nan": "nan"}
    assert (version.tags, version.description, version.run_id) == ({"team": "a"}, "good", "abc")
    assert version.requirements == ("numpy==1.0",)
    assert version.digest.startswith("sha256:")
    assert version.size > 0
    assert version.created_at.tzinfo is UTC
    assert version.uri == "models:/Iris/1"
    assert version == registry.version("Iris", 1) == registry.versions()[0] == rn.Registry(registry.uri).versions()[0]
    assert [(e.action, e.version, e.because) for e in registry.history()] == [
        ("created", None, "first fit"),
        ("registered", 1, "first fit"),
    ]


def test_a_model_without_versions_can_be_made_first(registry, constant):
    model = registry.create_model("Iris", description="Flowers", tags={"n": 1})
    assert (model.name, model.description, model.tags, model.aliases) == ("Iris", "Flowers", {"n": "1"}, {})
    assert model.created_at == model.updated_at
    assert registry.register(constant(1), "Iris").version == 1
    assert registry.model("Iris").description == "Flowers"


def test_a_version_is_found_by_whatever_names_it(iris):
    iris.alias("Iris", "best", 1)
    for which, number in [
        (1, 1), ("3", 3), (np.int64(3), 3), ("Production", 2), ("production", 2), (rn.Stage.PRODUCTION, 2),
        ("None", 3), ("@best", 1), ("latest", 3),
    ]:  # fmt: skip
        assert iris.version("Iris", which).version == number
    assert iris.version("Iris").version == 3


@pytest.mark.parametrize(
    ("uri", "number"),
    [("models:/Iris/Production", 2), ("models:/Iris/3", 3), ("models:/Iris@best", 1), ("models:/Iris/latest", 3)],
)
def test_a_model_is_loaded_by_every_spelling_of_its_uri(iris, uri, number):
    iris.alias("Iris", "best", 1)
    loaded = iris.load(uri)
    assert loaded.predict([0, 0]) == [number, number]
    assert loaded.version == iris.version("Iris", number)
    assert loaded.unwrap()([0]) == [number]
    assert repr(loaded) == f"LoadedModel(models:/Iris/{number}, pyfunc: function)"


def test_models_are_listed_by_name_with_who_holds_which_stage(iris, constant):
    iris.register(constant(1), "Ägypten")
    iris.register(constant(1), "Abalone")
    iris.promote("Iris", 3, "Staging")
    assert [model.name for model in iris.models()] == ["Abalone", "Iris", "Ägypten"]
    assert {str(v.stage): v.version for v in iris.model("Iris").latest_versions} == {
        "Archived": 1, "Production": 2, "Staging": 3
    }  # fmt: skip
    assert [m.name for m in iris.models("name LIKE 'I%'")] == ["Iris"]
    assert [m.name for m in iris.models(order_by="name DESC", limit=2)] == ["Ägypten", "Iris"]


def test_versions_are_listed_filtered_ordered_and_limited(iris, constant):
    iris.register(constant(1), "Abalone", metrics={"accuracy": 0.5})

    def found(*given, **how):
        return [(v.name, v.version) for v in iris.versions(*given, **how)]

    everything = [("Abalone", 1), ("Iris", 1), ("Iris", 2), ("Iris", 3)]
    assert found() == everything
    assert found("Iris") == everything[1:]
    assert found(filter="name = 'Iris' AND stage = 'production'") == [("Iris", 2)]
    assert found(filter="current_stage = 'None'") == [("Abalone", 1), ("Iris", 3)]
    assert found("Iris", "name = 'Abalone'") == []
    assert found(filter="name = 'Nobody'") == []
    assert found(order_by="metrics.accuracy desc", limit=2) == [("Iris", 3), ("Iris", 2)]
    assert found(order_by=["name DESC", "version_number DESC"]) == [*everything[:0:-1], everything[0]]
    assert found(limit=0) == []
    assert found(limit=99) == everything


def test_a_version_that_vanishes_between_index_and_record_is_left_out(iris, monkeypatch):
    monkeypatch.setattr(iris.store, "holders", lambda name, stage: (2, 99))
    assert [v.version for v in iris.versions("Iris", "stage = 'Production'")] == [2]


def test_the_history_is_cut_by_time_and_number(iris):
    events = iris.history("Iris")
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    middle = events[3].at
    assert iris.history("Iris", since=middle) == [e for e in events if e.at >= middle]
    assert iris.history("Iris", until=middle.isoformat()) == [e for e in events if e.at <= middle]
    local = middle.astimezone().replace(tzinfo=None)
    assert iris.history(since=local, until=local) == [e for e in events if e.at == middle]
    assert iris.history("Iris", since=datetime.now(UTC) + timedelta(days=1)) == []
    assert iris.history(limit=2) == events[-2:]
    assert iris.history(limit=0) == []
    assert iris.history(limit=99) == events


def test_the_history_of_all_is_told_in_the_order_in_which_it_happened(iris, constant):
    iris.register(constant(1), "Abalone")
    iris.promote("Iris", 3)
    iris.promote("Abalone", 1)
    history = iris.history()
    assert [e.id for e in history] == sorted(e.id for e in history)
    assert [(e.name, e.action) for e in history][-5:] == [
        ("Abalone", "created"), ("Abalone", "registered"), ("Iris", "archived"), ("Iris", "promoted"),
        ("Abalone", "promoted"),
    ]  # fmt: skip


def test_listings_are_immutable_sequences(iris):
    listing = iris.versions()
    assert isinstance(listing[1:], rn.Listing)
    assert listing[-1].version == 3
    assert listing == rn.Listing(listing)
    assert listing == list(listing)
    assert listing == tuple(listing)
    assert listing != rn.Listing()
    assert hash(listing) == hash(iris.versions())
    assert listing[0] in listing
    assert repr(rn.Listing(["a"])) == "Listing(['a'])"
    with pytest.raises(TypeError):
        listing[0] = None
    with pytest.raises(AttributeError):
        listing.more = 1


def test_listings_become_frames(iris):
    frame = iris.versions().to_frame()
    assert list(frame["metrics.accuracy"]) == [0.91, 0.92, 0.93]
    assert list(frame["stage"]) == ["Archived", "Production", "None"]
    assert "files" not in frame
    assert frame["created_at"].dtype.kind == "M"
    models = iris.models().to_frame()
    assert models.loc[0, "latest_versions"] == {"Archived": 1, "Production": 2, "None": 3}
    assert list(iris.history().to_frame()["seq"]) == list(range(1, 8))
    assert isinstance(iris.runs().to_frame(), pd.DataFrame)
    assert len(iris.runs().to_frame()) == 0


def test_records_do_not_change_and_survive_pickling_and_copying(iris):
    iris.tag("Iris", {"k": "v"}, version=2)
    records = [*iris.versions(), *iris.models(), *iris.history()]
    for record in records:
        with pytest.raises(AttributeError):
            record.name = "other"
        assert pickle.loads(pickle.dumps(record)) == record == copy.deepcopy(record)
        assert hash(pickle.loads(pickle.dumps(record))) == hash(record)
    tags = iris.version("Iris", 2).tags
    for change in (
        lambda: tags.update(x=1), lambda: tags.pop("k"), lambda: tags.clear(), lambda: tags.setdefault("x", "y"),
        lambda: tags.__setitem__("k", "w"), lambda: tags.__delitem__("k"), lambda: tags.popitem(),
        lambda: tags.__ior__({"x": "y"}),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="a record cannot be changed; ask the registry"):
            change()
    assert iris.version("Iris", 2).tags == {"k": "v"}


def test_records_show_what_matters(iris):
    text = repr(iris.version("Iris", 2))
    assert text.startswith("ModelVersion(name='Iris', version=2, stage='Production', metrics={'accuracy': 0.92}, ")
    assert "latest_versions={'Archived': 1, 'Production': 2, 'None': 3}" in repr(iris.model("Iris"))
    event = repr(iris.history()[-1])
    assert event.startswith("Event(seq=7, at=")
    assert "action='promoted', name='Iris', version=2, before={'stage': 'None'}, after={'stage': 'Production'}" in event
    assert repr(iris).startswith(f"Registry({iris.uri!r}, user='ada')")


def test_a_stage_is_text_and_parses_any_case():
    assert rn.Stage("PRODUCTION") is rn.Stage.PRODUCTION is rn.Stage.Production
    assert [rn.Stage.Staging, rn.Stage.Archived] == ["Staging", "Archived"]
    assert rn.Stage["NONE"] == "None"
    assert f"{rn.Stage.PRODUCTION}" == "Production"
    for wrong in (None, 3, "Prod"):
        with pytest.raises(rn.Invalid, match="is not a stage"):
            rn.Stage(wrong)


def test_a_bad_filter_or_order_is_refused_by_every_listing(iris, refused):
    for listing in (iris.models, lambda *a, **k: iris.versions(None, *a, **k), iris.runs):
        with refused(iris, BadFilter, "position 0, near 'nope = 1'"):
            listing("nope = 1")
        with refused(iris, BadFilter):
            listing(order_by="nope")


def test_python_s_own_copy_of_an_empty_registry_has_nothing(registry, tmp_path):
    assert (registry.models(), registry.versions(), registry.history(), registry.runs()) == ([], [], [], [])
    assert registry.check().ok
    assert not (tmp_path / "registry").exists(), "asking makes nothing"


def test_a_saved_model_of_several_files_has_the_digest_of_their_listing(tmp_path):
    import hashlib

    from registry_nb.domain.records import File, SavedModel

    files = [File(name, f"sha256:{hashlib.sha256(name.encode()).hexdigest()}", 3) for name in ("b.bin", "a.json")]
    saved = SavedModel(flavor="x", files=tuple(files))
    listing = "".join(f"{file.digest[7:]}  {file.path}\n" for file in (files[1], files[0]))  # as sha256sum prints it
    assert saved.digest == f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"
    assert saved.size == 6
    assert SavedModel.from_dict(saved.to_dict()) == saved


def test_the_package_lists_its_names():
    assert {"Registry", "load_model", "Stage"} <= set(dir(rn))
