"""Every change that a panel makes, and every one that it refuses."""

from types import SimpleNamespace

import pytest

import registry_nb as rn

CHANGES = {
    "promote": ({"version": 3, "expected": 2, "because": "0.93"}, "Promoted Iris 3 to Production; archived Iris 2"),
    "stage": ({"version": 3, "stage": "Staging", "expected": 0, "seen": "None"}, "Moved Iris 3 to Staging"),
    "archive": ({"version": 3, "seen": "None"}, "Archived Iris 3"),
    "rollback": ({"to": 1, "expected": 2, "because": "drift"}, "Rolled Iris back to 1 in Production; archived Iris 2"),
    "delete": ({"version": 3, "seen": "None"}, "Deleted Iris 3"),
    "tag": ({"version": 3, "tags": {"reviewed": "yes"}}, "Tagged Iris 3: reviewed=yes"),
    "describe": ({"version": 3, "text": "**good**", "seen": ""}, "Described Iris 3"),
    "alias": ({"alias": "champion", "version": 3}, "Pointed @champion of Iris to 3"),
}


@pytest.mark.parametrize("op", CHANGES)
def test_a_change_is_made_patched_and_answered_in_that_order(op, browser, iris):
    args, said = CHANGES[op]
    before = len(iris.history("Iris"))
    result = browser.done(op, model="Iris", **args)
    assert result == {"sentence": said, "model": "Iris", "version": args.get("version", args.get("to"))}
    assert len(iris.history("Iris")) > before
    assert browser.is_current(iris), "the rows were patched before the answer came"
    assert browser.news == [], "its own change is told by the answer"
    event = iris.history("Iris")[-1]
    assert (event.user, event.because) == ("ada", args.get("because", ""))


def test_what_was_set_can_be_taken_away(browser, iris):
    browser.done("tag", model="Iris", version=3, tags={"a": "1", "b": "2"})
    browser.done("alias", model="Iris", alias="champion", version=3)
    browser.done("alias", model="Iris", alias="champion", version=2)
    assert (browser.versions[2]["aliases"], browser.versions[3]["aliases"]) == (["champion"], [])
    browser.done("untag", model="Iris", version=3, keys=["a"])
    browser.done("unalias", model="Iris", alias="champion")
    assert browser.versions[3]["tags"] == {"b": "2"}
    assert browser.is_current(iris)


def test_the_model_itself_can_be_tagged_and_described(browser, iris):
    browser.done("tag", model="Iris", version=None, tags={"team": "botany"})
    browser.done("describe", model="Iris", version=None, text="flowers")
    model = iris.model("Iris")
    assert (model.tags, model.description) == ({"team": "botany"}, "flowers")
    assert browser.models["Iris"]["description"] == "flowers"
    assert browser.is_current(iris)


def test_doing_it_twice_changes_nothing_and_says_so(browser, iris, state):
    browser.done("promote", model="Iris", version=3)
    before = state(iris)
    assert browser.done("promote", model="Iris", version=3)["sentence"] == "Nothing changed: already in that state"
    assert state(iris) == before


def test_a_crowded_stage_is_told_in_the_answer(browser, iris):
    said = browser.done("stage", model="Iris", version=3, stage="Production")["sentence"]
    assert "2 versions of 'Iris' are in Production (2, 3)" in said
    assert browser.models["Iris"]["stages"] == {"Production": [2, 3]}


def test_the_open_model_is_renamed(browser, iris):
    assert browser.done("rename", model="Iris", new="Flower")["model"] == "Flower"
    assert browser.state["model"] == "Flower"
    assert list(browser.models) == ["Flower"]
    assert browser.is_current(iris)


def test_the_open_model_is_deleted(browser, iris):
    iris.archive("Iris", 2)
    assert "Deleted Iris" in browser.done("delete", model="Iris", version=None)["sentence"]
    assert (browser.state["model"], browser.models, browser.versions) == ("", {}, {})


