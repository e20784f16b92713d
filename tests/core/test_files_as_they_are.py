"""A file or a folder is registered as it is, handed out as it was, and never unpickled or run."""

import gc
import json
import os
import pickle
import shutil
import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

import registry_nb as rn
from registry_nb.display import records
from registry_nb.domain import paths
from registry_nb.errors import Corrupted, Invalid, LibraryMissing, NoFlavor, ReadOnly, StorageError, Untrusted
from registry_nb.flavors import Files, flavor_named, recognition
from registry_nb.packaging import gathering
from registry_nb.stores import disk, private, streams

PICKLE = pickle.dumps({"a": 1})


def write(folder, **contents):
    """Write files; ``__`` separates folders, and ``_dot_`` is a dot."""
    for name, content in contents.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def contents(folder):
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.fixture
def folder(tmp_path):
    """A folder of several kinds of files, one of them twice, one large enough to be hashed first."""
    return write(
        tmp_path / "net",
        config_dot_json='{"layers": 2}',
        weights__a_dot_bin=bytes(range(256)) * 300,
        weights__b_dot_bin=b"b" * 100,
        copy_dot_bin=b"b" * 100,
        empty=b"",
        model_dot_pkl=PICKLE + b"." * 10_000,
    )


@pytest.fixture
def nothing_is_left(registry):
    """Expect an error, and nothing in the registry, nor beside it."""

    def expect(kind, part, path, **options):
        stored = Path(registry.uri) / "artifacts"
        before = sorted(stored.iterdir()) if stored.exists() else []
        with pytest.raises(kind, match=part) as caught:
            registry.register(path, "Net", **options)
        assert registry.models() == []
        assert (sorted(stored.iterdir()) if stored.exists() else []) == before
        return str(caught.value)

    return expect


@pytest.mark.every_store
def test_a_folder_comes_back_as_it_was(registry, folder):
    version = registry.register(
        folder,
        "Net",
        metrics={"accuracy": 0.9},
        params={"layers": 2},
        tags={"team": "x"},
        description="from a colleague",
        aliases=["champion"],
        because="better",
        requirements=["torch==2.13"],
    )
    assert (version.flavor, version.metrics, version.aliases) == ("files", {"accuracy": 0.9}, ("champion",))
    assert (version.requirements, version.python_version) == (("torch==2.13",), "")
    assert registry.history("Net")[-1].because == "better"
    assert {file.codec for file in version.files} == {""}, "nothing is compressed"
    loaded = registry.load("models:/Net@champion")
    assert contents(loaded.path) == contents(folder)
    assert loaded.unwrap() == loaded.path
    assert loaded.origin == "local"
    with pytest.raises(Invalid, match=r"these are files, with which nothing here predicts; their folder is \.path"):
        loaded.predict([1])
    assert repr(loaded) == "LoadedModel(models:/Net/1, files)"
    again = registry.register_files(str(folder), "Net", provenance=False)
    assert again.digest == version.digest
    assert registry.check(deep=True).ok


def test_a_file_is_stored_once_under_its_own_digest(registry, folder):
    registry.register(folder, "Net")
    registry.register(folder / "weights" / "b.bin", "One")
    stored = list((Path(registry.uri) / "artifacts").iterdir())
    assert len(stored) == len(set(contents(folder).values()))
    assert {one.read_bytes() for one in stored} == set(contents(folder).values())
    assert {stat.S_IMODE(one.stat().st_mode) & 0o222 for one in stored} == {0}
    assert list(contents(registry.load("models:/One/1").path)) == ["b.bin"]


def test_the_second_time_no_byte_is_copied(registry, folder, monkeypatch):
    registry.register(folder, "Net")
    (folder / "weights" / "b.bin").write_bytes(bytes(range(255, -1, -1)) * 300)  # of the other's size
    copied = []
    written = streams.written
    monkeypatch.setattr(streams, "written", lambda source, *more: copied.append(source.path) or written(source, *more))
    registry.register(folder, "Other")
    assert "weights/a.bin" not in copied
    assert "weights/b.bin" in copied
    assert contents(registry.load("models:/Other/1").path) == contents(folder)


