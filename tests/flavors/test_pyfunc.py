"""Anything that predicts: what is defined in a notebook, a script or a local module travels with the model."""

import pickle
import sys

import numpy as np
import pytest

import registry_nb as rn
from registry_nb.errors import Invalid, NoFlavor
from registry_nb.flavors import flavor_of, pyfunc
from registry_nb.mlflow.pyfunc import PythonModel
from registry_nb.testing import FlavorContract


class Doubler:
    """An ordinary object with a state."""

    def __init__(self, factor=2):
        self.factor = factor

    def predict(self, X):
        return np.asarray(X) * self.factor


class WithContext:
    """MLflow's PythonModel, by its shape: no base class is asked for."""

    loaded = 0

    def load_context(self, context):
        self.loaded += 1
        self.names = sorted(vars(context))

    def predict(self, context, model_input, params=None):
        assert context.artifacts == {}
        return [self.loaded + each for each in model_input]


class WithContextOnly:
    def load_context(self, context):
        raise AssertionError("only MLflow's shape is loaded so")

    def predict(self, X):
        return X


def closure(weight):
    def weighted(X):
        return [weight * each for each in X]

    return weighted


class TestObjectsWithPredict(FlavorContract):
    flavor = "pyfunc"
    model = staticmethod(Doubler)
    data = staticmethod(lambda: np.arange(3))


class TestClosures(FlavorContract):
    flavor = "pyfunc"
    model = staticmethod(lambda: closure(2.5))
    data = staticmethod(lambda: [1, 2, 3])


class TestLambdas(FlavorContract):
    flavor = "pyfunc"
    model = staticmethod(lambda: lambda X: [each + 1 for each in X])
    data = staticmethod(lambda: [1, 2, 3])


class TestBuiltinsThatCanBeCalled(FlavorContract):
    flavor = "pyfunc"
    model = staticmethod(lambda: len)
    data = staticmethod(lambda: [1, 2, 3])


def test_mlflows_shape_gets_its_context_once_when_it_is_loaded(registry):
    model = WithContext()
    registry.register(model, "M", flavor="pyfunc")
    loaded = registry.load("models:/M/1")
    assert loaded.predict([1, 2]) == [2, 3]
    assert loaded.predict([1, 2]) == [2, 3]
    assert loaded.unwrap().names == ["artifacts", "model_config"]
    assert model.loaded == 0, "registering does not load it"


class Prepared:
    """Predicts with what it prepares when it is loaded, as MLflow's documentation has it."""

    prepared = 0

    def load_context(self, context):
        type(self).prepared += 1
        self.inner = lambda rows: [each + 40 for each in rows]

    def predict(self, context, model_input):
        return self.inner(model_input)


def test_an_example_is_tried_on_a_copy_that_has_loaded_its_context(registry):
    model = Prepared()
    version = registry.register(model, "M", example=[1, 2])
    assert (str(version.signature), vars(model), Prepared.prepared) == ("(int64[-1]) -> (int64[-1])", {}, 0)
    loaded = registry.load("models:/M/1", verify="behaviour")
    assert (loaded.predict([1]), loaded.behaviour.changed) == ([41], 0)


def test_a_context_that_cannot_be_loaded_is_refused_at_registration(registry, refused):
    class Broken(Prepared):
        def load_context(self, context):
            self.inner = context.artifacts["weights"]

    with refused(registry, rn.Invalid, "Broken can be written, but not loaded again", "KeyError: 'weights'"):
        registry.register(Broken(), "M")


class OtherNames(PythonModel):
    def predict(self, ctx, rows, params=None):
        return [(ctx.artifacts, each, params) for each in rows]


class WithoutContext(PythonModel):
    def load_context(self, context):
        self.offset = 5

    def predict(self, model_input, params=None):
        return [each + self.offset + (params or {}).get("more", 0) for each in model_input]


class OfNoBase:
    def load_context(self, context):
        self.offset = 5

    def predict(self, _, rows):
        return [each + self.offset for each in rows]


class Answers:
    """Nothing of MLflow's: what it answers questions about is called a context."""

    def predict(self, context, k=3):
        return [(each, k) for each in context]


class TwoInputs:
    """Nothing of MLflow's: its second parameter has a default."""

    def load_context(self, context):
        raise AssertionError("this is not MLflow's")

    def predict(self, rows, weights=None):
        return rows


@pytest.mark.parametrize(
    ("model", "params", "expected"),
    [
        (OtherNames(), None, [({}, 1, None)]),
        (OtherNames(), {"a": 1}, [({}, 1, {"a": 1})]),
        (WithoutContext(), None, [6]),
        (WithoutContext(), {"more": 10}, [16]),
        (OfNoBase(), None, [6]),
        (TwoInputs(), None, [1]),
        (Answers(), None, [(1, 3)]),
    ],
    ids=[
        "other names",
        "other names with params",
        "no context",
        "no context, params",
        "no base class",
        "not MLflow's",
        "a context that is data",
    ],
)
def test_the_contract_is_recognised_by_its_shape_and_by_its_base_class(registry, model, params, expected):
    registry.register(model, "M")
    assert registry.load("models:/M/1").predict([1], params) == expected


