"""What a model's code imports when it runs: it travels with the model, or the model is refused."""

import sys
import textwrap

import pytest

import registry_nb as rn
from registry_nb.errors import Invalid, RegistryWarning
from registry_nb.flavors import carried
from registry_nb.flavors.importer import Code, Importer

REGISTER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    sys.dont_write_bytecode = True
    import registry_nb as rn
    registry = rn.Registry(sys.argv[1])

    class Model:
        def predict(self, X):
            {imports}
            return [{answer} for x in X]

    version = registry.register(Model(), "M", example=[1, 2])
    print([text.partition("==")[0] for text in version.requirements])
"""
LOAD = """
    import sys
    import registry_nb as rn
    print(rn.Registry(sys.argv[1]).load("models:/M/" + sys.argv[2]).predict([1, 2]))
    assert not {"helper", "pack"} & set(sys.modules), "the code of one model is not that of the process"
"""


@pytest.fixture
def project(tmp_path):
    """A folder of a user's: a module that imports another one, and a package whose parts import each other."""
    folder = tmp_path / "project"
    (folder / "pack" / "inner").mkdir(parents=True)
    files = {
        "helper.py": "import deeper\ndef scale(x):\n    return deeper.FACTOR * x\n",
        "deeper.py": "FACTOR = 3\n",
        "pack/__init__.py": "from .one import *\n",
        "pack/one.py": "__all__ = ['shift']\nfrom . import two\ndef shift(x):\n    return two.BY + x\n",
        "pack/two.py": "from pack.inner.three import BY\n",
        "pack/inner/__init__.py": "",
        "pack/inner/three.py": "BY = 40\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("imports", "answer", "expected"),
    [
        ("import helper", "helper.scale(x)", [3, 6]),
        ("from helper import scale", "scale(x)", [3, 6]),
        ("import pack", "pack.shift(x)", [41, 42]),
        ("import pack.inner.three as three", "three.BY", [40, 40]),
        ("from pack import two", "two.BY", [40, 40]),
        ("from pack.inner import three", "three.BY", [40, 40]),
        ("scale = __import__('helper').scale; import helper", "scale(x)", [3, 6]),
        ("def later(x):\n                import helper\n                return helper.scale(x)", "later(x)", [3, 6]),
    ],
)
def test_an_import_inside_of_predict_travels(python, tmp_path, project, imports, answer, expected):
    told = python(textwrap.dedent(REGISTER).replace("{imports}", imports).replace("{answer}", answer),
                  tmp_path / "r", project)  # fmt: skip
    assert told == "['cloudpickle']\n"
    assert python(LOAD, tmp_path / "r", 1) == f"{expected}\n"


def test_each_version_runs_its_own_sources_beside_newer_ones(python, tmp_path, project):
    script = textwrap.dedent(REGISTER).replace("{imports}", "import helper").replace("{answer}", "helper.scale(x)")
    python(script, tmp_path / "r", project)
    (project / "deeper.py").write_text("FACTOR = 7\n")
    python(script, tmp_path / "r", project)
    both = """
        import sys
        sys.path.insert(0, sys.argv[2])
        import helper
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        models = [registry.load(f"models:/M/{number}") for number in (2, 1, 2)]
        print([model.predict([1]) for model in models], helper.scale(1))
        assert sys.modules["helper"] is helper
    """
    assert python(both, tmp_path / "r", project) == "[[7], [3], [7]] 7\n"


def test_a_model_that_was_loaded_elsewhere_is_registered_again_with_what_it_carries(python, tmp_path, project):
    script = textwrap.dedent(REGISTER).replace("{imports}", "import helper").replace("{answer}", "helper.scale(x)")
    python(script, tmp_path / "r", project)
    again = """
        import sys, registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        registry.register(registry.load("models:/M/1"), "M", example=[1])
        registry.copy("models:/M/2", "Copy")
    """
    python(again, tmp_path / "r")
    assert python(LOAD, tmp_path / "r", 2) == "[3, 6]\n"
    assert python(LOAD.replace("/M/", "/Copy/"), tmp_path / "r", 1) == "[3, 6]\n"