def test_the_folder_is_read_only_and_lives_as_long_as_the_model_or_a_path_of_it(registry, folder):
    registry.register(folder, "Net")
    loaded = registry.load("models:/Net/1")
    path = loaded.path
    modes = {stat.S_IMODE(one.stat().st_mode) for one in (path, *path.rglob("*"))}
    assert modes == {0o400, 0o500}
    assert loaded.path is not path, "the object does not keep itself"
    assert loaded.path == path
    del loaded
    below = path / "weights"
    del path
    gc.collect()
    assert (below / "b.bin").read_bytes() == b"b" * 100
    assert (repr(below), type(pickle.loads(pickle.dumps(below)))) == (repr(Path(below)), type(Path()))
    gone = Path(below).parents[1]
    assert gone.exists()
    del below
    gc.collect()
    assert not gone.exists()


def test_a_child_process_does_not_remove_the_parents_folder(registry, folder):
    registry.register(folder, "Net")
    path = registry.load("models:/Net/1").path
    made, remove = private.lasting(1)
    child = os.fork()
    if not child:
        remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert Path(made).exists()
    remove()
    assert not Path(made).exists()
    assert path.exists()


def test_every_model_has_its_files_as_a_folder(registry, constant):
    registry.register(constant(1), "Iris")
    loaded = registry.load("models:/Iris/1")
    assert list(contents(loaded.path)) == ["model.pkl"]
    assert loaded.predict([0]) == [1]
    revived = pickle.loads(pickle.dumps(loaded))
    assert revived.predict([0]) == [1]
    with pytest.raises(Invalid, match=r"models:/Iris/1 was loaded in another process; load it here for its files"):
        _ = revived.path


def test_files_are_not_pickled(registry, folder):
    registry.register(folder, "Net")
    with pytest.raises(Invalid, match="is files, which no pickle has; load it in the other process"):
        pickle.dumps(registry.load("models:/Net/1"))


def test_a_followed_model_has_the_folder_of_the_version_that_serves(registry, folder):
    registry.register(folder, "Net")
    registry.promote("Net", 1)
    with registry.follow("models:/Net/Production") as model:
        assert contents(model.path) == contents(folder)
        write(folder, more=b"more")
        registry.register(folder, "Net")
        registry.promote("Net", 2)
        assert contents(model.path) == contents(folder)


def test_damage_is_found_before_the_folder_is_there(registry, folder):
    version = registry.register(folder, "Net")
    stored = Path(registry.uri) / "artifacts" / version.files[-1].digest.removeprefix("sha256:")
    stored.unlink()
    stored.write_bytes(b"x" * version.files[-1].size)
    with pytest.raises(Corrupted):
        registry.load("models:/Net/1")
    assert "Net/1" in registry.check().problems[0]
    registry.register(folder, "Net")
    assert contents(registry.load("models:/Net/1").path) == contents(folder), "registering again repairs it"


def test_without_room_for_the_folder_nothing_is_loaded(registry, folder, monkeypatch):
    registry.register(folder, "Net")
    monkeypatch.setattr(private, "_free", lambda _: 10)
    with pytest.raises(StorageError, match="of files have to be copied first"):
        registry.load("models:/Net/1")


# -- the other verbs ---------------------------------------------------------------------------------------------------


