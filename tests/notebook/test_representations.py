"""Whatever the package returns shows itself: in any notebook, in the plain REPL and in print, without the extension."""

import importlib
import inspect
import pickle
import pkgutil
import re

import pytest
from IPython.core.interactiveshell import InteractiveShell

import registry_nb as rn
from registry_nb import rules
from registry_nb.display import render
from registry_nb.showing import Shown

#: What a public method returns and does not show itself this way: text, widgets and pictures, the engine room.
OTHERWISE = {"Store", "Artifacts", "Transaction", "Picture", "RegistryPanel", "Stamp"}
#: The packages below the doors.
CORE = ("domain", "operations", "operations.shadow", "packaging", "provenance", "schema", "trust")


def classes():
    """The classes of the core, by name."""
    found = {}
    for module in pkgutil.walk_packages(rn.__path__, "registry_nb."):
        if not re.search(r"\.(__main__|mlflow|testing|flavors)\b", module.name):
            loaded = importlib.import_module(module.name)
            found |= {name: one for name, one in vars(loaded).items() if inspect.isclass(one)}
    return {name: one for name, one in found.items() if one.__module__.startswith("registry_nb.")}


def returned(kind, known):
    """The classes of what the public methods, properties and fields of a class give."""
    told = list(inspect.get_annotations(kind).items())
    for name, member in inspect.getmembers(kind):
        member = getattr(member, "fget", getattr(member, "func", member))
        told.append((name, getattr(member, "__annotations__", {}).get("return", "")))
    words = {word for name, text in told if name[0] != "_" for word in re.findall(r"\w+", str(text))}
    return {known[word] for word in words if word in known}


def public():
    known = classes()
    functions = (getattr(rn, name) for name in rn.__all__ if inspect.isfunction(getattr(rn, name)))
    told = " ".join(str(one.__annotations__.get("return", "")) for one in functions)
    new = {rn.Registry, *(known[word] for word in re.findall(r"\w+", told) if word in known)}
    found = set()
    while new:
        found |= new
        new = {each for one in new if one.__name__ not in OTHERWISE for each in returned(one, known)} - found
    return sorted(found, key=lambda one: one.__name__)


def test_whatever_a_public_method_returns_shows_itself():
    found = public()
    assert {"ModelVersion", "Stint", "Diff", "Comparison", "Following", "TrustedRegistry"} <= {
        one.__name__ for one in found
    }
    plain = (str, dict, tuple, Exception)
    left = [one for one in found if one.__name__ not in OTHERWISE and not issubclass(one, (*plain, Shown))]
    assert {one.__name__ for one in left} <= {"Incumbent", "Stamp"}, "words of a rule and of a context"


def every_subclass(kind):
    return [each for one in kind.__subclasses__() for each in (one, *every_subclass(one))]


def test_ipython_would_stop_at_a_repr_of_a_class_s_own():
    classes()
    assert [one for one in every_subclass(Shown) if "__repr__" in vars(one)] == []


@pytest.fixture
def bare(notebook):
    """A notebook without the extension."""
    notebook.shell.run_line_magic("unload_ext", "registry_nb")
    return notebook


@pytest.fixture
def things(notebook):
    """One of each, with names that must not become markup."""
    registry, model, X = notebook.registry, notebook.shell.user_ns["model"], notebook.shell.user_ns["X"]
    tags = {"<b>": "\x1b[31m\u202e</table>"}
    for accuracy in (0.91, 0.92):
        registry.register(model, "Iris & <i>", example=X, metrics={"accuracy": accuracy}, tags=tags, because="<u>")
    name = "Iris & <i>"
    registry.promote(name, 1, because="<s>first")
    registry.policy(name, require=['metric("accuracy") >= incumbent', "approved_by(1)"])
    with rn.start_run() as run:
        tracked = run
    loaded = registry.load(f"models:/{name}/1", verify="behaviour")
    version, comparison = registry.version(name, 2), registry.shadow(name, 1, 2, X, [0, 2])
    listings = [
        registry.versions(name), registry.models(), registry.history(name), registry.timeline(name), registry.runs(),
        registry.policy(name), registry.diff(f"models:/{name}/1", f"models:/{name}/2"), comparison.figures,
        comparison.tests, rn.Listing([registry.request(name, 2, because="<p>")]), registry.inbox(),
        rn.Listing([registry.trust_all(because="<q>")]), rn.trusted_registries(),
    ]  # fmt: skip
    evaluation = registry.evaluate(name, 2)
    return [
        *listings, *(listing[0] for listing in listings), version, registry.model(name), comparison, loaded,
        loaded.behaviour, registry.inspect(f"models:/{name}/1"), registry.check(), registry, registry.at("now"),
        evaluation, evaluation.rows[0], version.signature, version.files[0], version.seals[0], version.saved, tracked,
        registry.follow(f"models:/{name}/Production"), rn.Listing([]), rn.Listing([1]), rn.Signature(),
        registry.diff(version, version), *version.signature.inputs,
    ]  # fmt: skip