def test_a_variable_of_the_notebook_is_registered(browser, iris, fitted):
    result = browser.done(
        "register",
        variable="model",
        name="Iris",
        example="X",
        metrics="accuracy=0.97, loss = 1e-3\nauc=nan",
        tags='team=botany, note="a, b=c",\n why=it\'s "fine", empty=,',
        description="by hand",
        because="better",
    )
    assert result["version"] == 4
    assert browser.progress == ["saving…"]
    version = iris.version("Iris", 4)
    assert version.metrics["accuracy"] == 0.97
    assert version.metrics["loss"] == 0.001
    assert version.tags == {"team": "botany", "note": "a, b=c", "why": 'it\'s "fine"', "empty": ""}
    assert (version.description, version.signature.inputs[0].shape) == ("by hand", (-1, 4))
    assert browser.versions[4]["metrics"] == {"accuracy": 0.97, "loss": 0.001, "auc": "NaN"}
    assert browser.is_current(iris)


class Unpicklable:
    """A model of whom nothing can be kept."""

    def predict(self, X):
        return X

    def __reduce__(self):
        raise RuntimeError("not me")


class Stubborn(Unpicklable):
    """One that is interrupted while it is saved."""

    def __reduce__(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("change", "kind", "part"),
    [
        ({"variable": "gone"}, "Invalid", "there is no variable 'gone' in this notebook"),
        ({"variable": "modle"}, "Invalid", "did you mean 'model'"),
        ({"example": "gone"}, "Invalid", "no variable 'gone'"),
        ({"variable": "n"}, "NoFlavor", "predict"),
        ({"variable": "bad"}, "NotSerializable", "not me"),
        ({"variable": "stubborn"}, "KeyboardInterrupt", ""),
        ({"name": "a/b"}, "BadName", "/ is not allowed"),
        ({"metrics": "accuracy"}, "Invalid", "key=value"),
        ({"metrics": "accuracy=high"}, "Invalid", "'high'"),
        ({"tags": "=x"}, "Invalid", "key=value"),
        ({"colour": "red"}, "Invalid", "colour"),
    ],
)
def test_what_cannot_be_registered_is_answered_and_nothing_is(opened, iris, fitted, state, change, kind, part):
    browser = opened(iris, "Iris", model=fitted, n=3, bad=Unpicklable(), stubborn=Stubborn())
    before = state(iris)
    found, text = browser.fails("register", **{"variable": "model", "name": "Iris"} | change)
    assert found == kind
    assert part in text
    assert state(iris) == before


def test_a_file_or_folder_is_registered_as_it_is(browser, iris, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"w")
    given = {"variable": "model", "name": "Net", "tags": "team=x"}
    assert browser.done("register", path=f" {tmp_path / 'weights.bin'} ", **given)["version"] == 1
    assert (iris.version("Net", 1).flavor, iris.version("Net", 1).tags) == ("files", {"team": "x"})
    assert "there is no file or folder" in browser.fails("register", path="nowhere", **given)[1]


def test_a_variable_is_looked_up_when_it_is_registered(opened, iris, fitted):
    there = {"model": fitted}
    browser = opened(iris, "Iris")
    browser.panel._notebook = there
    assert browser.done("variables") == {}
    assert browser.state["variables"] == [{"name": "model", "type": "LogisticRegression"}]
    del there["model"]
    assert browser.fails("register", variable="model", name="Iris")[0] == "Invalid"
    browser.done("variables")
    assert browser.state["variables"] == []


STALE = {
    "promote": {"version": 3, "expected": 1},
    "stage": {"version": 3, "stage": "Production", "expected": 1},
    "rollback": {"to": 1, "expected": 1},
    "archive": {"version": 2, "seen": "None"},
    "delete": {"version": 1, "seen": "None"},
}


@pytest.mark.parametrize("op", STALE)
def test_what_somebody_else_changed_meanwhile_is_a_conflict(op, browser, iris, state):
    before = state(iris)
    kind, text = browser.fails(op, model="Iris", **STALE[op])
    assert kind == "Conflict"
    assert "while you were looking; nothing was changed" in text
    assert "ada promoted Iris 2 to Production" in text or "ada archived Iris 1" in text
    assert state(iris) == before


def test_a_description_that_somebody_else_wrote_is_not_overwritten(browser, iris):
    rn.Registry(iris.uri, user="bob").describe("Iris", "bob's", version=3)
    kind, text = browser.fails("describe", model="Iris", version=3, text="mine", seen="")
    assert kind == "Conflict"
    assert "was changed since you read it" in text
    assert iris.version("Iris", 3).description == "bob's"
    assert browser.versions[3]["description"] == "bob's", "the answer came after the patch"


