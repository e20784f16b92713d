"""What stands beside a version: reports, pictures and tables; stored, verified, and never run."""

import io
import json
import os
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.packaging import contents

HOSTILE = [
    "../x",
    "a/b",
    "a\\b",
    "con",
    "CON.txt",
    "lpt1.csv",
    "x.",
    "",
    ".",
    "..",
    "a:b",
    'a"b',
    "a*b",
    "x\x00",
    3,
]


@pytest.fixture
def iris(registry):
    registry.register(lambda X: [0 for _ in X], "Iris")
    return registry


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(contents, "MAX_SIZE", 100)


def read(registry, name, uri="models:/Iris/1"):
    with registry.attachment(uri, name) as file:
        return file.read()


@pytest.mark.every_store
def test_files_are_registered_with_the_model_and_read_back(registry):
    version = registry.register(lambda X: X, "Iris", files={"notes.txt": "naïve", "raw.bin": b"\x00\x01"})
    assert list(version.attachments) == ["notes.txt", "raw.bin"]
    assert registry.version("Iris", 1) == version
    assert (read(registry, "notes.txt").decode(), read(registry, "raw.bin")) == ("naïve", b"\x00\x01")
    assert registry.check().ok
    assert version.size == sum(file.size for file in version.files), "what stands beside it is not the model"


@pytest.mark.every_store
def test_files_are_attached_replaced_and_taken_away_each_with_its_event(iris):
    iris.attach("models:/Iris/1", {"a.txt": "1", "b.txt": "2"}, because="for the audit")
    iris.attach("models:/Iris/1", {"a.txt": "3"})
    left = iris.attach("models:/Iris/1", {"b.txt": None}, because="wrong")
    assert list(left.attachments) == ["a.txt"]
    assert read(iris, "a.txt") == b"3"
    events = iris.history("Iris")[-3:]
    assert [(event.action, event.because) for event in events] == [
        ("attached", "for the audit"),
        ("attached", ""),
        ("detached", "wrong"),
    ]
    assert [list(event.after["attachments"]) for event in events] == [["a.txt", "b.txt"], ["a.txt"], ["b.txt"]]
    assert iris.check().ok


@pytest.mark.every_store
def test_the_same_bytes_again_are_no_change(iris):
    iris.attach("models:/Iris/1", {"a.txt": "1"})
    before = iris.revision
    iris.attach("models:/Iris/1", {"a.txt": "1"})
    assert iris.revision == before


@pytest.mark.every_store
def test_a_change_of_something_else_keeps_what_is_attached(iris):
    iris.attach("models:/Iris/1", {"a.txt": "1"})
    iris.promote("Iris", 1)
    iris.tag("Iris", {"k": "v"}, version=1)
    assert list(iris.version("Iris", 1).attachments) == ["a.txt"]
    assert list(iris.rename("Iris", "Flower") and iris.version("Flower", 1).attachments) == ["a.txt"]


@pytest.mark.every_store
def test_the_past_has_what_was_attached_then(iris):
    iris.attach("models:/Iris/1", {"a.txt": "1"})
    first = iris.history("Iris")[-1].at
    iris.attach("models:/Iris/1", {"a.txt": "2", "b.txt": "3"})
    iris.attach("models:/Iris/1", {"b.txt": None})
    past = iris.at(first)
    assert past.version("Iris", 1).attachments.keys() == {"a.txt"}
    assert read(past, "a.txt") == b"1"
    assert iris.at(iris.history("Iris")[-2].at).version("Iris", 1).attachments.keys() == {"a.txt", "b.txt"}
    iris.delete("Iris", version=1)
    assert read(iris.at(first), "a.txt") == b"1"


@pytest.mark.every_store
def test_bytes_that_stand_beside_a_version_are_used_and_go_with_it(iris):
    from datetime import timedelta

    iris.attach("models:/Iris/1", {"a.txt": "only here"})
    assert iris.usage()[0].files == 2
    assert iris.check(repair=True, older_than=timedelta(0)).removed == ()
    iris.delete("Iris", version=1)
    assert len(iris.check(repair=True, older_than=timedelta(0)).removed) == 2