def test_the_other_verbs_say_what_files_are(registry, folder, tmp_path, constant):
    registry.register(folder, "Net")
    write(folder, config_dot_json='{"layers": 3}', more=b"more")
    (folder / "empty").unlink()
    registry.register(folder, "Net")
    compared = registry.diff("models:/Net/1", "models:/Net/2")
    found = {row.name: (row.a is None, row.b is None) for row in compared if row.section == "files"}
    assert found == {"config.json": (False, False), "empty": (False, True), "more": (True, False)}
    registry.register(constant(1), "Net")
    assert "record, flavor: files → pyfunc" in str(registry.diff("models:/Net/2", "models:/Net/3"))
    assert "Path" in str(registry.diff(folder, "models:/Net/2")), "an unregistered path is no model"
    for a, b in ((1, 3), (3, 1)):
        with pytest.raises(Invalid, match="Net/1 is files, which do not predict, so that there is nothing to compare"):
            registry.shadow("Net", a, b, [1])
    with pytest.raises(Invalid, match="is files, which do not predict"):
        registry.load("models:/Net/1", verify="behaviour")
    with pytest.raises(Invalid, match="is files, which do not predict"):
        registry.follow("models:/Net/1", verify="behaviour")
    assert contents(registry.download("models:/Net/2", tmp_path / "there")) == contents(folder)
    inspected = registry.inspect("models:/Net/2")
    assert (inspected.kind, inspected.problems) == ("data", ("model.pkl, a pickle",))
    copied = registry.copy("models:/Net/1", "Copy")
    assert copied.files == registry.version("Net", 1).files
    elsewhere = rn.Registry(tmp_path / "elsewhere", user="ada")
    assert elsewhere.copy("models:/Net/1", "Net", source=registry).files == copied.files, "as it was, also a .pkl"


def test_pages_say_what_files_hold(registry, tmp_path):
    weights = (2).to_bytes(8, "little") + b"{}"
    version = registry.register(
        write(tmp_path / "bert", config_dot_json='{"model_type": "bert"}', model_dot_safetensors=weights), "Bert"
    )
    assert version.environment["holds"] == "a Hugging Face model"
    assert dict(records.sheet(version).facts)["flavor"].text == "files, a Hugging Face model"
    loaded = registry.load("models:/Bert/1")
    shown = {title: cell.text for title, cell in records.sheet(loaded).facts}
    assert (shown["folder"], shown["use"]) == (str(loaded.path), "model.path")
    assert "object" not in shown


def test_a_batch_registers_files_and_the_past_does_not(registry, folder):
    with registry.atomically(because="together") as batch:
        batch.register(folder, "Net")
        batch.register_files(folder / "empty", "Empty")
    assert {model.name for model in registry.models()} == {"Net", "Empty"}
    with pytest.raises(ReadOnly):
        registry.at("now").register(folder, "Net")


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_text_is_no_path(registry):
    with pytest.raises(NoFlavor, match=r"type str cannot be registered: .*Path\('model\.onnx'\)"):
        registry.register("model.onnx", "Net")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"code_paths": ["x.py"]}, "code_paths= is for objects"),
        ({"example": [1]}, "example= is for files that predict, and these do not"),
        ({"flavor": "nope"}, "'nope' is not a flavor"),
        ({"signature": "x"}, "a signature is what infer_signature returns"),
        ({"requirements": "x"}, "requirements are a list"),
    ],
)
def test_arguments_without_a_meaning_for_files_are_refused(folder, nothing_is_left, options, part):
    nothing_is_left(Invalid, part, folder, **options)


def test_what_is_no_file_is_refused_by_its_path(folder, nothing_is_left, tmp_path):
    nothing_is_left(Invalid, "there is no file or folder .*nowhere", tmp_path / "nowhere")
    nothing_is_left(Invalid, "there is no file or folder .*empty", folder / "empty" / "below")
    (tmp_path / "void" / "inside").mkdir(parents=True)
    nothing_is_left(Invalid, "void' has no files", tmp_path / "void")
    nothing_is_left(Invalid, "/dev/null' is a device", Path("/dev/null"))
    odd = folder / "odd"
    for target in (folder / "empty", tmp_path / "outside", folder):
        odd.symlink_to(target)
        nothing_is_left(Invalid, "net/odd' is a link; links are not followed", folder)
        nothing_is_left(Invalid, "net/odd' is a link; links are not followed", odd)
        odd.unlink()
    os.mkfifo(odd)
    nothing_is_left(Invalid, "net/odd' is a pipe", folder)
    odd.unlink()
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(folder)  # the path of a socket is short
        one.bind("odd")
        os.chdir(here)
        nothing_is_left(Invalid, "net/odd' is a socket", folder)


