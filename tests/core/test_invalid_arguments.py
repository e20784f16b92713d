"""What nobody should ask for, what it gets, and that nothing changed."""

import pytest

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.errors import (
    AliasNotFound,
    AlreadyExists,
    BadName,
    BadURI,
    BadValue,
    BadVersion,
    HoldsStage,
    ModelNotFound,
    NoFlavor,
    NotSerializable,
    RunNotFound,
    StageEmpty,
    UnknownStage,
    VersionNotFound,
)

BAD_NAMES = {
    "": "it is empty",
    "   ": "it is empty",
    "x" * 256: "it has 256 characters; at most 255 are allowed",
    "a/b": "/ is not allowed",
    "a\\b": "\\ is not allowed",
    "a:b": ": is not allowed",
    "a@b": "@ is not allowed",
    "a?b": "? is not allowed",
    "a#b": "# is not allowed",
    "a%20b": "% is not allowed",
    "a\0b": "invisible character ('\\x00')",
    "a\nb": "invisible character ('\\n')",
    "a\x7fb": "invisible character",
    "a\u202eb": "invisible character ('\\u202e')",
    "a\u200bb": "invisible character ('\\u200b')",
    "a\u2028b": "invisible character",
    "a\u3164b": "invisible character",
    "a\ud800b": "invisible character ('\\ud800')",
    " a": "begins or ends with white space",
    "a\u00a0": "begins or ends with white space",
    ".": "it means a folder",
    "..": "it means a folder",
}


@pytest.mark.parametrize(("name", "reason"), BAD_NAMES.items(), ids=map(ascii, BAD_NAMES))
def test_a_name_that_breaks_a_rule_is_refused_everywhere(iris, refused, constant, name, reason):
    makers = [
        lambda: iris.register(constant(1), name),
        lambda: iris.create_model(name),
        lambda: iris.rename("Iris", name),
        lambda: iris.copy("models:/Iris/1", name),
        lambda: iris.promote(name, 1),
        lambda: iris.model(name),
        lambda: iris.history(name),
        lambda: iris.delete(name),
    ]
    for call in makers:
        with refused(iris, BadName, reason, "cannot be the name of a model") as caught:
            call()
        assert caught.value.given == name


@pytest.mark.parametrize("name", [None, 7, b"Iris", ["Iris"]])
def test_a_name_that_is_no_text_is_refused(iris, refused, constant, name):
    for call in (lambda: iris.register(constant(1), name), lambda: iris.version(name, 1), lambda: iris.model(name)):
        with refused(iris, BadName, "a name must be text"):
            call()


@pytest.mark.parametrize(
    "name", ["Iris 🌸", "CON", "nul.txt", "COM1", "x" * 255, "a b", "...", "-rf", "Ünïcode", "模型"]
)
def test_names_that_only_a_file_system_would_mind_are_names(registry, constant, name):
    registry.register(constant(5), name)
    assert registry.load(f"models:/{name}/1").predict([0]) == [5]
    assert [model.name for model in registry.models()] == [name]


def test_a_device_name_never_becomes_a_path(registry, constant, tmp_path):
    for name in ("CON", "..."):
        registry.register(constant(name), name)
    everything = {path.name for path in (tmp_path / "registry").rglob("*")}
    assert not {name for name in everything if "CON" in name or "..." in name}


@pytest.mark.parametrize("given", [0, -1, "0", "-1", "1.0", 1.0, True, False, "١", "1_0", "+1", 2**60, None, (1,)])
def test_what_is_no_version_number_is_refused(iris, refused, given):
    calls = [
        lambda: iris.version("Iris", given),
        lambda: iris.promote("Iris", given),
        lambda: iris.transition("Iris", given, "Staging"),
        lambda: iris.archive("Iris", given),
        lambda: iris.alias("Iris", "champion", given),
    ]
    if given is not None:
        calls += [lambda: iris.delete("Iris", version=given), lambda: iris.rollback("Iris", to=given)]
    for call in calls:
        with refused(iris, BadVersion, "is not a version number; versions are whole numbers from 1"):
            call()