@pytest.mark.parametrize(
    ("op", "args", "kind"),
    [
        ("promote", {"model": "Iris", "version": 9}, "VersionNotFound"),
        ("promote", {"model": "Iris", "version": 3, "stage": "Prod"}, "UnknownStage"),
        ("promote", {"model": "Rose", "version": 3}, "ModelNotFound"),
        ("promote", {"version": 3}, "Invalid"),
        ("delete", {"model": "Iris", "version": 2}, "HoldsStage"),
        ("rollback", {"model": "Iris", "to": 3}, "NothingToRollBack"),
        ("alias", {"model": "Iris", "version": 3, "alias": "latest"}, "BadName"),
        ("tag", {"model": "Iris", "version": 3, "tags": [1]}, "BadValue"),
        ("filter", {"model": "Iris", "filter": "metrics.accuracy >"}, "BadFilter"),
        ("history", {"model": "Iris", "limit": "x"}, "TypeError"),
        ("__init__", {}, "Invalid"),
        (None, {}, "Invalid"),
        ("promote", "not a mapping", "Invalid"),
    ],
)
def test_what_cannot_be_done_is_answered_with_the_reason_and_changes_nothing(browser, iris, state, op, args, kind):
    before = state(iris)
    browser.deliver({"method": "custom", "content": {"id": "x", "op": op, "args": args}})
    answer = browser.messages[-1]["content"]
    assert (answer["id"], answer["ok"], answer["error"]["type"]) == ("x", False, kind)
    assert answer["error"]["message"]
    assert state(iris) == before


@pytest.mark.parametrize("content", [None, [], "text", {}, {"id": 1}])
def test_what_is_no_message_is_passed_over(browser, content):
    before = len(browser.messages)
    browser.deliver({"method": "custom", "content": content})
    assert len(browser.messages) == before


@pytest.mark.parametrize("written", ["model", "$model", "{model}", "models['a']", "grid.best_estimator_", " model "])
def test_a_form_takes_what_a_line_takes(opened, iris, fitted, written):
    grid = SimpleNamespace(best_estimator_=fitted)
    X = [[5.1, 3.5, 1.4, 0.2]] * 9
    browser = opened(iris, "Iris", model=fitted, models={"a": fitted}, grid=grid, X=X, score=0.5, kept={"auc": 0.75})
    given = {"variable": written, "name": "Iris", "example": "X[:5]"}
    done = browser.done("register", **given, metrics="accuracy=$score, loss={score / 2}", tags="of={len(X)}")
    made = iris.version("Iris", done["version"])
    assert (made.metrics, made.tags) == ({"accuracy": 0.5, "loss": 0.25}, {"of": "9"})
    done = browser.done("register", **given, metrics="kept")
    assert iris.version("Iris", done["version"]).metrics == {"auc": 0.75}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"example": "1 / 0"}, "'1 / 0' cannot be evaluated: ZeroDivisionError"),
        ({"example": "X[:"}, "there is no variable 'X[:'"),
        ({"metrics": "n"}, "metrics are written key=value, or are a dict; 'n' is a int"),
        ({"metrics": "accuracy=$model"}, "metric 'accuracy' must be a number"),
        ({"tags": "reviewed by me"}, "tags are written key=value, separated by commas; 'reviewed by me' is not"),
    ],
)
def test_what_a_form_cannot_take_is_said_in_words(opened, iris, fitted, state, change, part):
    browser, before = opened(iris, "Iris", model=fitted, n=3), state(iris)
    kind, text = browser.fails("register", **{"variable": "model", "name": "Iris"} | change)
    assert (kind, part in text, state(iris) == before) == ("Invalid", True, True), text


def test_a_tag_without_a_value_is_refused_and_one_with_an_empty_value_is_meant(browser, iris):
    kind, text = browser.fails("tag", model="Iris", version=3, tags="reviewed by me")
    assert (kind, "'reviewed by me' is not" in text) == ("Invalid", True)
    browser.done("tag", model="Iris", version=3, tags="checked=, by='a, b'")
    assert iris.version("Iris", 3).tags == {"checked": "", "by": "a, b"}