def test_a_folder_around_the_registry_is_refused(registry, folder, nothing_is_left):
    inside = rn.Registry(folder / "registry", user="ada")
    for path in (folder, folder / "registry"):
        with pytest.raises(Invalid, match=r"holds this registry itself, .*; name a folder beside it"):
            inside.register(path, "Net")
    assert not (folder / "registry").exists()


def test_names_that_some_system_cannot_write_are_refused(folder, nothing_is_left):
    for name, part in {
        "nul.txt": "Windows takes 'nul.txt' for a device",
        "COM¹": "for a device",
        "a:b": "Windows has no : in names",
        "a\\b": "Windows has no",
        "a.": "Windows leaves out a dot or a blank at the end",
        "a\n": "it contains an invisible character",
        "\udcff": "it is not text in UTF-8",
        "ä" * 128: "",
    }.items():
        path = folder / "weights" / name
        try:
            path.write_bytes(b"x")
        except OSError:
            assert paths.unsafe(name) == "a part of it has 256 bytes; at most 255 are allowed"
            continue
        nothing_is_left(Invalid, part, folder)
        nothing_is_left(Invalid, part, path)
        path.unlink()
    assert paths.unsafe("a/" * 600) == "it has 1,200 characters; at most 1,024 are allowed"
    assert paths.unsafe("../a") == paths.unsafe("a//b") == "one of its parts means a folder, or nothing"


def test_names_that_some_system_takes_for_one_are_refused(folder, nothing_is_left):
    for name, other in (("A.bin", "a.bin"), ("Weights/x", ""), ("stra\u00dfe", "STRASSE"), ("e\u0301", "\u00e9")):
        for one in filter(None, (name, other)):
            write(folder, **{one: b"x"})
        assert "differ only by case or the form of their letters" in nothing_is_left(Invalid, "rename one", folder)
        for one in filter(None, (name, other)):
            (folder / one).unlink()
        (folder / "Weights").is_dir() and (folder / "Weights").rmdir()


def test_a_folder_of_too_many_files_is_refused_with_the_way_out(folder, nothing_is_left, monkeypatch):
    monkeypatch.setattr(gathering, "MOST_FILES", 5)
    nothing_is_left(Invalid, "net' has more than 5 files, .* pack them into an archive", folder)
    monkeypatch.setattr(gathering, "MOST_FILES", 6)
    assert len(gathering.entries(folder)) == 6


# -- while it is read --------------------------------------------------------------------------------------------------


def grows(path):
    with path.open("ab") as file:
        file.write(b"x")


def shrinks(path):
    os.truncate(path, 10)


def is_replaced(path):
    (path.parent / "new").write_bytes(path.read_bytes())
    os.replace(path.parent / "new", path)


def becomes_a_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def gets_a_neighbour(path):
    (path.parent / "neighbour").write_bytes(b"x")


def loses_a_neighbour(path):
    (path.parent / "b.bin").unlink()


CHANGES = [grows, shrinks, is_replaced, Path.unlink, becomes_a_link, gets_a_neighbour, loses_a_neighbour]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_while_it_is_read_is_refused_and_nothing_is_left(
    registry, folder, nothing_is_left, monkeypatch, change
):
    """Before it is opened, while it is read, or, of the folder, after the last byte."""
    registry.create_model("Other")
    registry.delete("Other")
    victim, piece = folder / "weights" / "a.bin", streams._piece
    waiting = [change]

    def changing(file, size, source):
        read = piece(file, size, source)
        if source.path == "weights/a.bin" and waiting:
            waiting.pop()(victim)
        return read

    monkeypatch.setattr(streams, "_piece", changing)
    assert "net/weights/" in nothing_is_left(Invalid, "changed while it was read, and nothing was registered", folder)


