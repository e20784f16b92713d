"""The files of a run: logged, listed, copied out, kept by check and reclaim, and refused where they would not fit."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb import session
from registry_nb.domain.records import Run
from registry_nb.errors import BadName
from registry_nb.operations import run_files


@pytest.fixture
def tracking(registry):
    return session.get_tracking(registry)


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, and one in a folder in it."""
    (tmp_path / "plots" / "deep").mkdir(parents=True)
    (tmp_path / "plots" / "a.txt").write_text("a")
    (tmp_path / "plots" / "deep" / "b.txt").write_text("bb")
    return tmp_path / "plots"


def paths(run, folder=""):
    return [entry.path for entry in run_files.entries(run, folder)]


def test_files_and_folders_are_kept_listed_and_copied_out(registry, tracking, folder, tmp_path):
    with tracking.start_run() as run:
        run_files.log_path(tracking, str(folder / "a.txt"))
        run_files.log_path(tracking, str(folder), "in/")
        run_files.log_folder(tracking, str(folder), "all")
        run_files.log_made(tracking, "note.txt", lambda place: Path(place).write_text("words"))
    record = registry.run(run.run_id)
    assert paths(record) == ["a.txt", "all", "in", "note.txt"]
    assert run_files.entries(record, "all") == [("all/a.txt", False, 1), ("all/deep", True, None)]
    assert paths(record, "in/plots/") == ["in/plots/a.txt", "in/plots/deep"]
    assert paths(record, "a.txt") == []
    place = run_files.fetch(tracking.artifacts, record, "in/plots/deep", str(tmp_path / "out"))
    assert os.listdir(place) == ["b.txt"]
    every = run_files.fetch(tracking.artifacts, record, "", str(tmp_path / "every"))
    assert sorted(os.listdir(every)) == ["a.txt", "all", "in", "note.txt"]
    assert Run.from_dict(record.to_dict()) == record
    assert (folder / "a.txt").read_text() == "a", "the file of the user stays"


def test_a_file_that_is_logged_again_replaces_the_first(registry, tracking, folder):
    with tracking.start_run() as run:
        run_files.log_path(tracking, str(folder / "a.txt"))
        (folder / "a.txt").write_text("longer")
        run_files.log_path(tracking, str(folder / "a.txt"))
        run_files.log_folder(tracking, str(folder / "deep" / ".."), "x")
    assert run_files.entries(registry.run(run.run_id))[0] == ("a.txt", False, 6)


def test_an_empty_folder_leaves_nothing_not_even_a_run(registry, tracking, tmp_path):
    (tmp_path / "empty").mkdir()
    run_files.log_folder(tracking, str(tmp_path / "empty"))
    assert registry.runs() == []


def test_the_bytes_count_as_used_and_are_verified_when_they_are_read(registry, tracking, folder, tmp_path):
    with tracking.start_run() as run:
        run_files.log_path(tracking, str(folder / "a.txt"))
    record = registry.run(run.run_id)
    (file,) = record.artifacts
    assert [used.uri for used in registry.store.files()] == [f"runs:/{run.run_id}/a.txt"]
    assert tracking.artifacts.reclaim({used.file.digest for used in registry.store.files()}, timedelta(0)) == []
    assert registry.check().ok
    stored = next(place for place in disk_files(registry) if file.digest.removeprefix("sha256:") in place)
    os.chmod(stored, 0o600)
    with open(stored, "wb") as altered:
        altered.write(b"x")
    os.utime(stored, (1, 1))
    with pytest.raises(rn.errors.Corrupted):
        run_files.fetch(tracking.artifacts, record, "a.txt", str(tmp_path / "out"))
    assert not registry.check().ok


def disk_files(registry):
    folder = registry.store.location
    return [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]


