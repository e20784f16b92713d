"""The same line in a notebook and in a terminal: the same answer, or the same sentence."""

import re
import shlex
import shutil
from types import SimpleNamespace

import pytest

import registry_nb as rn
from registry_nb.cli.run import spoken
from registry_nb.notebook.line import run
from registry_nb.notebook.verbs import VERBS

#: Verbs whose example needs a notebook; `test_command_line` has what a terminal says.
IN_A_NOTEBOOK = {"atomically", "load", "panel", "register", "shadow", "use"}
#: Lines beyond the examples of the verbs.
MORE = (
    "models",
    "history Iris",
    "history",
    "events",
    "events --model Irs",
    "comment Iris 3",
    "show Iris",
    "load Iris/Production",
    "use",
    "promote Iris 9",
    "promote Irs 2",
    "promot Iris 2",
    "stage Iris 3 Prod",
    "policy Iris",
    "retention Iris",
    "evaluate Iris 3",
    "reject Iris 2",
    "search \"tags.reviewed = 'no'\"",
    "asof now",
    "compare Iris 2 2",
    "rollback Iris --dry-run",
    "describe Iris/3 a b",
)


class Notebook:
    """A magic whose notebook has no variables."""

    confirm = echo = True
    display = "text"

    def __init__(self):
        self.told = []
        publisher = SimpleNamespace(publish=lambda data: self.told.append(data["text/plain"]))
        self.shell = SimpleNamespace(
            user_ns={}, user_ns_hidden={}, display_pub=publisher, set_next_input=lambda source: None
        )

    def run(self, line):
        """Return what is shown, or the error, without the Python below a change."""
        try:
            result = run(self, line, None, None)
        except Exception as error:
            kind = "UsageError" if type(error).__name__ in {"Misread", "Unusable"} else type(error).__name__
            return f"{kind}: {error}\n"
        did = [re.sub(r"   registry\..*", "", text, flags=re.DOTALL) for text in self.told]
        did = [text for text in did if not text.startswith("registry.")]
        return "".join(f"{text}\n" for text in [*did, *([] if result is None else [str(result)])])


@pytest.fixture
def two(iris, tmp_path, monkeypatch):
    """The same registry twice: for the notebook, and for the terminal."""
    monkeypatch.setenv("REGISTRY_NB_USER", "ada")
    iris.tag("Iris", {"reviewed": "yes"}, version=3)
    iris.alias("Iris", "champion", 2)
    iris.policy("Iris", require=['metric("accuracy") >= 0.95'], to="Staging")
    places = [tmp_path / "left" / "registry", tmp_path / "other" / "registry"]
    for place in places:
        shutil.copytree(iris.uri, place)
    yield places
    rn.set_registry(None)


def plain(text, place):
    """Without what differs from one registry to the other: its place, and the moment of a change."""
    text = text.replace(str(place), "PLACE").replace(str(place.parent), "ABOVE")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d|\b\d\d:\d\d(:\d\d)?\b", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "ID", text)
    return re.sub(r"[ ─-]{2,}", "  ", re.sub(r"\d+ (seconds?|minutes?|s|ms)\b", "SOME", text))


@pytest.mark.parametrize("line", [*(VERBS[name].example for name in VERBS if name not in IN_A_NOTEBOOK), *MORE])
def test_a_line_has_the_same_answer(two, terminal, monkeypatch, line):
    left, other = two
    monkeypatch.chdir(left.parent)
    rn.set_registry(left)
    expected = plain(spoken(Notebook().run(line)), left)
    monkeypatch.chdir(other.parent)
    monkeypatch.setenv("REGISTRY_NB_URI", str(other))
    answer = terminal("", *shlex.split(line))
    assert plain(answer.out + answer.err, other) == expected
    # The digest of a record has the moment in it.
    changes = [
        [(event.action, event.version, {**event.new, "record": ""}) for event in rn.Registry(one).history()]
        for one in two
    ]
    assert changes[0] == changes[1]


def test_every_verb_has_an_answer_in_a_terminal_or_needs_a_notebook():
    assert set(VERBS) >= IN_A_NOTEBOOK