@pytest.mark.parametrize("change", CHANGES[:5])
def test_what_changed_before_it_is_opened_is_refused(folder, nothing_is_left, monkeypatch, change):
    sources = gathering.sources

    def changing(*arguments):
        change(folder / "weights" / "a.bin")
        return sources(*arguments)

    monkeypatch.setattr(gathering, "sources", changing)
    nothing_is_left(Invalid, "weights/a.bin' changed while it was read", folder)


def test_a_file_that_has_more_than_its_size_says_is_refused(nothing_is_left):
    if not Path("/proc/version").exists():
        pytest.skip("there is no /proc")
    nothing_is_left(Invalid, "/proc/version' changed while it was read", Path("/proc/version"), flavor="files")
    nothing_is_left(StorageError, "reading /proc/version failed: Invalid argument", Path("/proc/version"))


def test_what_cannot_be_read_is_named(folder, nothing_is_left, monkeypatch):
    opened = os.open

    def forbidding(path, *arguments, **options):
        if str(path).endswith("a.bin"):
            raise PermissionError(13, "no")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", forbidding)
    nothing_is_left(StorageError, r"reading .*weights/a.bin failed: you may not read it", folder)
    monkeypatch.undo()
    scandir = os.scandir
    monkeypatch.setattr(
        os,
        "scandir",
        lambda path: (_ for _ in ()).throw(PermissionError(13, "no")) if path == str(folder) else scandir(path),
    )
    nothing_is_left(StorageError, r"reading .*net failed: you may not read it", folder)


def test_a_disk_that_fails_while_reading_is_named(folder, nothing_is_left, monkeypatch):
    class Failing:
        def read(self, size):
            raise OSError(5, "Input/output error")

    piece = streams._piece
    monkeypatch.setattr(streams, "_piece", lambda file, size, source: piece(Failing(), size, source))
    nothing_is_left(StorageError, r"reading .*net/config.json failed: Input/output error", folder)


def test_a_full_disk_is_noticed_before_or_while_it_is_written(registry, folder, nothing_is_left, monkeypatch):
    registry.create_model("Other")
    registry.delete("Other")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        nothing_is_left(StorageError, "the disk is full; make room and try again", folder)
    sync, done = disk.sync, []

    def filling(fd):
        done.append(fd)
        if len(done) > 2:
            raise OSError(28, "No space left on device")
        sync(fd)

    monkeypatch.setattr(disk, "sync", filling)
    nothing_is_left(StorageError, "the disk is full; make room and try again", folder)


def test_the_interrupt_button_leaves_nothing(folder, nothing_is_left, monkeypatch):
    piece = streams._piece
    for count in (1, 3, 8):
        left = [None] * count

        def pressing(*arguments, left=left):
            left.pop()
            if not left:
                raise KeyboardInterrupt
            return piece(*arguments)

        monkeypatch.setattr(streams, "_piece", pressing)
        nothing_is_left(KeyboardInterrupt, "^$", folder)


@pytest.mark.slow
def test_what_a_killed_process_left_goes_with_the_next_repair(registry, folder, python):
    registry.create_model("Other")
    script = """
        import os, sys
        from pathlib import Path
        import registry_nb as rn
        from registry_nb.stores import streams
        if not os.fork():
            piece, left = streams._piece, [None] * 5
            streams._piece = lambda *given: piece(*given) if left and (left.pop() or True) else os._exit(9)
            rn.Registry(sys.argv[1]).register(Path(sys.argv[2]), "Net")
        os.wait()
    """
    python(script, registry.uri, folder)
    stored = Path(registry.uri) / "artifacts"
    assert len(list(stored.iterdir())) == 1
    assert len(registry.check(repair=True).removed) == 1
    assert list(stored.iterdir()) == []