@pytest.mark.every_store
def test_a_batch_attaches_with_its_other_changes_or_not_at_all(iris):
    with pytest.raises(RuntimeError, match="stop"), iris.atomically(because="report") as batch:
        batch.attach("models:/Iris/1", {"a.txt": "1"})
        assert read(batch, "a.txt") == b"1"
        raise RuntimeError("stop")
    assert iris.version("Iris", 1).attachments == {}


@pytest.mark.every_store
def test_a_copy_has_them_too(iris, tmp_path):
    iris.attach("models:/Iris/1", {"a.txt": "1"})
    assert list(iris.copy("models:/Iris/1", "Flower").attachments) == ["a.txt"]
    other = rn.Registry(tmp_path / "other", user="ada")
    assert list(other.copy("models:/Iris/1", "Iris", source=iris).attachments) == ["a.txt"]
    assert read(other, "a.txt") == b"1"
    assert other.check().ok


def test_whoever_changed_what_is_attached_past_the_history_is_found(iris):
    one = iris.attach("models:/Iris/1", {"a.txt": "1", "b.txt": "2"})
    change = lifecycle.tagged(one, {"k": "v"}, iris.stamp())
    swapped = {"a.txt": one.attachments["a.txt"], "b.txt": replace(one.attachments["a.txt"], path="b.txt")}
    with iris.store.transaction("Iris") as tx:
        tx.apply(replace(change, versions=(replace(change.versions[0], attachments=swapped),)))
    (problem,) = iris.check().problems
    assert "its history says otherwise about what is attached (b.txt)" in problem
    assert (problem.kind, problem.version) == ("record", 1)


#: What the last release before attachments wrote of a version, and of an event: it ignores all else when it reads.
BEFORE = {
    *("stage", "description", "tags", "metrics", "params", "flavor", "files", "signature", "requirements", "run_id"),
    *("python_version", "environment", "probe", "seals", "user", "created_at", "updated_at", "provenance"),
}
EVENT_BEFORE = {
    *("id", "seq", "at", "user", "action", "name", "version", "before", "after", "because", "host", "previous"),
}


def test_an_earlier_release_reads_the_version_without_what_stands_beside_it(iris):
    """It knows all other fields, so it is not refused: the new one is alone, and absent where nothing is attached."""
    plain = iris.version("Iris", 1)
    assert set(plain.to_dict()) == BEFORE
    one = iris.attach("models:/Iris/1", {"a.txt": "1"})
    assert one.to_dict().keys() - BEFORE == {"attachments"}
    known = {key: value for key, value in one.to_dict().items() if key in BEFORE}
    assert known | {"updated_at": ""} == plain.to_dict() | {"updated_at": ""}
    event = iris.history("Iris")[-1]
    assert set(event.to_dict()) == EVENT_BEFORE, "it replays an action that it does not know, and keeps it"
    assert (event.action, set(event.before), set(event.after)) == ("attached", {"attachments"}, {"attachments"})
    with open(os.path.join(iris.uri, "registry.jsonl"), "rb") as journal:
        assert journal.readline().startswith(b'{"registry_nb":1,'), "the number that it opens"


def test_what_an_earlier_release_takes_away_by_writing_the_version_is_found_by_name(iris):
    """It writes the fields that it knows; the history still says what was attached."""
    one = iris.attach("models:/Iris/1", {"a.txt": "1"})
    change = lifecycle.tagged(one, {"k": "v"}, iris.stamp())
    written = {key: value for key, value in change.versions[0].to_dict().items() if key in BEFORE}
    with iris.store.transaction("Iris") as tx:
        tx.apply(replace(change, versions=(type(one).from_dict("Iris", 1, (), written),)))
    assert iris.version("Iris", 1).attachments == {}
    (problem,) = iris.check().problems
    assert "its history says otherwise about what is attached (a.txt)" in problem
    iris.attach("models:/Iris/1", {"a.txt": "1"})
    assert iris.check().ok


def test_damaged_bytes_are_refused_and_found(iris, tmp_path):
    version = iris.attach("models:/Iris/1", {"a.txt": "one"})
    path = os.path.join(iris.uri, "artifacts", version.attachments["a.txt"].digest.removeprefix("sha256:"))
    os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(b"two")
    with pytest.raises(rn.Corrupted):
        read(iris, "a.txt")
    assert [problem.kind for problem in iris.check().problems] == ["bytes"]