def test_the_last_version_number_is_as_good_as_any_and_the_next_is_not_given_out(iris, refused, constant):
    last, saved = 2**53 - 1, iris.version("Iris", 3).saved
    with iris.store.transaction() as tx:
        model = tx.model("Iris", latest=False)
        tx.apply(lifecycle.registered(model, last, "Iris", saved, iris.stamp()))
    assert iris.promote("Iris", last).version == iris.version("Iris", "Production").version == last
    assert iris.load(f"models:/Iris/{last}", trust=saved.digest).version.version == last
    iris.alias("Iris", "champion", str(last))
    for call in (lambda: iris.register(constant(5), "Iris"), lambda: iris.copy("models:/Iris/3", "Iris")):
        with refused(iris, rn.Refused, f"'Iris' has used its last version number, {last}; register under another"):
            call()
    with refused(iris, BadVersion, f"versions are whole numbers from 1 to {last}"):
        iris.version("Iris", last + 1)
    assert iris.check().ok


def test_an_unknown_stage_offers_the_one_that_was_meant(iris, refused):
    sentence = "'Prod' is not a stage; did you mean 'Production'? (stages: None, Staging, Production, Archived)"
    for call in (
        lambda: iris.promote("Iris", 3, "Prod"),
        lambda: iris.transition("Iris", 3, "Prod"),
        lambda: iris.rollback("Iris", stage="Prod"),
        lambda: iris.version("Iris", "Prod"),
        lambda: iris.load("models:/Iris/Prod"),
    ):
        with refused(iris, UnknownStage) as caught:
            call()
        assert str(caught.value) == sentence
        assert isinstance(caught.value, (ValueError, rn.Invalid))
    with refused(iris, UnknownStage, "'xyz' is not a stage (stages:"):
        iris.promote("Iris", 3, "xyz")


@pytest.mark.parametrize("stage", ["None", "Archived", rn.Stage.ARCHIVED])
def test_nobody_is_promoted_or_rolled_back_out_of_service(iris, refused, stage):
    for call in (
        lambda: iris.promote("Iris", 3, stage),
        lambda: iris.rollback("Iris", stage=stage),
        lambda: iris.transition("Iris", 3, stage, archive_existing=True),
    ):
        with refused(iris, rn.Invalid, "to Staging or Production, not to"):
            call()


def test_a_model_that_is_not_there_is_named_with_those_that_are(iris, refused):
    for call in (
        lambda: iris.model("Irsi"),
        lambda: iris.version("Irsi", 1),
        lambda: iris.versions("Irsi"),
        lambda: iris.history("Irsi"),
        lambda: iris.promote("Irsi", 1),
        lambda: iris.transition("Irsi", 1, "Staging"),
        lambda: iris.archive("Irsi", 1),
        lambda: iris.rollback("Irsi"),
        lambda: iris.describe("Irsi", "x"),
        lambda: iris.tag("Irsi", {}),
        lambda: iris.untag("Irsi", "x"),
        lambda: iris.alias("Irsi", "champion", 1),
        lambda: iris.unalias("Irsi", "champion"),
        lambda: iris.rename("Irsi", "New"),
        lambda: iris.delete("Irsi"),
        lambda: iris.copy("models:/Irsi/1", "New"),
        lambda: iris.load("models:/Irsi/Production"),
    ):
        with refused(iris, ModelNotFound, "did you mean 'Iris'? (models: Iris; registry: ") as caught:
            call()
        assert isinstance(caught.value, LookupError)
        assert caught.value.code == "RESOURCE_DOES_NOT_EXIST"


def test_an_empty_registry_says_that_it_is_empty(registry, refused):
    with refused(registry, ModelNotFound, "the registry has no models yet"):
        registry.model("Iris")


def test_a_version_stage_or_alias_that_is_not_there_says_what_is(iris, refused):
    for which, kind, part in [
        (4, VersionNotFound, "has no version 4; the newest is 3"),
        ("Staging", StageEmpty, "no version of 'Iris' is in Staging; move one there with promote('Iris', <version>"),
        ("@champ", AliasNotFound, "has no alias 'champ' (it has no aliases yet)"),
    ]:
        for call in (iris.version, iris.promote):
            with refused(iris, kind, part):
                call("Iris", which)
    iris.alias("Iris", "champion", 1)
    with refused(iris, AliasNotFound, "did you mean 'champion'? (aliases: champion)"):
        iris.unalias("Iris", "champ")
    iris.create_model("Empty")
    with refused(iris, VersionNotFound, "model 'Empty' has no version latest; it has no versions"):
        iris.version("Empty")


def test_a_run_that_is_not_there_is_not_found(iris, refused):
    for call in (lambda: iris.run("nope"), lambda: iris.load("runs:/nope/model"), lambda: iris.copy("runs:/a/b", "X")):
        with refused(iris, RunNotFound, "there is no run"):
            call()