def test_load_context_of_another_shape_is_left_alone(registry):
    registry.register(WithContextOnly(), "M")
    assert registry.load("models:/M/1").predict(7) == 7


def test_a_predict_without_a_signature_is_taken_as_plain(registry):
    class Wrapped:
        predict = dict  # a builtin type, whose parameters cannot be read

    assert pyfunc.predict(Wrapped(), [("a", 1)]) == {"a": 1}


def test_whose_an_object_is(forest):
    assert flavor_of(forest) == "sklearn"
    assert [flavor_of(model) for model in (Doubler(), len, lambda X: X)] == ["pyfunc"] * 3


def test_a_class_of_a_script_is_loaded_by_a_process_that_never_saw_it(python, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "import math\n"
        "import registry_nb as rn\n"
        "OFFSET = 40\n"
        "class Mine:\n"
        "    def predict(self, X):\n"
        "        return [math.floor(each) + OFFSET for each in X]\n"
        "rn.Registry(sys.argv[1]).register(Mine(), 'Mine', example=[1.5])\n"
    )
    python(f"import runpy, sys; sys.argv[0] = {str(script)!r}; runpy.run_path({str(script)!r}, run_name='__main__')",
           tmp_path / "r", cwd=tmp_path)  # fmt: skip
    script.unlink()
    load = "import sys, registry_nb as rn; print(rn.Registry(sys.argv[1]).load('models:/Mine/1').predict([2.7]))"
    assert python(load, tmp_path / "r", cwd=tmp_path) == "[42]\n"


def test_a_class_of_a_notebook_cell_is_loaded_by_a_process_that_never_saw_it(python, tmp_path):
    """A kernel runs cells as code in ``__main__``, which has no file."""
    kernel = """
        import sys, registry_nb as rn
        cells = [
            "class Base:\\n    bias = 1",
            "class Cell(Base):\\n    def predict(self, X):\\n        return [helper(x) + self.bias for x in X]",
            "def helper(x):\\n    return 10 * x",
            "rn.Registry(sys.argv[1]).register(Cell(), 'Cell')",
        ]
        for number, cell in enumerate(cells):
            exec(compile(cell, f"<cell {number}>", "exec"), globals())
    """
    python(kernel, tmp_path / "r")
    load = "import sys, registry_nb as rn; print(rn.Registry(sys.argv[1]).load('models:/Cell/1').predict([1, 2]))"
    assert python(load, tmp_path / "r") == "[11, 21]\n"


def test_a_class_of_a_local_module_travels_with_the_model(python, tmp_path):
    project = tmp_path / "project"
    (project / "pack").mkdir(parents=True)
    (project / "pack" / "__init__.py").write_text("")
    (project / "pack" / "deep.py").write_text("def scale(x):\n    return 3 * x\n")
    (project / "mylocal.py").write_text(
        "from pack import deep\nclass Local:\n    def predict(self, X):\n        return [deep.scale(x) for x in X]\n"
    )
    register = """
        import sys
        sys.path.insert(0, sys.argv[2])
        import registry_nb as rn
        from mylocal import Local
        version = rn.Registry(sys.argv[1]).register(Local(), "Local")
        print(version.requirements)
    """
    assert "mylocal" not in python(register, tmp_path / "r", project)
    load = """
        import sys
        import registry_nb as rn
        print(rn.Registry(sys.argv[1]).load("models:/Local/1").predict([1, 2]))
        assert "mylocal" not in sys.modules
    """
    (project / "mylocal.py").unlink()
    assert python(load, tmp_path / "r") == "[3, 6]\n"


def test_modules_that_are_imported_later_or_anew_travel_as_they_are_then(python, tmp_path):
    """Each module is looked at once; another one of the same name is another module, and a reload changes the code."""
    register = """
        import importlib, os, sys
        sys.path.insert(0, sys.argv[2])
        sys.dont_write_bytecode = True
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1])

        def written(factor):
            with open(os.path.join(sys.argv[2], "later.py"), "w") as file:
                file.write(f"class Model:\\n    def predict(self, X):\\n        return [{factor} * x for x in X]\\n")
            importlib.invalidate_caches()

        registry.register(lambda X: X, "M")
        written(2)
        import later
        registry.register(later.Model(), "M")
        written(3)
        importlib.reload(later)
        registry.register(later.Model(), "M")
        del sys.modules["later"]
        written(4)
        import later
        registry.register(later.Model(), "M")
    """
    (tmp_path / "project").mkdir()
    python(register, tmp_path / "r", tmp_path / "project")
    registry = rn.Registry(tmp_path / "r")
    assert [registry.load(f"models:/M/{number}").predict([1]) for number in (1, 2, 3, 4)] == [[1], [2], [3], [4]]


class Kept:
    def __init__(self):
        self.lock = lock()

    def predict(self, X):
        return X