def test_what_is_not_there_is_told_with_what_is(iris):
    with pytest.raises(rn.NotFound, match=r"models:/Iris/1 has no attachment 'a.txt' \(it has none; attach\("):
        iris.attachment("models:/Iris/1", "a.txt")
    iris.attach("models:/Iris/1", {"report.html": "x"})
    with pytest.raises(rn.NotFound, match=r"'reprt.html'; did you mean 'report.html'\? .*its attachments: report.html"):
        iris.attachment("models:/Iris/1", "reprt.html")
    for call in (
        lambda: iris.attach("models:/Iris/1", {"gone.txt": None}),
        lambda: iris.attachment("models:/Iris/1", 3),
    ):
        with pytest.raises(rn.NotFound):
            call()
    with pytest.raises(rn.VersionNotFound):
        iris.attach("models:/Iris/7", {"a.txt": "1"})


# -- contents --------------------------------------------------------------------------------------------------------


def test_a_path_is_copied_and_stays_where_it_is(iris, tmp_path):
    given = tmp_path / "report.html"
    given.write_bytes(b"<p>fine</p>")
    iris.attach("models:/Iris/1", {"report.html": given})
    assert given.read_bytes() == read(iris, "report.html")


def test_frames_are_written_by_the_suffix_and_a_counting_index_is_left_out(iris):
    import pandas as pd
    import polars as pl

    frame = pd.DataFrame({"a": [1, 2], "b": ["<b>", "y"]})
    files = {"t.csv": frame, "t.html": frame, "t.json": frame, "t.parquet": frame, "i.csv": frame.set_index("b")}
    iris.attach("models:/Iris/1", {**files, "i.json": frame.set_index("b")})
    assert read(iris, "t.csv") == b"a,b\n1,<b>\n2,y\n"
    assert b"&lt;b&gt;" in read(iris, "t.html")
    assert json.loads(read(iris, "t.json")) == [{"a": 1, "b": "<b>"}, {"a": 2, "b": "y"}]
    assert pd.read_parquet(io.BytesIO(read(iris, "t.parquet"))).equals(frame)
    assert read(iris, "i.csv").startswith(b"b,a\n")
    assert json.loads(read(iris, "i.json"))["index"] == ["<b>", "y"]
    other = pl.DataFrame({"a": [1, 2]})
    iris.attach("models:/Iris/1", {"p.csv": other, "p.json": other, "p.parquet": other, "p.html": other})
    assert read(iris, "p.csv") == b"a\n1\n2\n"
    assert json.loads(read(iris, "p.json")) == [{"a": 1}, {"a": 2}]
    assert pl.read_parquet(io.BytesIO(read(iris, "p.parquet"))).equals(other)
    assert b"<table" in read(iris, "p.html")


def test_plain_data_is_json_also_numbers_of_numpy_and_moments(iris):
    from datetime import date

    import numpy as np

    data = {"matrix": np.eye(2), "best": np.float32(0.5), "on": date(2026, 1, 31), "ä": [True, None]}
    iris.attach("models:/Iris/1", {"m.json": data, "n.json": 3})
    assert json.loads(read(iris, "m.json")) == {
        "matrix": [[1, 0], [0, 1]],
        "best": 0.5,
        "on": "2026-01-31",
        "ä": [True, None],
    }
    assert read(iris, "n.json") == b"3"


class Figure:
    """As matplotlib's: one may say the format."""

    def savefig(self, file, *, format, bbox_inches):
        file.write(f"{format}, {bbox_inches}".encode())


class Chart:
    """As plotly's and altair's."""

    def to_html(self):
        return "<div>chart</div>"

    def to_json(self):
        return "{}"


class Picture:
    """As PIL's."""

    def getbands(self):
        return ("R", "G", "B")

    def save(self, file, *, format):
        file.write(format.encode())


def test_figures_charts_and_pictures_are_written_by_the_suffix(iris):
    files = {"f.png": Figure(), "f.svg": Figure(), "c.html": Chart(), "c.json": Chart(), "p.jpg": Picture()}
    iris.attach("models:/Iris/1", files)
    found = {name: read(iris, name).decode() for name in files}
    assert found == {
        "f.png": "png, tight",
        "f.svg": "svg, tight",
        "c.html": "<div>chart</div>",
        "c.json": "{}",
        "p.jpg": "jpeg",
    }