@pytest.mark.parametrize(
    ("uri", "kind", "part"),
    [
        ("models:/", BadURI, "its version is missing"),
        ("models:/X", BadURI, "its version is missing; add /Production, /3, /latest or @alias"),
        ("models:/X/", BadURI, "its name or its version is empty"),
        ("models://X/1", BadURI, "there must be one slash after models:"),
        ("models:/X/1/2", BadURI, "too many slashes"),
        ("models:/X/Prod", UnknownStage, "did you mean 'Production'?"),
        ("models:/X/0", BadVersion, "not a version number"),
        ("models:/X@", BadName, "cannot be an alias"),
        ("models:/X@latest", BadName, "reserved"),
        ("models:/@champion", BadURI, "its name or its version is empty"),
        ("models:/My%20Model/1", BadName, "% is not allowed"),
        ("MyModel/Production", BadURI, "did you mean 'models:/MyModel/Production'?"),
        ("MyModel@champion", BadURI, "did you mean 'models:/MyModel@champion'?"),
        ("/home/me/model.pkl", BadURI, "it does not begin with models:/ or runs:/"),
        ("./model/1", BadURI, "it does not begin with"),
        ("C:\\models\\x", BadURI, "it does not begin with"),
        ("s3://bucket/model", BadURI, "it does not begin with"),
        ("runs:/", BadURI, "it must name a run and the path of a model"),
        ("runs:/abc", BadURI, "it must name a run"),
        ("runs:/abc//", BadURI, "it must name a run"),
        ("", BadURI, "it does not begin with"),
        (None, BadURI, "it must be text"),
        (7, BadURI, "it must be text"),
    ],
)
def test_what_is_no_model_uri_is_refused_with_the_one_that_was_meant(iris, refused, uri, kind, part):
    for call in (lambda: iris.load(uri), lambda: iris.copy(uri, "New")):
        with refused(iris, kind, part):
            call()


@pytest.mark.parametrize(
    ("tags", "kind", "part"),
    [
        ({"": "x"}, BadName, "it must have 1 to 250 characters"),
        ({"  ": "x"}, BadName, "it must have 1 to 250 characters"),
        ({"k" * 251: "x"}, BadName, "it must have 1 to 250 characters"),
        ({7: "x"}, BadName, "it must be text"),
        ({"a\nb": "x"}, BadName, "control character"),
        ({"k": "x" * 100_001}, BadValue, "the value of tag 'k' has 100,001 characters; at most 100,000 are allowed"),
        ({"k": "\ud800"}, BadValue, "half a character"),
        ({str(n): "" for n in range(257)}, BadValue, "more than 256 tags"),
        ([("k", "x")], BadValue, "tags must be a mapping of name to value, not list"),
    ],
)
def test_tags_that_break_a_limit_are_refused_and_never_cut(iris, refused, constant, tags, kind, part):
    for call in (
        lambda: iris.tag("Iris", tags),
        lambda: iris.tag("Iris", tags, version=1),
        lambda: iris.register(constant(1), "Iris", tags=tags),
        lambda: iris.create_model("New", tags=tags),
    ):
        with refused(iris, kind, part):
            call()


def test_the_limit_of_tags_counts_those_that_are_there_already(iris, refused):
    iris.tag("Iris", {str(n): "" for n in range(256)})
    assert iris.tag("Iris", {"0": "changed"}).tags["0"] == "changed"
    with refused(iris, BadValue, "more than 256 tags"):
        iris.tag("Iris", {"one more": ""})


def test_a_tag_that_is_no_text_becomes_its_text(iris):
    assert iris.tag("Iris", {"n": 3, "yes": True, "none": None}).tags == {"n": "3", "yes": "True", "none": "None"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x" * 5_000_000, "a description has 5,000,000 characters; at most 100,000 are allowed"),
        (7, "a description must be text, not int"),
        ("\udfff", "half a character"),
    ],
)
def test_a_description_that_is_too_long_or_no_text_is_refused(iris, refused, constant, text, part):
    for call in (
        lambda: iris.describe("Iris", text),
        lambda: iris.describe("Iris", text, version=1),
        lambda: iris.register(constant(1), "Iris", description=text),
        lambda: iris.create_model("New", description=text),
    ):
        with refused(iris, BadValue, part):
            call()


def test_a_reason_obeys_the_same_limit(iris, refused):
    with refused(iris, BadValue, "a reason has 100,001 characters"):
        iris.promote("Iris", 3, because="x" * 100_001)