def test_a_class_of_a_local_module_takes_along_what_its_methods_import(python, tmp_path, project):
    (project / "model.py").write_text(
        "class Local:\n    def predict(self, X):\n        import helper\n        return [helper.scale(x) for x in X]\n"
    )
    script = """
        import sys
        sys.path.insert(0, sys.argv[2])
        import model, registry_nb as rn
        rn.Registry(sys.argv[1]).register(model.Local(), "M")
    """
    python(script, tmp_path / "r", project)
    assert python(LOAD, tmp_path / "r", 1) == "[3, 6]\n"


def test_a_relative_import_inside_of_a_method_travels(python, tmp_path, project):
    (project / "pack" / "model.py").write_text(
        "class Local:\n    def predict(self, X):\n        from .two import BY\n        return [BY for x in X]\n"
    )
    script = """
        import sys
        sys.path.insert(0, sys.argv[2])
        import pack.model, registry_nb as rn
        rn.Registry(sys.argv[1]).register(pack.model.Local(), "M")
    """
    python(script, tmp_path / "r", project)
    assert python(LOAD, tmp_path / "r", 1) == "[40, 40]\n"


def test_a_module_of_pytorch_takes_along_what_its_forward_imports(python, tmp_path, project):
    pytest.importorskip("torch")
    script = """
        import sys
        sys.path.insert(0, sys.argv[2])
        import torch, registry_nb as rn

        class Net(torch.nn.Module):
            def forward(self, x):
                import helper
                return helper.scale(x)

        rn.Registry(sys.argv[1]).register(Net(), "M")
    """
    python(script, tmp_path / "r", project)
    load = """
        import sys, torch, registry_nb as rn
        print(rn.Registry(sys.argv[1]).load("models:/M/1").predict(torch.ones(2)).tolist())
    """
    assert python(load, tmp_path / "r") == "[3.0, 3.0]\n"


def test_installed_modules_that_code_imports_are_requirements_and_do_not_keep_it_from_loading(python, tmp_path):
    script = """
        import sys, registry_nb as rn

        class Model:
            text = "catboost and scipy are words here"

            def predict(self, X):
                try:
                    import sklearn.metrics
                except ImportError:
                    return [0 for x in X]
                return [1 for x in X]

        version = rn.Registry(sys.argv[1]).register(Model(), "M")
        print(sorted(text.partition("==")[0] for text in version.requirements), version.environment["running"])
    """
    assert python(script, tmp_path / "r") == "['cloudpickle', 'scikit-learn'] ('sklearn',)\n"
    without = """
        import sys
        class Nowhere:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "sklearn":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.meta_path.insert(0, Nowhere())
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        print(registry.load("models:/M/1").predict([5]))
        registry.policy("M", require=[rn.rules.requirements_satisfied()])
        print(registry.evaluate("M", 1).ok)
    """
    assert python(without, tmp_path / "r") == "[0]\nFalse\n"


def test_a_text_that_is_the_name_of_a_library_is_no_requirement(registry):
    pytest.importorskip("xgboost")

    class Model:
        engine = "xgboost"

        def predict(self, X):
            return X

    requirements = registry.register(Model(), "M").requirements
    assert [text.partition("==")[0] for text in requirements] == ["cloudpickle"]


BESIDE = {
    "in the function": "def factor():\n    return open(os.path.join(os.path.dirname(__file__), 'factor.txt')).read()\n",
    "at the top": "FILE = pathlib.Path(__file__).with_name('factor.txt')\ndef factor():\n    return FILE.read_text()\n",
    "of a folder": "HERE = os.path.dirname(__file__)\ndef factor():\n    return open(HERE + '/factor.txt').read()\n",
}


