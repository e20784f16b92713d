"""PyTorch: modules come back as what they were, their weights in a file that safetensors reads, and no code unasked."""

import json
import os
import pickle
import subprocess
import threading
import warnings
import zipfile
from functools import partial
from typing import NamedTuple

import frameworks
import numpy as np
import pandas as pd
import pytest

from registry_nb.errors import Corrupted, NewerFormat, NoFlavor, NotSerializable, Untrusted
from registry_nb.flavors import Files
from registry_nb.flavors import safetensors as format
from registry_nb.flavors import torch as flavor
from registry_nb.testing import FlavorContract

(torch,) = frameworks.needed("torch")
nn = torch.nn
DATA = frameworks.FORMATS / "format-1" / "torch"
ROWS = np.linspace(-1, 1, 12).reshape(3, 4)
saved, back = partial(frameworks.saved, flavor), partial(frameworks.back, flavor)


def plain():
    """Of PyTorch's own classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


class Own(nn.Module):
    """As people write them in a cell."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return torch.relu(self.layer(x)) + 1


class Branching(Own):
    """Cannot be exported: what it does depends on the data."""

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


class Tied(nn.Module):
    """An embedding, and an output that shares its weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(10, 4)
        self.out = nn.Linear(4, 10, bias=False)
        self.out.weight = self.words.weight
        self.some = nn.Parameter(self.words.weight.detach()[2:4])  # another tensor on the same memory

    def forward(self, ids):
        return self.out(self.words(ids))


class Pair(NamedTuple):
    total: object
    rest: object


class Two(nn.Module):
    """Several inputs, several outputs."""

    def forward(self, left, right=None):
        if right is None:
            return left
        return {"sum": left + right, "both": Pair(left, [right, (left, "text")])}


class TestSequential(FlavorContract):
    flavor = "torch"
    model = staticmethod(plain)
    data = staticmethod(lambda: ROWS)


class TestOwnModule(FlavorContract):
    flavor = "torch"
    model = staticmethod(Own)
    data = staticmethod(lambda: ROWS)


class TestEmbedding(FlavorContract):
    flavor = "torch"
    model = staticmethod(Tied)
    data = staticmethod(lambda: np.array([[1, 2], [3, 4]]))


class TestScript(FlavorContract):
    flavor = "torch"
    model = staticmethod(lambda: scripted())
    data = staticmethod(lambda: ROWS)


class TestExported(FlavorContract):
    flavor = "torch"
    model = staticmethod(lambda: exported())
    data = staticmethod(lambda: ROWS)


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(plain().eval())


def exported():
    rows = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(plain().eval(), (torch.zeros(2, 4),), dynamic_shapes=rows)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # the sample below is to name no path of a machine
    return program


# -- whose it is -----------------------------------------------------------------------------------------------------


def test_modules_and_programs_are_its_own_and_nothing_else_of_pytorch():
    assert all(flavor.owns(model) for model in (plain(), Own(), scripted(), exported()))
    assert not any(flavor.owns(model) for model in (torch.zeros(2), torch.optim.SGD([torch.zeros(1)]), print, ROWS))


def test_a_keras_model_on_pytorch_is_not_its_own():
    layer = type("Layer", (nn.Module,), {"__module__": "keras.src.layers.layer"})
    assert not flavor.owns(type("Model", (layer,), {})())


# -- a module comes back as it was ------------------------------------------------------------------------------------


def test_a_module_comes_back_equal(tmp_path):
    model = plain()
    model[0].weight.requires_grad_(False)
    model[1].eval()
    found = back(model, tmp_path / "m")
    assert found.training
    assert [each.training for each in found] == [True, False, True, True, True]
    assert [each.requires_grad for each in found.parameters()] == [each.requires_grad for each in model.parameters()]
    assert found.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    assert all(isinstance(each, nn.Parameter) for each in found.parameters())
    found.train()(torch.zeros(3, 4)).sum().backward()  # and it can be trained on
    assert found[4].weight.grad is not None


def test_the_pickle_has_no_weights_and_the_whole_is_about_their_size(tmp_path):
    model = nn.Sequential(nn.Linear(500, 500), nn.Linear(500, 500))
    saved(model, tmp_path / "m")
    weights = sum(each.numel() * 4 for each in model.parameters())
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "m").iterdir()}
    assert sizes.keys() == {"model.pkl", "torch.json", "weights.safetensors"}
    assert sizes["model.pkl"] < 2000
    assert sum(sizes.values()) < weights + 4000


def test_safetensors_reads_the_weights_into_the_module_without_us(tmp_path):
    (library,) = frameworks.needed("safetensors.torch")
    for number, model in enumerate((plain(), Tied(), plain().to(torch.bfloat16))):
        saved(model, tmp_path / str(number))
        path = tmp_path / str(number) / "weights.safetensors"
        fresh = type(model)() if isinstance(model, Tied) else plain().to(next(model.parameters()).dtype)
        for parameter in fresh.parameters():
            parameter.detach().zero_()
        missing, unexpected = library.load_model(fresh, path)
        assert not missing
        assert not unexpected
        for name, tensor in model.state_dict().items():
            assert torch.equal(fresh.state_dict()[name], tensor), name


@pytest.mark.parametrize("dtype", sorted(set(format._DTYPES.values())))
def test_every_dtype_is_written_and_read_as_the_library_does(tmp_path, dtype):
    (library,) = frameworks.needed("safetensors.torch")
    dtype = getattr(torch, dtype)
    bits = torch.randint(0, 2, (3, 2, dtype.itemsize), dtype=torch.uint8)
    tensors = {
        "a": bits.view(dtype).reshape(3, 2),
        "scalar": bits[0, 0].clone().view(dtype)[0],
        "empty": torch.zeros(0, 3, dtype=dtype),
    }
    tensors |= {"b": torch.arange(3), "c": torch.ones(3, dtype=torch.bool)}
    format.write(str(tmp_path / "ours"), tensors)
    library.save_file(tensors, tmp_path / "theirs")
    with open(tmp_path / "theirs", "rb") as file:
        ours = format.read(file)
    theirs = library.load_file(tmp_path / "ours")
    assert ours.keys() == theirs.keys() == tensors.keys()
    for name, tensor in tensors.items():
        for found in (ours[name], theirs[name]):
            assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
            assert bytes(format._bytes(found)) == bytes(format._bytes(tensor.contiguous()))


def test_tied_weights_stay_tied_and_are_written_once(tmp_path):
    found = back(Tied(), tmp_path / "m")
    assert found.out.weight is found.words.weight
    with torch.no_grad():
        found.words.weight[2] = 7
    assert (found.some[0] == 7).all(), "a view is still one"
    assert isinstance(found.some, nn.Parameter)
    assert (tmp_path / "m" / "weights.safetensors").stat().st_size < 10 * 4 * 4 + 200


def test_parts_of_one_memory_without_a_whole_are_written_on_their_own(tmp_path):
    model = nn.Module()
    memory = torch.arange(1_000.0)
    model.a, model.b = nn.Parameter(memory[:3]), nn.Parameter(memory[10:20:2])
    found = back(model, tmp_path / "m")
    assert found.a.tolist() == [0, 1, 2]
    assert found.b.tolist() == [10, 12, 14, 16, 18]
    assert (tmp_path / "m" / "weights.safetensors").stat().st_size < 300


def test_what_people_keep_in_modules_comes_back(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
            self.register_buffer("passing", torch.arange(6).reshape(2, 3).t(), persistent=False)
            self.buffer = nn.Buffer(torch.ones(2))
            self.empty, self.scalar = nn.Parameter(torch.zeros(0, 4)), nn.Parameter(torch.tensor(3.0))
            self.narrow = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
            self.numbers = [np.float32(2), np.arange(3)]
            self.loose = self.again = torch.ones(4)
            self.grows = torch.ones(2, requires_grad=True)
            self.marked = nn.Parameter(torch.ones(1))
            self.marked.decays = False
            self.decorated = nn.Parameter(torch.ones(1))
            self.decorated.owner = [self]
            self.register_buffer("expanded", torch.ones(1).expand(10_000))
            self.register_buffer("complex", torch.ones(2, dtype=torch.complex128))
            self.sparse, self.ghost = torch.eye(3).to_sparse(), torch.ones(2, device="meta")
            self.seen = 0

        def get_extra_state(self):
            return {"seen": self.seen}

        def set_extra_state(self, state):
            self.seen = state["seen"]

    model = Odd()
    model.seen = 5
    found = back(model, tmp_path / "m")
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(found.state_dict()[name], tensor), name
            assert found.state_dict()[name].stride() == tensor.stride(), name
    assert found.get_extra_state() == {"seen": 5}
    assert found.passing.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found._non_persistent_buffers_set == {"passing"}
    assert isinstance(found.buffer, nn.Buffer)
    assert found.loose is found.again
    assert found.grows.requires_grad
    assert type(found.numbers[0]) is np.float32
    assert (found.marked.decays, found.decorated.owner) == (False, [found])
    assert torch.equal(found.sparse.to_dense(), torch.eye(3))
    assert found.ghost.device.type == "meta"
    assert sum(path.stat().st_size for path in (tmp_path / "m").iterdir()) < 20_000, "an expanded tensor stays small"


def test_a_module_of_a_device_that_is_not_here_comes_back_on_the_cpu(tmp_path, monkeypatch):
    from registry_nb.flavors.torch import _device

    assert str(_device("cpu")) == "cpu"
    found = _device("cuda:99")
    assert str(found) == "cpu", "which no machine has"

    class There:
        is_available = staticmethod(lambda: True)
        device_count = staticmethod(lambda: 1)

    monkeypatch.setattr(torch, "get_device_module", lambda _: There)
    assert [str(_device(name)) for name in ("cuda", "cuda:0", "cuda:1")] == ["cuda", "cuda:0", "cpu"]


def test_compiled_modules_come_back(tmp_path):
    model = torch.compile(Own(), backend="eager")
    found = back(model, tmp_path / "m")
    assert frameworks.same(flavor.predict(found._orig_mod, ROWS), flavor.predict(model._orig_mod, ROWS))


def test_scripts_and_programs_come_back_as_what_they_were(tmp_path):
    wanted = flavor.predict(plain().eval(), ROWS)
    for kind, model in (("script", scripted()), ("program", exported())):
        files = saved(model, tmp_path / kind)
        found = flavor.load(files, restricted=False)
        assert type(found) is type(model)
        assert np.allclose(flavor.predict(found, ROWS), wanted, atol=1e-6)
        assert flavor.predict(found, ROWS[:1]).shape == (1, 2)
        assert files.names == {"torch.json", "model.pt" if kind == "script" else "model.pt2"}


def test_the_part_that_cannot_be_pickled_is_named(tmp_path):
    model = Own()
    model.lock = threading.Lock()
    with pytest.raises(NotSerializable, match=r"Own\.lock cannot be pickled"):
        saved(model, tmp_path / "m")


def test_a_class_of_a_cell_is_loaded_by_a_process_that_never_saw_it(tmp_path, python):
    cell = """
        import sys, numpy as np, torch
        from registry_nb.flavors import torch as flavor
        class Cell(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(2, 1)
            def forward(self, x):
                return helper(self.layer(x))
        def helper(x):
            return x * 0 + 42
        flavor.save(Cell(), sys.argv[1], None)
    """
    (tmp_path / "m").mkdir()
    python(cell, tmp_path / "m")
    load = """
        import sys
        from registry_nb.flavors import Files, torch as flavor
        assert "torch" not in sys.modules
        model = flavor.load(Files.of_folder(sys.argv[1]), restricted=False)
        print(type(model).__name__, flavor.predict(model, [[1, 2], [3, 4]]).tolist())
    """
    assert python(load, tmp_path / "m") == "Cell [[42.0], [42.0]]\n"


# -- the export beside it ---------------------------------------------------------------------------------------------


def test_code_by_value_is_exported_and_the_export_serves_another_python(tmp_path, monkeypatch):
    model = Own()
    files = saved(model, tmp_path / "m", ROWS[:1])
    assert "model.pt2" in files.names
    assert not flavor.audit(files).by_value
    with zipfile.ZipFile(tmp_path / "m" / "model.pt2") as archive:
        assert not any(os.path.basename(__file__).encode() in archive.read(name) for name in archive.namelist())
    assert type(flavor.load(files, restricted=False)).__name__ == "Own"
    monkeypatch.setattr(flavor, "_python", lambda: "3.99")
    found = flavor.load(files, restricted=False)
    assert type(found).__name__ != "Own"
    for rows in (1, 2, 3):
        assert np.allclose(flavor.predict(found, ROWS[:rows]), flavor.predict(model, ROWS[:rows]))


def test_what_cannot_be_exported_has_no_export_and_nothing_is_said(tmp_path, capfd):
    files = saved(Branching(), tmp_path / "m", ROWS)
    assert "model.pt2" not in files.names
    assert flavor.audit(files).by_value
    assert capfd.readouterr() == ("", "")
    assert flavor.load(files, restricted=False).training, "and the module is as it was"


@pytest.mark.parametrize("example", [None, "text", [["a"]], 5, [], {"x": 1}])
def test_without_an_example_that_fits_there_is_no_export(tmp_path, example):
    assert "model.pt2" not in saved(Own(), tmp_path / "m", example).names


def test_large_modules_and_those_without_code_are_not_exported(tmp_path, monkeypatch):
    assert "model.pt2" not in saved(plain(), tmp_path / "plain", ROWS).names
    monkeypatch.setattr(flavor, "_SMALL", 100)
    assert "model.pt2" not in saved(Own(), tmp_path / "large", ROWS).names


def test_exporting_leaves_nothing_behind_in_the_module(tmp_path):
    class Counting(Own):
        calls, last = 0, None

        def forward(self, x):
            self.calls += 1
            self.last = x
            return self.layer(x)

    model = Counting()
    saved(model, tmp_path / "m", ROWS)
    assert (model.calls, model.last, model.training) == (0, None, True)


# -- prediction -------------------------------------------------------------------------------------------------------


def test_everything_that_holds_numbers_predicts(tmp_path):
    model = plain()
    wanted = flavor.predict(model, ROWS)
    assert (type(wanted), wanted.dtype, wanted.shape) == (np.ndarray, np.float32, (3, 2))
    for data in frameworks.forms(pd.DataFrame(ROWS, columns=list("abcd"))):
        assert np.array_equal(flavor.predict(model, data), wanted), type(data)
    readonly = ROWS.copy()
    readonly.setflags(write=False)
    for data in (readonly, ROWS.astype(">f8"), ROWS[::-1], np.asfortranarray(ROWS), ROWS.astype(object)):
        found = flavor.predict(model, data)
        assert np.array_equal(found, wanted[::-1] if data[0, 0] == 1 - 6 / 11 else wanted)
    assert flavor.predict(plain().double(), ROWS.astype("f4")).dtype == np.float64
    assert flavor.predict(plain().to(torch.bfloat16), ROWS).dtype == np.float32
    assert flavor.predict(model, np.ones((2, 4), int)).shape == (2, 2), "integers are numbers for a linear layer"


def test_integers_stay_integers_for_an_embedding():
    model = Tied()
    wanted = model(torch.tensor([[1, 2]])).detach().numpy()
    for data in ([[1, 2]], np.array([[1, 2]], "i2"), np.array([[1, 2]], "u1"), {"ids": [[1, 2]]}):
        assert np.array_equal(flavor.predict(model, data), wanted)


def test_tensors_come_back_for_tensors():
    given = torch.tensor(ROWS, dtype=torch.float32)
    found = flavor.predict(plain(), given)
    assert isinstance(found, torch.Tensor)
    assert not found.requires_grad
    assert isinstance(flavor.predict(Two(), (given, given))["sum"], torch.Tensor)
    assert isinstance(flavor.predict(Two(), {"left": given, "right": given})["sum"], torch.Tensor)


def test_several_inputs_go_by_their_names_and_several_outputs_come_back():
    for data in ({"right": [1, 2], "left": [3, 4]}, pd.DataFrame({"right": [1, 2], "left": [3, 4]})):
        found = flavor.predict(Two(), data)
        assert found["sum"].tolist() == [4, 6]
        assert isinstance(found["both"], Pair)
        assert isinstance(found["both"].total, np.ndarray)
        assert found["both"].rest[1][1] == "text"
    assert flavor.predict(Two(), {"left": [3, 4]}).tolist() == [3, 4]
    stacked = flavor.predict(Two(), {"a": [1, 2], "b": [3, 4]})
    assert stacked.tolist() == [[1, 3], [2, 4]], "names of columns"
    assert flavor.predict(Two(), pd.DataFrame({"left": [1, 2]})).shape == (2, 1), "one column is a matrix"


def test_predicting_writes_nothing_into_the_data():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    data = ROWS.astype("f4")
    assert np.array_equal(flavor.predict(InPlace(), data), 2 * ROWS.astype("f4"))
    assert np.array_equal(data, ROWS.astype("f4"))


def test_predicting_is_evaluation_and_leaves_the_mode_as_it_was():
    model = plain().train()
    model[1].eval()
    modes = [each.training for each in model.modules()]
    assert np.array_equal(flavor.predict(model, ROWS), flavor.predict(model, ROWS)), "no dropout"
    assert [each.training for each in model.modules()] == modes

    class Failing(Own):
        def forward(self, x):
            assert not self.training
            raise KeyError("x")

    failing = Failing()
    with pytest.raises(KeyError):
        flavor.predict(failing, ROWS)
    assert failing.training
    assert flavor._switched == {}


def test_threads_do_not_put_each_other_into_training_mode():
    meeting = threading.Barrier(2)

    class Meeting(Own):
        def forward(self, x):
            if len(x) == 1:
                meeting.wait(10)  # both are inside
                meeting.wait(10)  # the other has ended
            else:
                meeting.wait(10)
            return x * 0 + float(self.training)

    model, found = Meeting(), []
    thread = threading.Thread(target=lambda: found.append(flavor.predict(model, ROWS[:1])))
    thread.start()
    assert not flavor.predict(model, ROWS[:2]).any()
    assert not model.training, "one is still predicting"
    meeting.wait(10)
    thread.join()
    assert not found[0].any()
    assert model.training


# -- what is said about it, and what is refused -----------------------------------------------------------------------


def test_the_audit_says_that_it_is_code_and_what_it_imports(tmp_path):
    found = flavor.audit(saved(plain(), tmp_path / "plain"))
    assert (found.kind, found.by_value) == ("code", False)
    assert "torch.nn.modules.linear:Linear" in found.imports
    assert {"torch", "numpy"} <= set(found.modules)
    assert flavor.audit(saved(Own(), tmp_path / "own")).by_value
    for name, model in (("script", scripted()), ("program", exported())):
        assert flavor.audit(saved(model, tmp_path / name)).kind == "code"


def test_the_audit_needs_no_pytorch(tmp_path, python):
    saved(plain(), tmp_path / "m")
    found = frameworks.audited_without("torch", "torch", tmp_path / "m", python)
    assert (found[0], "torch" in found) == ("code", True)


class Evil:
    def __reduce__(self):
        return subprocess.Popen, (["touch", str(Evil.marker)],)


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model.pt2"])
def test_a_model_of_unknown_origin_is_refused_and_nothing_runs(tmp_path, monkeypatch, name):
    monkeypatch.setattr(Evil, "marker", tmp_path / "it ran", raising=False)
    files = saved(plain(), tmp_path / "m")
    (tmp_path / "m" / "model.pkl").unlink()
    if name == "model.pkl":
        (tmp_path / "m" / name).write_bytes(pickle.dumps(Evil()))
    else:
        torch.save(Evil(), tmp_path / "m" / name)
    files = Files.of_folder(str(tmp_path / "m"))
    with pytest.raises(Untrusted, match="it is a module of PyTorch, which is code"):
        flavor.load(files, restricted=True)
    if name != "model.pkl":  # and a pickle in PyTorch's archive is not read, even from somebody who is trusted
        with pytest.raises(Corrupted, match=name):
            flavor.load(files, restricted=False)
    assert flavor.audit(files).kind == "code"
    assert not (tmp_path / "it ran").exists()


def header(text, data=b""):
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(2,), data_offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": data_offsets}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        (2**40).to_bytes(8, "little") + b"{}",
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        header(b"[]"),
        header(b"{]"),
        header(b"\xff\xff"),
        header(b"[" * 100_000),
        *(
            header(json.dumps({"a": entry}).encode(), b"12345678")
            for entry in (
                5,
                {},
                tensor("EVIL"),
                tensor("__class__"),
                tensor(shape=(3,)),
                tensor(shape=(-1, -2)),
                tensor(shape=(True, 2)),
                tensor(shape="2"),
                tensor(shape=(2.0,)),
                tensor(shape=(2**40, 2**40), data_offsets=(0, 2**82)),
                tensor(shape=(2**36,), data_offsets=(0, 2**38)),
                tensor(shape=(2**61,), data_offsets=(0, 2**63)),
                tensor(data_offsets=(-8, 0)),
                tensor(data_offsets=(4, 12)),
                tensor(data_offsets=(8, 0)),
                tensor(data_offsets=(0, 8, 16)),
                tensor(data_offsets="08"),
                tensor(shape=(3,), data_offsets=(0, 12)),
                tensor(shape=(1,), data_offsets=(0, 4)),
            )
        ),
        header(json.dumps({"a": tensor(), "b": tensor()}).encode(), b"12345678"),
    ],
)
def test_weights_that_are_damaged_are_said_to_be(tmp_path, content):
    saved(plain(), tmp_path / "m")
    (tmp_path / "m" / "weights.safetensors").write_bytes(content)
    with pytest.raises(Corrupted, match=r"weights\.safetensors is damaged"):
        flavor.load(Files.of_folder(str(tmp_path / "m")), restricted=False)


def test_a_note_that_does_not_read_is_damaged_and_a_later_one_asks_for_its_release(tmp_path):
    files = saved(plain(), tmp_path / "m")
    for text in ("", "[]", "{}", '{"format": []}'):
        (tmp_path / "m" / "torch.json").write_text(text)
        with pytest.raises(Corrupted, match=r"torch\.json is damaged"):
            flavor.load(files, restricted=False)
    (tmp_path / "m" / "torch.json").write_text('{"format": 2, "python": "3.11"}')
    with pytest.raises(NewerFormat, match="upgrade it"):
        flavor.load(files, restricted=False)


def test_weights_of_another_module_are_found_out(tmp_path):
    saved(plain(), tmp_path / "m")
    format.write(str(tmp_path / "m" / "weights.safetensors"), {"other": torch.zeros(2)})
    with pytest.raises(Corrupted, match=r"it has no '0\.weight'"):
        flavor.load(Files.of_folder(str(tmp_path / "m")), restricted=False)


# -- MLflow's names ---------------------------------------------------------------------------------------------------


def test_mlflows_door_logs_and_loads(registry):
    import registry_nb as rn
    from registry_nb import mlflow
    from registry_nb.errors import Invalid, NoFlavor

    rn.set_registry(registry)
    try:
        info = mlflow.pytorch.log_model(plain().eval(), name="net", input_example=ROWS, registered_model_name="Net")
        assert (info.artifact_path, registry.version("Net", 1).flavor) == ("net", "torch")
        found = mlflow.pytorch.load_model("models:/Net/1")
        assert isinstance(found, nn.Sequential)
        wanted = flavor.predict(plain().eval(), ROWS)
        assert np.array_equal(flavor.predict(found, ROWS), wanted)
        assert np.array_equal(mlflow.pyfunc.load_model("models:/Net/1").predict(ROWS), wanted)
        with pytest.raises(NoFlavor):
            mlflow.pytorch.log_model(len)
        with pytest.raises(Invalid, match="map_location= cannot be kept"):
            mlflow.pytorch.load_model("models:/Net/1", map_location="cpu")
        with pytest.raises(Invalid, match="is no Keras model"):
            mlflow.keras.load_model("models:/Net/1")
    finally:
        rn.set_registry(None)


# -- files of earlier formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["module", "program"])
def test_files_of_format_1_still_open(name):
    """Made with ``flavor.save`` of `plain` and `exported`, in the first release that had this flavor."""
    expected = json.loads((DATA / "expected.json").read_text())
    found = flavor.load(Files.of_folder(str(DATA / name)), restricted=False)
    assert np.allclose(flavor.predict(found, expected["inputs"]), expected["outputs"], atol=1e-5)


class Named(nn.Module):
    """As the networks of transformers and PEFT: one input has a name, the others are passed on."""

    def forward(self, left, **more):
        return left + sum(more.values())


def test_a_forward_with_open_arguments_takes_a_mapping(registry):
    given = {"left": np.ones((2, 3), np.float32), "right": np.full((2, 3), 2, np.float32)}
    version = registry.register(Named(), "Named", example=given)
    assert np.array_equal(registry.load(version.uri).predict(given), np.full((2, 3), 3, np.float32))


def test_columns_that_a_forward_with_open_arguments_does_not_name_are_one_matrix():
    class Summed(nn.Module):
        def forward(self, rows, **_):
            return rows.sum()

    assert flavor.predict(Summed(), pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})) == 10


def test_weights_without_their_module_are_refused_with_what_to_do(registry, refused):
    weights = torch.nn.Linear(2, 1).state_dict()
    with refused(registry, NoFlavor, "it is weights alone", "register that", "register(Path(…), name)"):
        registry.register(weights, "M")