def test_the_files_of_its_models_are_listed_and_a_path_within_a_model_is_refused(registry, tracking, folder, tmp_path):
    with tracking.start_run() as run:
        tracking.log_model(lambda x: x, "model")
        with pytest.raises(rn.Refused, match="'model' is a model of run"):
            run_files.log_path(tracking, str(folder / "a.txt"), "model")
    record = registry.run(run.run_id)
    assert run_files.entries(record) == [("model", True, None)]
    assert paths(record, "model")
    place = run_files.fetch(tracking.artifacts, record, "model", str(tmp_path / "out"))
    assert os.listdir(place)


def test_what_cannot_be_kept_is_refused_and_nothing_is_written(registry, tracking, folder, tmp_path):
    os.symlink(tmp_path, folder / "deep" / "link")
    os.mkfifo(tmp_path / "pipe")
    with tracking.start_run() as run:
        cases = [
            (BadName, "none is '.' or '..'", lambda: run_files.log_path(tracking, str(folder / "a.txt"), "../up")),
            (BadName, "single slashes", lambda: run_files.log_made(tracking, "/etc/x", print)),
            (BadName, "Windows", lambda: run_files.log_made(tracking, "c:x", print)),
            (BadName, "Windows", lambda: run_files.log_made(tracking, "a\\b", print)),
            (rn.NotFound, "does not exist", lambda: run_files.log_path(tracking, str(tmp_path / "no"))),
            (rn.NotFound, "neither a file nor a folder", lambda: run_files.log_path(tracking, str(tmp_path / "pipe"))),
            (rn.Invalid, "is not a folder", lambda: run_files.log_folder(tracking, str(folder / "a.txt"))),
            (rn.Invalid, "is a link to a folder", lambda: run_files.log_folder(tracking, str(folder))),
        ]
        for kind, part, call in cases:
            with pytest.raises(kind, match=part):
                call()
        assert tracking.run(run.run_id).artifacts == ()
        run_files.log_path(tracking, str(folder / "a.txt"), "a")
        for path in ("a", "a/a.txt/b"):
            with pytest.raises(rn.Refused, match="a file and a folder"):
                run_files.log_made(tracking, path, lambda place: Path(place).touch())
    record = registry.run(run.run_id)
    with pytest.raises(rn.NotFound, match=r"no file 'a/b.txt'; did you mean 'a/a.txt'\? \(files: a/a.txt\)"):
        run_files.fetch(tracking.artifacts, record, "a/b.txt", str(tmp_path / "out"))
    with tracking.start_run() as run:
        pass
    with pytest.raises(rn.NotFound, match="it logged no file"):
        run_files.fetch(tracking.artifacts, registry.run(run.run_id), "x", str(tmp_path / "out"))


def test_a_record_whose_path_leads_out_of_the_folder_copies_nothing(registry, tracking, folder, tmp_path):
    with tracking.start_run() as run:
        run_files.log_path(tracking, str(folder / "a.txt"))
    data = registry.run(run.run_id).to_dict()
    data["artifacts"][0]["path"] = "../outside.txt"
    with pytest.raises(BadName):
        run_files.fetch(tracking.artifacts, Run.from_dict(data), "", str(tmp_path / "out"))
    assert not (tmp_path / "outside.txt").exists()


def test_a_log_that_grows_while_it_is_read_is_kept_as_it_was_when_it_was_copied(
    registry, tracking, tmp_path, monkeypatch
):
    log, opened = tmp_path / "train.log", run_files.disk.open_regular
    log.write_text("epoch 1\n")

    def growing(path):
        if path == str(log):
            with log.open("a") as file:
                file.write("epoch 2\n")
        return opened(path)

    monkeypatch.setattr(run_files.disk, "open_regular", growing)
    with tracking.start_run() as run:
        run_files.log_path(tracking, str(log))
    place = run_files.fetch(registry.artifacts, registry.run(run.run_id), "train.log", str(tmp_path / "copy"))
    assert Path(place).read_text() == "epoch 1\nepoch 2\n"