@pytest.mark.parametrize("inside", [False, True], ids=["used", "imported when it runs"])
@pytest.mark.parametrize("place", BESIDE)
def test_a_file_that_code_opens_beside_itself_is_told_when_it_is_registered(
    registry, tmp_path, monkeypatch, place, inside
):
    name = f"opens_{len(place)}_{inside}"
    (tmp_path / "factor.txt").write_text("3")
    (tmp_path / f"{name}.py").write_text("import os, pathlib\n" + BESIDE[place])
    monkeypatch.syspath_prepend(tmp_path)
    scope = {"__name__": "__main__"}
    lines = ["def model(X):", f"    import {name}"] if inside else [f"import {name}", "def model(X):"]
    exec("\n".join([*lines, f"    return [{name}.factor() for _ in X]"]), scope)
    with pytest.warns(RegistryWarning, match=r"names a file beside itself \('.*factor\.txt'\), which does not travel"):
        registry.register(scope["model"], "M")


def test_files_that_code_only_mentions_are_not_told(registry, tmp_path, monkeypatch):
    (tmp_path / "train.txt").write_text("3")
    text = "HERE = __file__\ndef train():\n    return open(HERE + 'train.txt')\ndef factor():\n    return 'train.txt'\n"
    (tmp_path / "mentions.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    from mentions import factor

    assert registry.register(lambda X: [factor() for _ in X], "M").version == 1


def test_a_module_that_only_this_process_has_is_refused_with_its_name(registry, refused, monkeypatch):
    import types

    made = types.ModuleType("made_up_here")
    made.VALUE = 1
    monkeypatch.setitem(sys.modules, "made_up_here", made)

    def model(X):
        import made_up_here

        return [made_up_here.VALUE for _ in X]

    with refused(registry, Invalid, "its code imports 'made_up_here', which exists in this process only"):
        registry.register(model, "M")


def test_a_package_with_compiled_parts_that_is_not_installed_is_refused(registry, refused, tmp_path, monkeypatch):
    (tmp_path / "halfmade").mkdir()
    (tmp_path / "halfmade" / "__init__.py").write_text("")
    (tmp_path / "halfmade" / "_fast.so").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)

    def model(X):
        import halfmade

        return [str(halfmade) for _ in X]

    with refused(registry, Invalid, "it imports 'halfmade'", "compiled parts (_fast.so)", "install it as a package"):
        registry.register(model, "M")


def test_a_compiled_module_that_is_not_installed_is_refused(registry, refused, tmp_path, monkeypatch):
    (tmp_path / "onlybytes.pyc").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)

    def model(X):
        import onlybytes

        return [str(onlybytes) for _ in X]

    with refused(registry, Invalid, "it imports 'onlybytes', which is compiled and not installed"):
        registry.register(model, "M")


def test_code_that_is_far_too_large_is_refused(registry, refused, tmp_path, monkeypatch):
    (tmp_path / "bulky.py").write_text("x = 1\n" * 100)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(carried, "_MOST_BYTES", 100)

    def model(X):
        import bulky

        return [bulky.x for _ in X]

    with refused(registry, Invalid, "the code that it imports is larger than", "bulky.py"):
        registry.register(model, "M")


# -- one module, whichever way it comes -------------------------------------------------------------------------------

WHOLE = """
    import sys
    sys.path.insert(0, sys.argv[2])
    sys.dont_write_bytecode = True
    import registry_nb as rn
    {setup}
    model = {model}
    print(model.predict([1]))
    rn.Registry(sys.argv[1]).register(model, "M"{example})
"""
FRESH = """
    import sys, registry_nb as rn
    print(rn.Registry(sys.argv[1]).load("models:/M/1").predict([1]))
"""
LABELS = """
from enum import Enum

class Label(Enum):
    SPAM = 1

class Item:
    pass

SEEN = {}

def remember(x):
    SEEN[x] = True
    return len(SEEN)

class Lazy:
    def __init__(self):
        self.label, self.item = Label.SPAM, Item()
    def predict(self, X):
        import labels
        from labels import Item as Kind, Label as L
        same = [self.label is L.SPAM, isinstance(self.item, Kind), isinstance(self, labels.Lazy)]
        return [*same, remember(1), len(labels.SEEN)]
"""