@pytest.mark.slow
def test_the_folder_of_a_killed_process_goes_when_the_next_one_is_made(registry, folder, tmp_path, python, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(private.tempfile, "tempdir", None)
    (tmp_path / "temporary").mkdir()
    registry.register(folder, "Net")
    script = """
        import os, sys
        import registry_nb as rn
        loaded = rn.Registry(sys.argv[1]).load("models:/Net/1")
        print(loaded.path)
        sys.stdout.flush()
        os._exit(0)
    """
    left = Path(python(script, registry.uri).strip())
    assert contents(left) == contents(folder)
    loaded = registry.load("models:/Net/1")
    assert not left.exists()
    assert loaded.path.parents[1] == left.parents[1] == tmp_path / "temporary"


@pytest.mark.slow
def test_a_fresh_process_gets_the_same_files_and_memory_stays_constant(registry, tmp_path, python):
    big = tmp_path / "big"
    big.mkdir()
    for number in range(4):
        (big / f"{number}.bin").write_bytes(os.urandom(1 << 20) * 40)
    script = """
        import sys
        from pathlib import Path
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        registry.register(Path(sys.argv[2]), "Big")
        print(sum(one.stat().st_size for one in registry.load("models:/Big/1").path.iterdir()))
        print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
    """
    size, memory = map(int, python(script, registry.uri, big).split())
    assert (size, memory < 150_000) == (160 << 20, True)
    assert contents(registry.load("models:/Big/1").path) == contents(big)


# -- what they hold ----------------------------------------------------------------------------------------------------


def field(number, content):
    """A field of a message of protobuf: a number, or bytes."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value):
    more, rest = value & 127, value >> 7
    return bytes([more | 128]) + varint(rest) if rest else bytes([more])


def archive(**members):
    import io
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, content in members.items():
            packed.writestr(name.replace("_dot_", "."), content)
    return made.getvalue()


GRAPH = field(1, field(4, b"Relu"))
ONNX = field(1, 8) + field(7, GRAPH) + field(8, field(2, 13))
OUTSIDE = field(1, 8) + field(7, field(5, field(14, 1) + field(13, b"x"))) + field(8, b"")
KERAS = archive(metadata_dot_json="{}", config_dot_json="{}", model_dot_weights_dot_h5="")
HUGE_DIRECTORY = b"PK\3\4" + b"PK\5\6" + bytes(8) + b"\xff" * 8 + bytes(2)
SAFETENSORS = (8).to_bytes(8, "little") + b'{"a":0} ' + b"data"


@pytest.mark.parametrize(
    ("content", "flavor", "name", "holds"),
    [
        (ONNX, "onnx", "model.onnx", ""),
        (OUTSIDE, "files", "", "an ONNX model, its weights elsewhere"),
        (field(1, 8) + field(7, field(5, field(14, 0))) + field(8, b""), "onnx", "model.onnx", ""),
        (field(1, 120) + field(7, GRAPH) + field(8, b""), "files", "", ""),
        (field(1, 8) + field(7, GRAPH), "files", "", ""),
        (ONNX + b"\x0f", "files", "", ""),
        (ONNX + b"\xff" * 11, "files", "", ""),
        (ONNX + bytes([9 << 3 | 1]) + bytes(8) + bytes([9 << 3 | 5]) + bytes(4), "onnx", "model.onnx", ""),
        (ONNX + field(6, b"x")[:-1], "files", "", ""),
        (b"", "files", "", ""),
        (recognition._UBJSON, "xgboost", "model.ubj", ""),
        (b'{"learner":{"x":1},"version":[3]}', "xgboost", "model.json", ""),
        (b' {"version":[3], "learner": {}}', "xgboost", "model.json", ""),
        (b'{"learner": 1}', "files", "", ""),
        (b"[" * 100_000, "files", "", ""),
        (b" {" + b" " * (1 << 20) + b"}", "files", "", ""),
        (b"tree\nversion=v4\n", "lightgbm", "model.txt", ""),
        (KERAS, "keras", "model.keras", ""),
        (archive(**{"m/data.pkl": "x"}), "files", "", "a PyTorch archive"),
        (archive(a="x"), "files", "", ""),
        (HUGE_DIRECTORY, "files", "", ""),
        (b"PK\3\4" + b"PK\5\6" + bytes(18), "files", "", ""),
        (b"PK\3\4" + b"PK\5\6" + b"\1" * 18, "files", "", ""),
        (PICKLE, "files", "", "a pickle"),
        (b"\x89HDF\r\n\x1a\n", "files", "", "an HDF5 file"),
        (b"GGUF\3", "files", "", "a GGUF model"),
        (SAFETENSORS, "files", "", "safetensors weights"),
        ((1 << 40).to_bytes(8, "little") + b"{", "files", "", ""),
        ((50).to_bytes(8, "little") + b"{}", "files", "", ""),
    ],
)
def test_a_file_is_recognised_by_its_content_whatever_its_name(tmp_path, content, flavor, name, holds):
    write(tmp_path, odd_dot_name=content)
    found = recognition.recognised(Files.of_folder(str(tmp_path)))
    assert (found.flavor, found.names.get("odd.name", ""), found.holds) == (flavor, name, holds)


SAVED_MODEL = field(1, 1) + field(2, b"x")


@pytest.mark.parametrize(
    ("files", "flavor", "holds"),
    [
        ({"saved_model_dot_pb": SAVED_MODEL, "variables__x": b""}, "keras", ""),
        ({"saved_model_dot_pb": b"\xff" * 20, "variables__x": b""}, "files", ""),
        (
            {"MLmodel": "artifact_path: m\nflavors:\n  sklearn: {}\n", "model_dot_pkl": PICKLE},
            "files",
            "an MLflow model",
        ),
        ({"MLmodel": "nothing", "a": b""}, "files", ""),
        ({"config_dot_json": '{"architectures": []}', "a_dot_bin": b""}, "files", "a Hugging Face model"),
        (
            {"config_dot_json": '{"auto_map": {"AutoModel": "m.M"}}', "a_dot_safetensors": b""},
            "files",
            "a Hugging Face model with code of its own",
        ),
        ({"config_dot_json": "[1", "a_dot_bin": b""}, "files", ""),
        ({"config_dot_json": '{"model_type": "x"}', "sub__a_dot_bin": b""}, "files", ""),
        ({"config_dot_json": '{"other": "x"}', "a_dot_bin": b""}, "files", ""),
    ],
)
def test_a_folder_is_recognised_by_its_content(tmp_path, files, flavor, holds):
    found = recognition.recognised(Files.of_folder(str(write(tmp_path, **files))))
    assert (found.flavor, found.holds) == (flavor, holds)
    if flavor == "keras":
        assert set(found.names.values()) == {"saved_model/saved_model.pb", "saved_model/variables/x"}


def test_a_flavor_that_is_named_reads_the_files_by_its_own_names(tmp_path):
    one = Files.of_folder(str(write(tmp_path / "one", x=b'{"learner":{}}')))
    assert recognition.recognised(one, "xgboost").names == {"x": "model.json"}
    for flavor, name in (("onnx", "model.onnx"), ("sklearn", "model.pkl"), ("lightgbm", "model.txt")):
        assert recognition.recognised(one, flavor).names == {"x": name}
    other = Files.of_folder(str(write(tmp_path / "two", x=b"{L", y=b"", saved_model_dot_pb=b"")))
    assert recognition.recognised(other, "xgboost").names == {}
    assert recognition.recognised(other, "keras").names["y"] == "saved_model/y"
    assert recognition.recognised(one, "files").names == {}


def test_code_among_files_is_named_and_never_run(registry, tmp_path, stranger):
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').write('run')"
    folder = write(
        tmp_path / "hostile",
        config_dot_json=json.dumps({"auto_map": {"AutoModel": "modeling.Model"}}),
        modeling_dot_py=code,
        model_dot_safetensors=SAFETENSORS,
        pytorch_dot_bin=archive(**{"m/data.pkl": "x"}),
        model_dot_keras=KERAS,
        old_dot_h5=b"\x89HDF\r\n\x1a\n",
        plain_dot_zip=archive(a="x"),
        MLmodel="flavors:\n  python_function:\n    loader_module: os\n",
        **{f"{number:02d}_dot_pkl": PICKLE for number in range(20)},
    )
    registry.register(folder, "Net")
    with stranger():
        loaded = registry.load("models:/Net/1")
        assert loaded.origin == "foreign"
        assert contents(loaded.path) == contents(folder), "handing out runs nothing"
        problems = registry.inspect("models:/Net/1").problems
    assert problems[0] == "00.pkl, a pickle"
    assert problems[-1] == "5 more files"
    assert not canary.exists()
    few = {name: recognition.code_in(Files.of_folder(str(folder)), name) for name in ("config.json", "modeling.py")}
    assert few == {"config.json": "which names code of its own (auto_map)", "modeling.py": "Python"}


class Payload:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def test_code_is_not_run_when_it_is_registered_and_not_loaded_without_trust(registry, tmp_path):
    """Not even its user's own: nobody has looked at it."""
    canary = tmp_path / "canary"
    write(tmp_path, odd=pickle.dumps(Payload(canary)))
    with pytest.raises(Invalid, match="example= would run the model, and loading it would import"):
        registry.register(tmp_path / "odd", "Net", flavor="pyfunc", example=[1])
    version = registry.register(tmp_path / "odd", "Net", flavor="pyfunc")
    assert (version.files[0].path, version.seals) == ("model.pkl", ())
    with pytest.raises(Untrusted, match="nobody whom you know vouches for it"):
        registry.load("models:/Net/1")
    assert list(contents(registry.download("models:/Net/1", tmp_path / "there"))) == ["model.pkl"]
    assert not canary.exists()
    registry.load("models:/Net/1", trust=version.digest)
    assert canary.exists()


def test_a_saved_model_is_code_too(registry, tmp_path):
    version = registry.register(write(tmp_path / "graph", saved_model_dot_pb=SAVED_MODEL, variables__x=b"x"), "Net")
    assert (version.flavor, version.seals, version.python_version[:2]) == ("keras", (), "3.")
    with pytest.raises(Untrusted, match="a graph of TensorFlow, which is code"):
        registry.load("models:/Net/1")


def test_what_no_library_here_reads_is_registered_and_not_vouched_for(registry, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xgboost", None)
    write(tmp_path, odd=recognition._UBJSON)
    version = registry.register(tmp_path / "odd", "Net")
    assert (version.flavor, version.seals) == ("xgboost", ())
    with pytest.raises(LibraryMissing, match="pip install 'registry-nb"):
        registry.register(tmp_path / "odd", "Net", example=[[1.0]])


def test_what_the_flavor_does_not_read_is_refused_with_the_way_out(nothing_is_left, tmp_path, monkeypatch):
    onnx = flavor_named("onnx")

    def damaged(files, *, restricted):
        assert restricted
        raise ValueError("it has no graph")

    monkeypatch.setattr(onnx, "load", damaged)
    write(tmp_path, odd=ONNX)
    part = r'onnx does not read these files \(ValueError: it has no graph\); flavor="files" registers them as they are'
    nothing_is_left(Invalid, part, tmp_path / "odd")
    nothing_is_left(Invalid, "look at them", tmp_path / "odd", flavor="onnx")


def test_the_flavor_of_files_keeps_its_port(tmp_path):
    flavor = flavor_named("files")
    assert flavor.owns(Path("x"))
    assert not flavor.owns("x")
    assert flavor.load(Files.of_folder(str(tmp_path)), restricted=True) is None
    with pytest.raises(rn.RegistryError, match="registered as they are"):
        flavor.save(Path("x"), str(tmp_path), None)
