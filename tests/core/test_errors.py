"""One tree; facts in, one sentence out; and what a sentence shows cannot disguise it."""

import pickle

import pytest

from registry_nb import errors
from registry_nb.domain import records
from registry_nb.errors import (
    BadFilter,
    CommitUncertain,
    Conflict,
    Corrupted,
    EnvironmentMismatch,
    LibraryMissing,
    LockTimeout,
    ModelNotFound,
    NewerFormat,
    NothingToRollBack,
    RegistryError,
    RunNotFound,
    SignatureMismatch,
    StorageError,
    Untrusted,
    close,
    listed,
    shown,
)


def every(kind=RegistryError):
    yield kind
    for child in kind.__subclasses__():
        yield from every(child)


@pytest.mark.parametrize(
    ("name", "builtin", "code"),
    [
        ("NotFound", LookupError, "RESOURCE_DOES_NOT_EXIST"),
        ("Invalid", ValueError, "INVALID_PARAMETER_VALUE"),
        ("Refused", Exception, "INVALID_STATE"),
        ("AlreadyExists", Exception, "RESOURCE_ALREADY_EXISTS"),
        ("Conflict", Exception, "RESOURCE_CONFLICT"),
        ("Corrupted", Exception, "DATA_LOSS"),
        ("Untrusted", Exception, "PERMISSION_DENIED"),
        ("LibraryMissing", ImportError, "LIBRARY_MISSING"),
        ("StorageError", OSError, "TEMPORARILY_UNAVAILABLE"),
        ("LockTimeout", TimeoutError, "TEMPORARILY_UNAVAILABLE"),
    ],
)
def test_each_kind_is_the_builtin_that_one_would_catch(name, builtin, code):
    kind = getattr(errors, name)
    assert issubclass(kind, RegistryError)
    assert issubclass(kind, builtin)
    assert kind.code == code
    assert kind("said by hand").error_code == code


SENTENCES = [
    (RunNotFound(run_id="r", path="m", paths=("model",)), "run 'r' logged no model as 'm'"),
    (RunNotFound(run_id="r", path="modl", paths=("model",)), "did you mean 'model'? (models of the run: model)"),
    (RunNotFound(run_id="r", path="m", paths=()), "(it logged no model)"),
    (NothingToRollBack(name="M", stage="Production", to=None, holder=None, earlier=(3, 2)),
     "'M' cannot be rolled back in Production: nothing holds it now, and before it came 3, 2"),
    (Conflict(name="M", stage="Staging", expected=0, found=(1, 2)), "held by nobody, but 1, 2 holds it now"),
    (Corrupted(path="p", position=7, reason="why", remedy="what to do"), "p is damaged at byte 7: why; what to do"),
    (Corrupted(path="p", position=None, reason="why", remedy="what to do"), "p is damaged: why; what to do"),
    (LibraryMissing(library="xgboost", remedy="pip install xgboost", name="xgboost"),
     "this model needs 'xgboost', which is not installed here; pip install xgboost"),
    (LockTimeout(path="p", seconds=30.0), "another process has been writing to p for 30 s; try again"),
    (CommitUncertain(path="p", reason="EIO"), "the disk did not confirm it (EIO); look whether it is there"),
    (NewerFormat(path="p", found=2, known=1), "p has format 2, and this registry_nb knows formats up to 1; upgrade"),
    (BadFilter(filter="a", position=1, reason="expected more"), "at position 1, at its end: expected more"),
    (ModelNotFound(name="B", models=tuple("acdefghijk")), "(models: a, c, d, e, f, g, h, i, and 2 more)"),
    (Untrusted(what="this model", reason="why", remedy="what to do"), "this model was not loaded: why; what to do"),
    (SignatureMismatch(problems=("'a' is missing", "'b' is text")), "signature: 'a' is missing, 'b' is text"),
    (EnvironmentMismatch(what="models:/M/1", written="3.10.1", running="3.11.7"),
     "models:/M/1 carries code that Python 3.10.1 compiled, and this is Python 3.11.7"),
    (RegistryError(), "RegistryError"),
    (StorageError("the disk is full", path="p"), "the disk is full"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "part"), SENTENCES, ids=lambda value: type(value).__name__)
def test_the_class_writes_the_sentence_from_the_facts(error, part):
    assert part in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("error", [error for error, _ in SENTENCES], ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_its_facts(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_fact_is_an_attribute_also_where_the_builtin_has_one_of_that_name():
    error = LibraryMissing(library="xgboost.core", remedy="x", name="xgboost")
    assert (error.name, error.library) == ("xgboost", "xgboost.core")
    assert pickle.loads(pickle.dumps(error)).name == "xgboost"


def test_every_error_says_what_it_is():
    kinds = list(every())
    assert len(kinds) > 20
    assert all(kind.__doc__ for kind in kinds)
    assert all(kind.code.isupper() for kind in kinds)


def test_a_close_match_ignores_case_and_stays_silent_when_nothing_is_close():
    assert close("IRIS", ["iris", "rose"]) == "; did you mean 'iris'?"
    assert close("zzz", ["iris"]) == ""
    assert close("x", []) == ""


def test_lists_are_counted_and_texts_escaped_and_cut():
    assert listed("abc", most=2) == "a, b, and 1 more"
    assert listed([]) == ""
    assert shown("a\u202eb") == "'a\\u202eb'"
    assert shown("ä") == "'ä'"
    assert shown("x" * 200) == "'" + "x" * 79 + "…"
    assert shown(None) == "None"


def test_what_is_invisible_is_escaped_and_the_rest_stays_readable():
    assert errors.printable("Ä\u202eb\u3164\n") == r"Ä\u202eb\u3164\n"
    assert errors.printable("a\nb\u200b", keep="\n") == "a\nb\\u200b"
    assert errors.printable("👩\u200d🔬") == "👩\u200d🔬", "a joiner that makes one emoji of two"
    assert listed(["a\u202eb", "Ä"]) == r"a\u202eb, Ä"


def test_the_repr_of_an_object_cannot_disguise_the_sentence():
    class Hostile:
        def __repr__(self):
            return "a\u202eb"

    assert shown(Hostile()) == r"a\u202eb"


@pytest.mark.parametrize("name", ["Event", "Frozen", "ModelVersion", "Run", "RunStatus", "SavedModel", "Stage"])
def test_pickles_that_name_a_record_by_its_old_paths_open(name):
    for module in ("registry_nb.records", "registry_nb.domain.records"):
        assert pickle.loads(f"c{module}\n{name}\n.".encode()) is getattr(records, name)


def test_tracebacks_and_pickles_name_errors_by_their_public_path():
    assert {kind.__module__ for kind in every() if hasattr(errors, kind.__name__)} == {"registry_nb.errors"}
    assert b"registry_nb.errors." not in pickle.dumps(ModelNotFound(name="B", models=()))


def test_what_cannot_tell_what_it_is_is_shown_by_its_class():
    class Untold:
        def __repr__(self):
            raise RuntimeError("no text")

    assert errors.shown(Untold()) == "<Untold>"