@pytest.mark.parametrize("example", ["", ", example=[1]"])
def test_a_module_that_is_imported_again_when_it_runs_is_the_one_whose_class_is_in_the_pickle(
    python, tmp_path, example
):
    (tmp_path / "labels.py").write_text(LABELS)
    script = WHOLE.replace("{setup}", "import labels").replace("{model}", "labels.Lazy()").replace("{example}", example)
    told = python(textwrap.dedent(script), tmp_path / "r", tmp_path)
    assert python(FRESH, tmp_path / "r") == told == "[True, True, True, 1, 1]\n"


@pytest.mark.parametrize("example", ["", ", example=[1]"])
def test_what_the_notebook_set_in_a_module_travels_with_it(python, tmp_path, example):
    (tmp_path / "settings_here.py").write_text(
        "import os\nTHRESHOLD = 1\nKINDS = {'a': 1}\nHERE = os.getpid()\n"
        "CHOSEN = 'cpu'\nif os.sep:\n    CHOSEN = 'gpu'\n"
    )
    setup = "import settings_here as s\n    s.THRESHOLD = 5; s.KINDS['b'] = [2]; s.NEW = (1, None)"
    model = "lambda X: [getattr(__import__('settings_here'), n) for n in ('THRESHOLD', 'KINDS', 'CHOSEN', 'NEW')]"
    setup += "\n    class Model:\n        def predict(self, X):\n            import settings_here"
    setup += f"\n            return ({model})(X)"
    script = WHOLE.replace("{setup}", setup).replace("{model}", "Model()").replace("{example}", example)
    told = python(textwrap.dedent(script), tmp_path / "r", tmp_path)
    assert told == "[5, {'a': 1, 'b': [2]}, 'gpu', (1, None)]\n"
    assert python(FRESH, tmp_path / "r") == told
    again = """
        import sys, registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        registry.register(registry.load("models:/M/1"), "M")
        print(registry.load("models:/M/2").predict([1]))
    """
    assert python(again, tmp_path / "r") == told