def test_what_lies_beside_a_model_as_a_file_is_not_unpacked_or_run(iris):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("../../x", "x")
    for name, data in {"a.zip": file.getvalue(), "model.pkl": b"cposix\nsystem\n(S'touch it_ran'\ntR."}.items():
        iris.attach("models:/Iris/1", {name: data})
        assert read(iris, name) == data
    assert iris.check(deep=True).ok
    assert not os.path.exists("it_ran")


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_some_system_cannot_have_is_refused(iris, name):
    before = iris.revision
    with pytest.raises(rn.BadName, match="the name of a file"):
        iris.attach("models:/Iris/1", {name: "x"})
    with pytest.raises(rn.BadName):
        iris.register(lambda X: X, "Iris", files={name: "x"})
    assert iris.revision == before


def test_names_that_differ_only_in_case_are_refused(iris):
    iris.attach("models:/Iris/1", {"Report.html": "x"})
    for files in ({"report.html": "y"}, {"a.txt": "1", "A.txt": "2"}):
        with pytest.raises(rn.Invalid, match="differ only by case"):
            iris.attach("models:/Iris/1", files)
    assert list(iris.version("Iris", 1).attachments) == ["Report.html"]


def test_too_much_is_refused(iris, small, monkeypatch, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(b"x" * 101)
    for content in (b"x" * 101, "x" * 101, large):
        with pytest.raises(rn.Invalid, match=r"'a\.txt' is too large: at most 100 B"):
            iris.attach("models:/Iris/1", {"a.txt": content})
    monkeypatch.setattr(contents, "MAX_FILES", 2)
    iris.attach("models:/Iris/1", {"a.txt": b"x" * 100, "b.txt": "2"})
    with pytest.raises(rn.Invalid, match="3 files are too many"):
        iris.attach("models:/Iris/1", {"c.txt": "3"})
    assert len(iris.version("Iris", 1).attachments) == 2


class Broken(Figure):
    def savefig(self, file, **_):
        raise ValueError("no backend\nhere")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.png", object(), "an object of type object cannot be written as 'a.png'; give a path"),
        ("a.txt", {"k": 1}, "an object of type dict cannot be written as 'a.txt'"),
        ("a.json", {"k": object()}, "an object of type object is no plain data"),
        ("a.png", Broken(), r"Broken cannot be written as 'a.png' \(ValueError: no backend"),
        ("a.xlsx", SimpleNamespace(columns=["a"]), "an object of type SimpleNamespace cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused(iris, name, content, text):
    before = iris.revision
    with pytest.raises(rn.Invalid, match=text):
        iris.attach("models:/Iris/1", {name: content})
    assert iris.revision == before
    assert iris.check().reclaimable == 0


def test_a_path_that_is_no_file_is_refused_and_not_waited_for(iris, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, text in {
        "gone": "cannot be read",
        "pipe": "is no file",
        "": "is no file",
        "x\0": "cannot be read",
    }.items():
        with pytest.raises(rn.Invalid, match=text):
            iris.attach("models:/Iris/1", {"a.txt": tmp_path / name})


@pytest.mark.parametrize("files", [["a.txt"], "a.txt", 3])
def test_files_are_a_mapping(iris, files):
    with pytest.raises(rn.Invalid, match="files= is a mapping of names to contents"):
        iris.attach("models:/Iris/1", files)


def test_a_model_of_a_run_has_nothing_beside_it(registry):
    rn.set_registry(registry)
    with rn.start_run() as run:
        rn.log_model(lambda X: X, "model")
    with pytest.raises(rn.Invalid, match="not registered"):
        registry.attach(f"runs:/{run.run_id}/model", {"a.txt": "1"})


def test_a_page_and_the_history_name_them(iris):
    version = iris.attach("models:/Iris/1", {"reportß.html": "x" * 2000})
    assert "reportß.html (2.0 KB)" in str(version)
    assert "+ reportß.html" in str(iris.history("Iris"))
    assert "reportß.html" in version._repr_html_()