def test_each_shows_itself_in_a_line_as_a_text_and_as_html(things):
    disguised = re.compile("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]")
    for one in things:
        line, plain, page = repr(one), str(one), one._repr_html_()
        assert page == render.html(one)
        assert not re.search(r"<(b|i|u|s|p|q)>(?!<|[^<]*</(b|p)>)|</table>\w", page.partition("</style>")[2])
        for told in (line, plain, page):
            assert not disguised.search(told), type(one)
            assert "object at 0x" not in told
            assert "datetime.datetime(" not in told
            assert "dtype=" not in told or isinstance(one, tuple(type(spec) for spec in things[-1:])), told
        if not isinstance(one, rn.Listing):
            assert "\n" not in line
            assert len(line) < 700


def test_without_the_extension_a_notebook_shows_what_it_shows_with_it(things, notebook):
    shell = notebook.shell
    shell.run_line_magic("load_ext", "registry_nb")
    with_it = [notebook.shown(one) for one in things]
    shell.run_line_magic("unload_ext", "registry_nb")
    for one, before in zip(things, with_it, strict=True):
        now = notebook.shown(one)
        assert {mime for mime in {*now, *before} if now.get(mime) != before.get(mime)} == set(), type(one)


def test_the_plain_repl_and_print_show_the_table_of_a_listing(things):
    versions = things[0]
    assert repr(versions).splitlines()[0] == "2 versions of Iris & <i>"
    assert repr(versions) == str(versions) == render.text(versions)
    assert len({line.index("Iris") for line in repr(versions.__class__(things[1])).splitlines()[2:]}) == 1
    assert repr(rn.Listing([])) == "Listing([])"
    assert repr(rn.Listing([1])) == "Listing([1])"


def test_within_a_list_a_record_is_a_line(things, bare):
    version = next(one for one in things if isinstance(one, rn.ModelVersion))
    assert bare.shown([version])["text/plain"] == f"[{version!r}]"
    bare.shell.run_line_magic("load_ext", "registry_nb")
    assert bare.shown([version])["text/plain"] == f"[{version!r}]"


def test_settings_change_what_is_shown_and_unloaded_no_longer(things, notebook):
    versions = things[0]
    notebook.shell.run_line_magic("load_ext", "registry_nb")
    notebook.run("%config RegistryMagics.display = 'text'")
    assert "text/html" not in notebook.shown(versions)
    notebook.shell.run_line_magic("unload_ext", "registry_nb")
    assert "text/html" in notebook.shown(versions)


def test_models_that_differ_in_nothing_are_said_to(notebook):
    registry = notebook.registry
    version = registry.register(notebook.shell.user_ns["model"], "Iris")
    found = registry.diff(version, version)
    for told in (found._repr_html_(), render.text(found)):
        assert "models:/Iris/1 and models:/Iris/1 differ in nothing that is known" in told


def test_the_past_says_of_when_it_is(notebook):
    registry = notebook.registry
    registry.create_model("Iris")
    assert "as of" in str(registry.at("now"))
    assert "as of" not in str(registry)


def test_a_handle_that_was_closed_says_so(notebook):
    notebook.registry.register(notebook.shell.user_ns["model"], "Iris")
    with notebook.registry.follow("models:/Iris/latest") as serving:
        assert "version 1" in str(serving)
    assert "it was closed" in str(serving)


def test_words_of_rules_are_shown_as_they_are_written():
    assert repr(rules.metric("accuracy")) == 'metric("accuracy")'
    assert repr(rules.metric("accuracy") >= rules.incumbent - 0.5) == 'metric("accuracy") >= incumbent - 0.5'
    assert [repr(rules.incumbent + 1), str(rules.incumbent)] == ["incumbent + 1.0", "incumbent"]


def test_a_record_still_pickles(things):
    for one in things:
        if isinstance(one, (rn.ModelVersion, rn.RegisteredModel, rn.Event, rn.Run, rn.Signature, rn.Report)):
            assert pickle.loads(pickle.dumps(one)) == one


def test_nothing_is_loaded_for_a_record_that_nobody_looks_at(python):
    told = python(
        """
        import sys
        import registry_nb as rn
        from datetime import UTC, datetime
        now = datetime.now(UTC)
        version = rn.ModelVersion(name="Iris", version=1, created_at=now, updated_at=now)
        repr(version)
        heavy = {"registry_nb.notebook", "registry_nb.display.render", "IPython", "pandas", "numpy", "ipywidgets"}
        print("before", sorted(heavy & set(sys.modules)))
        version._repr_html_(), str(rn.Listing([version]))
        print("after", sorted(heavy & set(sys.modules)))
        """,
    )
    assert "before []" in told
    assert "after ['registry_nb.display.render']" in told


def test_the_shell_need_not_know_the_extension(things):
    shell = InteractiveShell()
    assert shell.display_formatter.format(things[0])[0] == {
        "text/plain": render.text(things[0]), "text/html": render.html(things[0]),
    }  # fmt: skip