def test_a_file_that_was_edited_after_it_was_imported_is_refused(registry, refused, tmp_path, monkeypatch):
    import importlib

    (tmp_path / "edited_here.py").write_text(
        "class A:\n    def value(self):\n        return 1\ndef f():\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("edited_here")

    def model(X):
        import edited_here

        return [edited_here.A().value() for _ in X]

    registry.register(model, "M")
    (tmp_path / "edited_here.py").write_text(
        "class A:\n    def value(self):\n        return 20000\ndef f():\n    return 1\n"
    )
    with refused(registry, Invalid, "'edited_here', whose file was edited after it was imported; reload it"):
        registry.register(model, "M")
    importlib.invalidate_caches()
    importlib.reload(module)
    registry.register(model, "M")
    assert [registry.load(f"models:/M/{number}").predict([1]) for number in (1, 2)] == [[1], [20000]]
    (tmp_path / "edited_here.py").write_text("this is no Python\n")
    assert registry.register(model, "M").version == 3, "what does not read cannot be held against anything"


@pytest.mark.parametrize(
    "call",
    [
        "importlib.import_module('helper').scale(x)",
        "import_module('helper').scale(x)",
        "later('helper').scale(x)",
        "importlib.import_module('.two', 'pack').BY * 0 + importlib.import_module('helper').scale(x)",
        "importlib.util.find_spec is not None and importlib.import_module('helper').scale(x)",
    ],
)
def test_what_is_imported_by_a_text_travels(python, tmp_path, project, call):
    setup = "import importlib, importlib.util\n    from importlib import import_module"
    setup += "\n    def later(name):\n        import importlib\n        return importlib.import_module(name)"
    setup += "\n    class Model:\n        names = ('helper', 'pack.two')"
    setup += f"\n        def predict(self, X):\n            return [{call} for x in X]"
    if "later(" in call:  # the text stands in another function than the import
        setup = setup.replace("        import importlib\n", "        import importlib, helper\n")
    script = WHOLE.replace("{setup}", setup).replace("{model}", "Model()").replace("{example}", "")
    told = python(textwrap.dedent(script), tmp_path / "r", project)
    assert python(FRESH, tmp_path / "r") == told == "[3]\n"


def test_an_import_that_only_running_it_tells_is_refused_by_the_example(registry, refused, tmp_path, monkeypatch):
    (tmp_path / "unseen_helper.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    parts = ["unseen", "helper"]

    def model(X):
        return [__import__("_".join(parts)).X for _ in X]

    with refused(
        registry, Invalid, "imports 'unseen_helper' by a name that is known only when it runs; name the file in code"
    ):
        registry.register(model, "M", example=[1])
    registry.register(model, "M", example=[1], code_paths=[tmp_path / "unseen_helper.py"])
    assert registry.load("models:/M/1").predict([1]) == [1]


@pytest.mark.parametrize("bare", ["lru_cache(maxsize=8, typed=True)", "cache"])
def test_functions_with_a_cache_travel_with_their_code(python, tmp_path, bare):
    setup = f"import functools\n    @functools.{bare}\n    def twice(x):\n        return 2 * x"
    setup += f"\n    class Model:\n        @functools.{bare}\n        def h(self, x):\n            return twice(x) + 1"
    setup += "\n        @functools.cached_property\n        def add(self):\n            return 10"
    setup += "\n        def predict(self, X):\n            return [self.h(x) + self.add for x in X]"
    script = WHOLE.replace("{setup}", setup).replace("{model}", "Model()").replace("{example}", ", example=[1]")
    told = python(textwrap.dedent(script), tmp_path / "r", tmp_path)
    assert python(FRESH, tmp_path / "r") == told == "[13]\n"


def test_a_cache_of_an_installed_library_is_written_down_by_its_name(registry):
    import fnmatch

    cache = fnmatch._compile_pattern
    registry.register(lambda X: [bool(cache(str(each))) for each in X], "M")
    assert registry.load("models:/M/1").predict([1]) == [True]


class Outside:
    def __reduce__(self):
        return "OUTSIDE"


OUTSIDE = Outside()


def test_what_is_written_down_by_its_name_in_this_process_is_refused(registry, refused):
    """As an object that says of itself that it is a global of the notebook, or of a local module."""
    with refused(registry, Invalid, "OUTSIDE, which another process does not have"):
        registry.register(lambda X, outside=OUTSIDE: [str(outside) for _ in X], "M")


def test_the_global_that_cannot_be_pickled_is_named(registry, refused):
    scope = {"guard": __import__("threading").Lock(), "__name__": "__main__"}
    exec("class M:\n    def predict(self, X):\n        with guard:\n            return X\n", scope)
    with refused(registry, Invalid, "M.predict (its global 'guard') cannot be pickled"):
        registry.register(scope["M"](), "M")


def test_two_modules_of_one_name_are_refused(registry, refused, tmp_path, monkeypatch):
    def model(X):
        import twofold_helper

        return [twofold_helper.X for _ in X]

    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "twofold_helper.py").write_text(f"X = {number}\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / str(number))
            registry.register(model, "M")
    one, two = registry.load("models:/M/1").unwrap(), registry.load("models:/M/2").unwrap()
    same = "it is made of two modules of one name (twofold_helper.py)"
    with refused(registry, Invalid, same):
        registry.register(lambda X: [*one(X), *two(X)], "Both")
    with refused(registry, Invalid, same):
        registry.register(model, "M", code_paths=[tmp_path / number / "twofold_helper.py" for number in "12"])
    with refused(registry, Invalid, "None is neither"):
        registry.register(model, "M", code_paths=[None])


def test_the_attribute_of_a_class_that_cannot_be_pickled_is_named(registry, refused):
    import threading

    class Locked:
        guard = threading.Lock()

        def predict(self, X):
            return X

    with refused(registry, Invalid, "Locked.guard cannot be pickled"):
        registry.register(Locked(), "M")


# -- modules as people write them --------------------------------------------------------------------------------------

ORDINARY = {
    "a dataclass whose annotations are texts": (
        {
            "dc.py": "from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass P:\n    x: int = 1\n"
        },
        "import dc",
        "dc.P(x).x",
        1,
    ),
    "a module that looks for itself": (
        {"me.py": "import sys\nthis = sys.modules[__name__]\nX = 2\ndef f():\n    return this.X\n"},
        "import me",
        "me.f()",
        2,
    ),
    "a package that imports lazily": (
        {
            "pk/__init__.py": "import importlib\ndef __getattr__(name):\n    if name == 'lazy':\n"
            "        return importlib.import_module('.lazy', __name__)\n    raise AttributeError(name)\n",
            "pk/lazy.py": "X = 3\n",
        },
        "import pk",
        "pk.lazy.X",
        3,
    ),
    "modules that import each other": (
        {
            "cy/__init__.py": "from . import a\n",
            "cy/a.py": "from . import b\ndef f(x):\n    return b.g(x)\n",
            "cy/b.py": "from . import a\ndef g(x):\n    return x + 3 if a else 0\n",
        },
        "import cy",
        "cy.a.f(x)",
        4,
    ),
    "a package that imports itself by its name": (
        {
            "whole/__init__.py": "from whole import core\n",
            "whole/core.py": "import whole.parts\ndef f(x):\n    return whole.parts.g(x)\n",
            "whole/parts.py": "import whole.core\ndef g(x):\n    return x + 4\n",
        },
        "import whole",
        "whole.core.f(x)",
        5,
    ),
    "objects that are pickled on the way": (
        {"pick.py": "import pickle\nclass A:\n    x = 6\ndef f():\n    return pickle.loads(pickle.dumps(A())).x\n"},
        "import pick",
        "pick.f()",
        6,
    ),
    "a module with the name of one of Python's": (
        {"statistics.py": "def mean(X):\n    return 99\n"},
        "import statistics",
        "statistics.mean([x])",
        99,
    ),
}


@pytest.mark.parametrize("where", ["inside of predict", "at the top"])
@pytest.mark.parametrize(("files", "imports", "answer", "expected"), ORDINARY.values(), ids=ORDINARY)
def test_ordinary_modules_travel(python, tmp_path, files, imports, answer, expected, where):
    if "pick" in imports:
        where = "inside of predict"  # a class that is in the model's own pickle is in no module that pickle could find
    for name, text in files.items():
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text(text)
    inside, top = (imports, "") if where == "inside of predict" else ("pass", imports)
    setup = f"{top}\n    class Model:\n        def predict(self, X):"
    setup += f"\n            {inside}\n            return [{answer} for x in X]"
    script = WHOLE.replace("{setup}", setup).replace("{model}", "Model()").replace("{example}", ", example=[1]")
    told = python(textwrap.dedent(script), tmp_path / "r", tmp_path / "src")
    assert python(FRESH, tmp_path / "r") == told == f"[{expected}]\n"


def test_a_class_of_a_package_that_imports_itself_travels(python, tmp_path):
    for name, text in {
        "mypkg/__init__.py": "from .core import Model\n",
        "mypkg/core.py": "import mypkg.utils\nclass Model:\n"
        "    def predict(self, X):\n        return [mypkg.utils.f(x) for x in X]\n",
        "mypkg/utils.py": "import mypkg.core\ndef f(x):\n    return x + 1\n",
    }.items():
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text(text)
    script = (
        WHOLE.replace("{setup}", "import mypkg")
        .replace("{model}", "mypkg.Model()")
        .replace("{example}", ", example=[1]")
    )
    told = python(textwrap.dedent(script), tmp_path / "r", tmp_path / "src")
    assert python(FRESH, tmp_path / "r") == told == "[2]\n"


def test_a_module_that_was_loaded_under_another_name_travels_under_that(registry, tmp_path, monkeypatch):
    import importlib.util

    (tmp_path / "odd.py").write_text("X = 7\n")
    spec = importlib.util.spec_from_file_location("named_otherwise", tmp_path / "odd.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "named_otherwise", module)

    def model(X):
        import named_otherwise

        return [named_otherwise.X for _ in X]

    registry.register(model, "M", example=[1])
    monkeypatch.delitem(sys.modules, "named_otherwise")
    assert registry.load("models:/M/1").predict([1]) == [7]


def test_an_object_that_a_loaded_model_has_made_belongs_to_its_class_when_it_is_registered_again(
    registry, tmp_path, monkeypatch
):
    (tmp_path / "keeping_helper.py").write_text("class Item:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Keeps:
        item = None

        def predict(self, X):
            import keeping_helper

            known, self.item = isinstance(self.item, keeping_helper.Item), self.item or keeping_helper.Item()
            return [known for _ in X]

    registry.register(Keeps(), "M")
    loaded = registry.load("models:/M/1")
    assert [loaded.predict([1]), loaded.predict([1])] == [[False], [True]]
    registry.register(loaded, "M")
    assert registry.load("models:/M/2").predict([1]) == [True]


def test_what_a_model_no_longer_needs_leaves_the_process(registry, tmp_path, monkeypatch):
    import gc

    (tmp_path / "leaving_helper.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def model(X):
        import leaving_helper

        return [leaving_helper.X for _ in X]

    def entered():
        return {name for name in sys.modules if name.startswith("_model_code_") and name.endswith(".leaving_helper")}

    registry.register(model, "M", example=[1])
    gc.collect()
    assert entered() == set()
    loaded = registry.load("models:/M/1")
    assert loaded.predict([1]) == [1]
    (name,) = entered()
    standing = sys.modules[name]
    assert standing.X == 1
    standing.X = 2
    assert loaded.predict([1]) == [2]
    del loaded
    gc.collect()
    assert entered() == set()
    with pytest.raises(AttributeError):
        standing.X


# -- a loaded model goes elsewhere ------------------------------------------------------------------------------------


class Threefold:
    factor = 3

    def predict(self, X):
        import copying_helper_here

        return [copying_helper_here.scale(self.factor * each) for each in X]


@pytest.fixture
def loaded(registry, tmp_path, monkeypatch):
    (tmp_path / "copying_helper_here.py").write_text("def scale(x):\n    return x + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "copying_helper_here", raising=False)
    registry.register(Threefold(), "M")
    (tmp_path / "copying_helper_here.py").unlink()
    return registry.load("models:/M/1")


def test_a_module_whose_file_is_gone_is_refused(registry, refused, loaded, monkeypatch):
    import types

    gone = types.ModuleType("copying_helper_here")
    gone.__spec__ = types.SimpleNamespace(origin="/nowhere/copying_helper_here.py", submodule_search_locations=None)
    monkeypatch.setitem(sys.modules, "copying_helper_here", gone)
    with refused(registry, Invalid, "it imports 'copying_helper_here', whose file is gone; put it back"):
        registry.register(Threefold(), "M")


def test_a_loaded_model_is_copied_and_pickled_with_its_own_code(loaded):
    import copy
    import pickle

    for twin in (copy.copy(loaded), copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert (twin.predict([1]), twin.version, twin.origin) == ([4], loaded.version, loaded.origin)
        assert twin.unwrap() is not loaded.unwrap()


def test_a_loaded_model_works_in_processes_that_were_spawned_and_forked(python, loaded, registry):
    script = """
        import multiprocessing, sys
        import registry_nb as rn

        def main():
            model = rn.Registry(sys.argv[1]).load("models:/M/1")
            for how in ("fork", "spawn"):
                with multiprocessing.get_context(how).Pool(1) as pool:
                    print(pool.apply(model.predict, ([1],)))

        main() if __name__ == "__main__" else None
    """
    assert python(script, registry.uri) == "[4]\n[4]\n"


# -- code_paths -------------------------------------------------------------------------------------------------------


def test_code_paths_travel_where_no_import_is_seen(python, tmp_path, project):
    script = """
        import sys
        sys.path.insert(0, sys.argv[2])
        import registry_nb.mlflow as mlflow
        import registry_nb as rn
        rn.set_registry(sys.argv[1])

        class Model:
            def predict(self, X):
                helper, inner = __import__("help" + "er"), __import__("pa" + "ck.inner.three", fromlist=["BY"])
                return [helper.scale(x) + inner.BY for x in X]

        paths = [f"{sys.argv[2]}/helper.py", f"{sys.argv[2]}/pack"]
        mlflow.pyfunc.log_model("m", python_model=Model(), code_paths=paths, registered_model_name="M")
    """
    python(script, tmp_path / "r", project)
    assert python(LOAD, tmp_path / "r", 1) == "[43, 46]\n"


def test_a_folder_that_is_no_package_is_found_by_its_own_name_and_by_the_names_in_it(registry, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "inside.py").write_text("X = 5\n")

    def model(X):
        return [__import__("inside").X, __import__("src.inside", fromlist=["X"]).X]

    registry.register(model, "M", code_paths=[tmp_path / "src"])
    assert registry.load("models:/M/1").predict([0]) == [5, 5]


def test_what_is_no_code_in_code_paths_is_told_or_refused(registry, refused, tmp_path, constant):
    (tmp_path / "data").mkdir()
    with refused(registry, Invalid, "code_paths= takes Python files and folders of them", "has no .py file"):
        registry.register(constant(1), "M", code_paths=[tmp_path / "data"])
    with refused(registry, Invalid, "is neither"):
        registry.register(constant(1), "M", code_paths=str(tmp_path / "nowhere.py"))
    (tmp_path / "data" / "a.py").write_text("")
    (tmp_path / "data" / "table.csv").write_text("1")
    with pytest.warns(RegistryWarning, match="of 'data' only Python files are kept with the model, and not table.csv"):
        registry.register(constant(1), "M", code_paths=[tmp_path / "data"])


def test_a_format_that_runs_no_code_says_that_it_leaves_it_out(registry, tmp_path, flowers):
    pytest.importorskip("xgboost")
    from xgboost import XGBClassifier

    (tmp_path / "a.py").write_text("")
    model = XGBClassifier(n_estimators=1).fit(*flowers)
    with pytest.warns(RegistryWarning, match="code_paths= is left out: XGBClassifier is saved in its library's format"):
        registry.register(model, "M", code_paths=[tmp_path / "a.py"])


# -- the importer -----------------------------------------------------------------------------------------------------


def test_a_module_that_fails_while_it_runs_is_tried_again():
    importer = Importer(Code({"once.py": "import sys\nif not hasattr(sys, '_twice'):\n    raise OSError\nX = 1\n"}))
    with pytest.raises(OSError):
        importer.imported("once")
    sys._twice = True
    try:
        assert importer.imported("once").X == 1
    finally:
        del sys._twice


def test_what_there_is_not_among_the_code_is_not_found():
    importer = Importer(Code({"pack/__init__.py": "", "pack/a.py": "X = 1\n", "space/b.py": "Y = 2\n"}))
    with pytest.raises(ModuleNotFoundError, match=r"pack\.missing"):
        importer.imported("pack.missing")
    assert importer.imported("space.b", fromlist=["Y"]).Y == 2
    assert importer.imported("json").dumps([1]) == "[1]"


def test_a_traceback_shows_the_lines_of_the_code_that_travels():
    import traceback

    importer = Importer(Code({"broken.py": "def fail():\n    raise ValueError('here it is')\n"}))
    try:
        importer.imported("broken").fail()
    except ValueError:
        assert "raise ValueError('here it is')" in traceback.format_exc()
    assert importer.get_source("nothing") is None


def test_sources_that_do_not_read_as_python_travel_as_they_are(registry, tmp_path):
    (tmp_path / "bad.py").write_text("this is no Python\n")
    registry.register(lambda X: X, "M", code_paths=[tmp_path / "bad.py"])
    assert registry.load("models:/M/1").predict([1]) == [1]
    assert rn.Registry(registry.uri).version("M").files[0].path == "code/bad.py"