@pytest.mark.parametrize(
    ("facts", "kind", "part"),
    [
        ({"metrics": {"a": "0.9"}}, BadValue, "metric 'a' must be a number, not str"),
        ({"metrics": {"a": None}}, BadValue, "metric 'a' must be a number, not NoneType"),
        ({"metrics": {"a": [1, 2]}}, BadValue, "metric 'a' must be a number, not list"),
        ({"metrics": {"a": 10**400}}, BadValue, "metric 'a' must be a number"),
        ({"metrics": {"": 1}}, BadName, "the name of a metric"),
        ({"params": {"p": "x" * 100_001}}, BadValue, "the value of parameter 'p'"),
        ({"params": {"p": 1 << 1024}}, BadValue, "parameter 'p' is too large a number"),
        ({"params": 3}, BadValue, "params must be a mapping"),
        ({"aliases": ["latest"]}, BadName, "reserved"),
        ({"aliases": ["v12"]}, BadName, "reserved"),
        ({"aliases": "production"}, BadName, "reserved"),
        ({"aliases": ["a b"]}, BadName, "letters, digits"),
        ({"aliases": [3]}, BadName, "letters, digits"),
        ({"run_id": 3}, BadValue, "a run_id must be text, not int"),
        ({"requirements": "numpy"}, rn.Invalid, "not one text"),
        ({"requirements": [3]}, BadValue, "a requirement must be text"),
        ({"signature": "x"}, rn.Invalid, "a signature is what infer_signature returns, not str"),
        ({"flavor": "sklaern"}, rn.Invalid, "did you mean 'sklearn'?"),
        ({"flavor": "sklearn"}, NoFlavor, "flavor 'sklearn' does not know it"),
    ],
)
def test_facts_that_cannot_be_kept_register_nothing(iris, refused, constant, facts, kind, part):
    with refused(iris, kind, part):
        iris.register(constant(1), "Iris", **facts)


class Classy:
    def predict(self, X):
        return X


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (object(), "an object of type object cannot be registered: it has no predict(X) and cannot be called"),
        (None, "an object of type NoneType cannot be registered"),
        ("model.pkl", "an object of type str"),
        (Classy, "the class Classy cannot be registered: it is a class; register an instance of it"),
    ],
)
def test_what_cannot_predict_is_not_registered(iris, refused, model, part):
    with refused(iris, NoFlavor, part):
        iris.register(model, "Iris")


def test_a_model_that_cannot_be_pickled_names_the_attribute_that_fails(iris, refused, tmp_path):
    model = Classy()
    with open(tmp_path / "log", "w") as log:
        model.steps = [{"log": log}]
        with refused(iris, NotSerializable, "Classy.steps[0]['log'] cannot be pickled", "__getstate__"):
            iris.register(model, "Iris")


def test_an_example_that_the_model_cannot_take_is_refused(iris, refused):
    with refused(iris, rn.Invalid, "cannot predict its own example (KeyError: 'x')"):
        iris.register(lambda X: X["x"], "Iris", example={"y": [1]})


@pytest.mark.parametrize("limit", [-1, 1.5, "3", True])
def test_a_limit_that_is_no_whole_number_is_refused(iris, refused, limit):
    for call in (iris.models, iris.versions, iris.history, iris.runs):
        with refused(iris, rn.Invalid, "limit must be a whole number from 0"):
            call(limit=limit)


@pytest.mark.parametrize("when", ["some day", 7, "2026-13-01", "9999-12-31T23:59:59-12:00", ""])
def test_a_moment_that_is_none_is_refused(iris, refused, when):
    with refused(iris, rn.Invalid, "since", "; write it like '2026-01-31T09:00'"):
        iris.history(since=when)
    with refused(iris, rn.Invalid, "until", "; write it like '2026-01-31T09:00'"):
        iris.history(until=when)


def test_a_taken_name_is_refused(iris, refused):
    iris.create_model("Other")
    with refused(iris, AlreadyExists, "a registered model 'Iris' already exists"):
        iris.create_model("Iris")
    with refused(iris, AlreadyExists, "'Other' already exists; choose another name"):
        iris.rename("Iris", "Other")


def test_a_version_in_service_is_not_deleted(iris, refused):
    iris.promote("Iris", 3, "Staging")
    for call in (
        lambda: iris.delete("Iris", version=2),
        lambda: iris.delete("Iris", version="Staging"),
        lambda: iris.delete("Iris"),
    ):
        with refused(iris, HoldsStage, "so it is not deleted; archive('Iris',"):
            call()


def test_load_verifies_behaviour_and_trusts_digests_and_nothing_else(iris, refused):
    for how in ({"verify": False}, {"trust": ["x"]}):
        with refused(iris, rn.Invalid, "digest"):
            iris.load("models:/Iris/1", **how)
