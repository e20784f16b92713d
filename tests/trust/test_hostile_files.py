"""Hostile files: those of frameworks, archives, and files that are not what they were, or no files at all."""

import ast
import io
import json
import os
import pickle
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from payloads import Call, system
from planting import DENSE, HARMLESS, LAMBDA, archived, blob, described, ended, needed, plant, written

import registry_nb as rn

X = np.random.default_rng(0).normal(size=(60, 4))
y = np.arange(60) % 3


def test_it_is_a_stranger_who_made_these_files(registry):
    """The control of this file: what is planted is foreign."""
    assert registry.inspect(plant(registry, {"model.pkl": HARMLESS}, "sklearn")).origin == "foreign"


# -- LightGBM, XGBoost -------------------------------------------------------------------------------------------------

#: What becomes of the text; that of the first is told by its digest, those of the others by a process that they end.
TEXTS = {
    "cut short": lambda text: text[: len(text) // 3],
    "a child far away": lambda text: text.replace(b"\nleft_child=", b"\nleft_child=99999999 ", 1),
    "no tree": lambda text: text.replace(b"\nnum_leaves=", b"\nnum_leaves=-", 1),
    "a number that is none": lambda text: text.replace(b"\nleaf_value=", b"\nleaf_value=x ", 1),
}


@pytest.mark.parametrize("how", TEXTS)
def test_an_edited_lightgbm_text_is_refused_and_this_process_lives(registry, tmp_path, how):
    (lightgbm,) = needed("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(X, y)
    own = registry.register(model, "Own")
    path = blob(registry, own)
    assert own.files[0].path == "model.txt"
    path.chmod(0o644)
    path.write_bytes(TEXTS[how](path.read_bytes()).ljust(own.files[0].size)[: own.files[0].size])
    with pytest.raises(rn.Corrupted, match="SHA-256"):  # of one's own: the digest, before LightGBM sees it
        registry.load(own.uri)
    files = written("lightgbm", model, tmp_path / "m")
    uri = plant(registry, {**files, "model.txt": TEXTS[how](files["model.txt"])}, "lightgbm")
    with pytest.raises(rn.Corrupted, match=r"cut short|do not load it"):
        registry.load(uri)
    sound = plant(registry, files, "lightgbm")
    assert np.array_equal(registry.load(sound).predict(X), model.predict(X))


@pytest.mark.parametrize("how", ["cut short", "a child far away"])
def test_without_the_other_process_such_a_text_ends_this_one(tmp_path, how):
    (lightgbm,) = needed("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(X, y)
    (tmp_path / "text").write_bytes(TEXTS[how](written("lightgbm", model, tmp_path / "m")["model.txt"]))
    script = "import sys, lightgbm; lightgbm.Booster(model_str=open(sys.argv[1]).read())"
    assert ended(script, tmp_path / "text") < 0


@pytest.mark.parametrize("how", ["cut short", "empty", "of another kind", "no such class"])
def test_a_damaged_xgboost_file_is_one_error_of_ours(registry, tmp_path, how):
    (xgboost,) = needed("xgboost")
    files = written("xgboost", xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, y), tmp_path / "m")
    params = json.loads(files["params.json"])
    if how in {"cut short", "empty"}:
        files["model.ubj"] = files["model.ubj"][: len(files["model.ubj"]) // 2 if how == "cut short" else 0]
    else:
        params["class"] = "XGBRegressor" if how == "of another kind" else "os.system"
        files["params.json"] = json.dumps(params).encode()
    uri = plant(registry, files, "xgboost")
    for trust in (None, registry.version("Gift").digest):  # also for those who trust it: nothing is tried another way
        with pytest.raises(rn.Corrupted, match=r"XGBoost|none of|is empty"):
            registry.load(uri, trust=trust)


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_a_pickle_in_pytorchs_archive_is_not_read_not_even_of_those_who_are_trusted(registry, tmp_path, name):
    (torch,) = needed("torch")
    marker, file = tmp_path / "it ran", io.BytesIO()
    torch.save(Call(os.system, f"touch '{marker}'"), file)
    about = json.dumps({"format": 1, "python": "3.11", "torch": "2"}).encode()
    uri = plant(registry, {name: file.getvalue(), "torch.json": about}, "torch")
    with pytest.raises(rn.Untrusted, match="a module of PyTorch, which is code"):
        registry.load(uri)
    with pytest.raises(rn.Corrupted, match="PyTorch does not read it"):
        registry.load(uri, trust=registry.version("Gift").digest)
    assert not marker.exists()
    with pytest.raises(pickle.UnpicklingError):  # what PyTorch itself does with it by default
        torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@pytest.mark.parametrize("length", [2**40, 2**64 - 1, 0, 10**8 + 1])
def test_weights_that_say_that_their_header_is_endless_are_damaged(registry, tmp_path, length):
    (torch,) = needed("torch")
    files = written("torch", torch.nn.Linear(4, 1), tmp_path / "m")
    files["weights.safetensors"] = length.to_bytes(8, "little") + files["weights.safetensors"][8:]
    uri = plant(registry, files, "torch")
    with pytest.raises(rn.Untrusted):
        registry.load(uri)
    with pytest.raises(rn.Corrupted, match=r"weights\.safetensors is damaged: its header is"):
        registry.load(uri, trust=registry.version("Gift").digest)


# -- Keras, and archives -----------------------------------------------------------------------------------------------

SYSTEM = {"module": "os", "class_name": "system", "config": "touch ran", "registered_name": None}


@pytest.mark.parametrize("layer", [LAMBDA, SYSTEM], ids=["Lambda", "os.system"])
def test_keras_stays_in_its_safe_mode_for_strangers_and_for_those_who_are_trusted(
    registry, layer, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    uri = plant(registry, archived(described(DENSE, layer)), "keras")
    assert layer["class_name"] in " ".join(registry.inspect(uri).problems)
    with pytest.raises(rn.Untrusted, match=layer["class_name"]):
        registry.load(uri)
    needed("keras")
    with pytest.raises(rn.Corrupted, match="Keras does not read it"):
        registry.load(uri, trust=registry.version("Gift").digest)
    assert not (tmp_path / "ran").exists()


def linked():
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


def setuid():
    member = zipfile.ZipInfo("tool")
    member.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
    return member


MEMBERS = {
    "another file": ("evil.py", b"x"),
    "a way out": ("../evil", b"x"),
    "a way out of the assets": ("assets/../../evil", b"x"),
    "a bomb": ("assets/zeros", bytes(5_000_000)),
    "an absolute path": ("/abs", b"x"),
    "a drive": ("assets/C:\\x", b"x"),
    "a way out on Windows": ("..\\win", b"x"),
    "a link": (linked(), b"/etc/passwd"),
    "a program for root": (setuid(), b"x"),
    "the same name twice": ("config.json", b"{}"),
    "a name with an end inside": ("config.json\0b", b"{}"),
    "a bomb among the names that are known": ("assets/vocabulary.txt", bytes(30_000_000)),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_an_archive_of_a_model_with_any_such_member_is_not_read(registry, name, tmp_path):
    uri = plant(registry, archived(described(DENSE), MEMBERS[name]), "keras")
    for act in (registry.load, registry.inspect):
        with pytest.raises(rn.Corrupted, match=r"which no model of Keras has|same name|as large as what is stored"):
            act(uri)
    before = sorted(tmp_path.rglob("*"))
    assert not [path for path in before if path.name.startswith(("evil", "win", "abs", "link"))]


def test_there_is_no_door_that_unpacks_an_archive(tmp_path, monkeypatch):
    """Absent: there are no bundles. The two formats that are archives are read member by member, never to paths."""
    package = Path(rn.__file__).parent
    uses, modules = set(), set()
    for path in package.rglob("*.py"):
        for part in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(part, ast.Attribute):
                uses.add(part.attr)
            if isinstance(part, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in part.names} | {getattr(part, "module", None)}
                modules |= {(name, path.name) for name in names if name in {"zipfile", "tarfile", "py7zr"}}
    # `recognition` and `mlmodel_torch` read the names of members, or one member, only.
    readers = ("keras_archive.py", "skops.py", "recognition.py", "mlmodel_torch.py")
    assert modules == {("zipfile", reader) for reader in readers}
    assert uses.isdisjoint({"extract", "extractall", "unpack_archive", "_extract_member"})
    verbs = {name for name in dir(rn.Registry) if not name.startswith("_")}
    assert not {verb for verb in verbs if any(word in verb for word in ("import", "export", "bundle", "unpack"))}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_neither_a_registry_nor_a_model(registry, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"bundle.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../evil", "x")
    else:
        with tarfile.open(path, "w") as archive:
            link = tarfile.TarInfo("../../evil")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    whole = path.read_bytes()
    with pytest.raises(rn.StorageError, match="a file stands where a folder should be"):
        rn.Registry(path).create_model("Iris")
    for uri in (str(path), f"file://{path}", f"models:/{path.name}"):
        with pytest.raises(rn.Invalid):
            registry.load(uri)
    uri = plant(registry, {"model.pkl": whole}, "sklearn")
    with pytest.raises(rn.Untrusted, match="unreadable"):
        registry.load(uri)
    assert path.read_bytes() == whole
    assert not list(tmp_path.parent.glob("*evil*"))


@pytest.mark.parametrize("name", ["../evil", "/abs", "C:\\x", "a\0b", "..\\win", "assets/../../evil", "", "a//b", "."])
def test_the_name_of_a_file_in_a_record_leads_nowhere(registry, name, tmp_path):
    uri = plant(registry, {"model.pkl": HARMLESS, name: b"x"}, "sklearn")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(rn.Corrupted, match="is not the name of a file of a model"):
        registry.download(uri, tmp_path / "target")
    assert sorted(tmp_path.rglob("*")) == before, "nothing was written, not even what comes first"


# -- what lies in a registry -------------------------------------------------------------------------------------------


def secret_of(path):
    outside = path.parent.parent / "outside"
    outside.write_bytes(path.read_bytes())
    return outside


def symlink(path):
    outside = secret_of(path)
    path.unlink()
    path.symlink_to(outside)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def of_the_same_size(path):
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(system(str(path.parent.parent / "it ran")).ljust(size, b"."))


def hard_link(path):
    outside = secret_of(path)
    outside.write_bytes(outside.read_bytes()[:-1] + b"!")
    path.unlink()
    os.link(outside, path)


@pytest.mark.parametrize("replace", [symlink, pipe, folder, device, of_the_same_size, hard_link])
def test_what_took_the_place_of_a_model_is_never_read_as_one(iris, constant, replace, tmp_path):
    """A link with the right bytes behind it neither (52); no pipe is waited for (53); of one size or not (54)."""
    record = iris.version("Iris", 2)
    path = blob(iris, record)
    replace(path)
    for act in (
        lambda: iris.load("models:/Iris/Production"),
        lambda: iris.load(record.uri, trust=record.digest),
        lambda: iris.inspect(record.uri),
        lambda: iris.trust(record.uri),
        lambda: iris.download(record.uri, tmp_path / "target"),
    ):
        with pytest.raises(rn.Corrupted, match=r"path is a link|no file|SHA-256|bytes, not") as caught:
            act()
        assert caught.value.digest == record.digest
    (problem,) = [each for each in iris.check().problems if "models:/Iris/2" in each]
    assert "is damaged" in problem
    assert not (tmp_path / "registry" / "it ran").exists()


def test_registering_the_bytes_again_replaces_a_link_and_writes_nothing_through_it(registry, forest, flowers, tmp_path):
    record = registry.register(forest, "Forest")
    path, precious = blob(registry, record), tmp_path / "precious"
    precious.write_bytes(b"mine")
    path.unlink()
    path.symlink_to(precious)
    again = registry.register(forest, "Forest")
    assert again.digest == record.digest
    assert not path.is_symlink()
    assert precious.read_bytes() == b"mine"
    assert np.array_equal(registry.load(again.uri).predict(flowers[0]), forest.predict(flowers[0]))


def test_bytes_that_are_swapped_after_they_were_verified_are_not_those_that_are_loaded(registry, constant, tmp_path):
    record = registry.register(constant(1), "Iris")
    path, marker = blob(registry, record), tmp_path / "it ran"
    with registry.artifacts.open(record.files[0]) as verified:
        whole = path.read_bytes()
        (tmp_path / "evil").write_bytes(system(str(marker)))
        os.replace(tmp_path / "evil", path)
        assert verified.read() == whole
    with pytest.raises(rn.Corrupted):
        registry.load(record.uri)
    assert not marker.exists()


@pytest.mark.parametrize("stands", ["a pipe", "a device", "a folder"])
def test_what_is_no_file_in_the_place_of_the_records_is_refused_and_not_waited_for(tmp_path, stands):
    path = tmp_path / "registry" / "registry.jsonl"
    path.parent.mkdir()
    {"a pipe": os.mkfifo, "a device": lambda path: path.symlink_to("/dev/zero"), "a folder": Path.mkdir}[stands](path)
    script = """if True:
        import sys, registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        for act in (registry.models, lambda: registry.create_model("Iris")):
            try:
                act()
            except rn.StorageError as error:
                assert "no file" in str(error) or "a folder stands" in str(error), error
            else:
                sys.exit(2)
    """
    assert ended(script, path.parent, seconds=20) == 0