def test_how_a_type_is_pickled_may_be_said_at_any_time(registry, monkeypatch):
    import copyreg

    with pytest.raises(rn.Invalid, match="lock"):
        registry.register(Kept(), "M")
    monkeypatch.setitem(copyreg.dispatch_table, Kept, lambda kept: (Kept, ()))
    assert registry.load(registry.register(Kept(), "M").uri).predict([1]) == [1]


def test_registering_leaves_cloudpickles_own_settings_alone(registry):
    import cloudpickle

    before = cloudpickle.list_registry_pickle_by_value()
    registry.register(Doubler(), "M")
    with pytest.raises(rn.Invalid):
        registry.register(Doubler(factor=(each for each in ())), "M")
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_a_full_disk_is_no_fault_of_the_model(registry, monkeypatch):
    from registry_nb.flavors import pickling

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pickling, "_pickle", full)
    with pytest.raises(rn.StorageError, match="the disk is full; make room and try again; nothing was changed"):
        registry.register(Doubler(), "M")
    assert registry.versions() == []


def lock():
    import threading

    return threading.Lock()


class Deep:
    def __init__(self, inner):
        self.fine = 1
        self.inner = inner

    def predict(self, X):
        return X


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Deep(lock()), "Deep.inner cannot"),
        (lambda: Deep(Deep({"a": [0, lock()]})), "Deep.inner.inner['a'][1] cannot"),
        (lambda: Deep((lock(),)), "Deep.inner[0] cannot"),
        (lambda: closure(lock()), "function (its variable 'weight') cannot"),
    ],
)
def test_the_part_that_cannot_be_pickled_is_named(registry, make, path):
    with pytest.raises(rn.Invalid) as caught:
        registry.register(make(), "M")
    assert path in str(caught.value)
    assert "_thread.lock" in caught.value.reason
    assert registry.versions() == []


def test_the_search_for_the_part_ends_at_some_depth(registry):
    model = Deep(lock())
    for _ in range(12):
        model = Deep(model)
    with pytest.raises(rn.Invalid) as caught:
        registry.register(model, "M")
    assert caught.value.path == "Deep" + ".inner" * 8


def test_bytes_that_were_tampered_with_never_reach_the_unpickler(registry, monkeypatch, tmp_path):
    import os
    from pathlib import Path

    registry.register(Doubler(), "M")
    (blob,) = (Path(registry.uri) / "artifacts").iterdir()
    evil = pickle.dumps(print).ljust(blob.stat().st_size, b".")[: blob.stat().st_size]
    os.chmod(blob, 0o644)
    blob.write_bytes(evil)
    seen = []
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *given, **how: seen.append(given))
    with pytest.raises(rn.Corrupted, match="SHA-256"):
        registry.load("models:/M/1")
    assert seen == []


def test_an_unknown_flavor_of_a_record_is_refused(registry):
    registry.register(Doubler(), "M")
    registry.store.db.table("versions:M").update({"flavor": "tensorfoo"})
    with pytest.raises(rn.Invalid, match=r"'tensorfoo' is not a flavor \(flavors:"):
        rn.Registry(registry.uri).load("models:/M/1")


class Answers:
    """Not MLflow's: what it is asked about is called so."""

    def predict(self, context, k=3):
        return [len(each) * k for each in context]


class Base(Answers):
    def predict(self, context, params=None):
        return [len(each) for each in context]


@pytest.mark.parametrize(("model", "expected"), [(Answers(), [6, 3]), (Base(), [2, 1])])
def test_data_may_be_called_context(registry, model, expected):
    registry.register(model, "M", example=["ab", "c"])
    assert registry.load("models:/M/1").predict(["ab", "c"]) == expected


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A library with objects that do something like predicting."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "near_library.py").write_text(
        "class Online:\n    def predict_one(self, row): return 1\n\n"
        "class Study:\n    @property\n    def best_value(self): raise RuntimeError('asked')\n\n"
        "class Table:\n    def transform(self): ...\n    def __array__(self): ...\n\n"
        "class Nothing: ...\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    import near_library

    yield near_library
    sys.modules.pop("near_library")


@pytest.mark.parametrize(("kind", "methods"), [("Online", r"predict_one\(\)"), ("Study", r"best_value\(\)")])
def test_an_object_of_a_library_that_does_something_else_is_kept_for_its_own_methods(
    registry, installed, kind, methods
):
    model = getattr(installed, kind)()
    version = registry.register(model, "Near", example=[1])
    assert version.flavor == "pyfunc"
    loaded = registry.load(version.uri)
    assert type(loaded.unwrap()) is type(model)
    with pytest.raises(Invalid, match=rf"a {kind} has no predict\(\); unwrap\(\) has {methods}"):
        loaded.predict([1])


@pytest.mark.parametrize("kind", ["Table", "Nothing"])
def test_data_and_what_does_nothing_like_it_are_no_models(registry, installed, kind):
    with pytest.raises(NoFlavor, match=f"an object of type {kind}"):
        registry.register(getattr(installed, kind)(), "Near")


def test_an_own_class_that_only_transforms_is_no_model(registry):
    class Own:
        def transform(self, rows): ...

    with pytest.raises(NoFlavor, match="wrap it in an object that has one"):
        registry.register(Own(), "Near")
