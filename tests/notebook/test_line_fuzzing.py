"""No line, however mangled, ends in anything but an answer or one sentence; and a failed one changes nothing."""

import io
import itertools
import os
import re
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

import registry_nb as rn
from registry_nb.notebook.verbs import VERBS
from registry_nb.packaging import loading
from registry_nb.panel.widget import RegistryPanel

MODELS = ["Iris", "Wine quality", '"Wine quality"', "Irs", "iris", "Nope", "Iris/3", "Iris@champion", "models:/Iris/2"]
WHICH = ["1", "3", "7", "0", "-1", "v2", "latest", "Production", "prod", "None", "@champion", "@nope", "9" * 20]
OPTIONS = [option for verb in VERBS.values() for names, _ in verb.arguments for option in names if option[0] == "-"]
ODD = [
    *[
        "'",
        '"',
        "it's",
        "\\",
        "{",
        "}",
        "{}",
        "{{",
        "$",
        "$model",
        "$nope",
        "{score}",
        "{1/0}",
        "(",
        "[",
        "X[",
        "X[ :1 ]",
        "X[:1]",
    ],
    *[
        "=",
        "==",
        ">",
        ">=",
        "a=b",
        "=b",
        "a=",
        "accuracy>0.5",
        "metrics.accuracy > 0.5",
        "\u2014because",
        "\u2013",
        "--",
        "-",
        "---x",
    ],
    *[
        "as",
        "to",
        ",",
        ";",
        "#",
        "%",
        "\u202e",
        "\x00",
        "\ud800",
        "\U0001f338",
        "e\u0301",
        "\u200b",
        "\ue000",
        "*" * 300,
        "(((((((",
    ],
    *[
        "model",
        "reviewed=yes",
        'metric("accuracy") >= 0.9',
        'metric("accuracy")',
        "yesterday",
        "0.9",
        "nan",
        "runs:/x/y",
    ],
    *['promote("Iris",', "3)", "registry.promote('Iris', 3)", "lambda: 0", '"first fit"', "folder", "sha256:ab"],
]
WORD = st.one_of(
    st.sampled_from([*VERBS]),
    st.sampled_from(MODELS),
    st.sampled_from(WHICH),
    st.sampled_from(OPTIONS),
    st.sampled_from(ODD),
    st.text(max_size=6),
)
#: How a sentence says what to do; of the user's own expression, only its error is known.
REMEDY = re.compile(r"%registry|did you mean|choose another name|cannot be evaluated|there is no variable")


@st.composite
def lines(draw):
    """A verb's example, some words of which are dropped, doubled, swapped, misspelt or replaced; or only words."""
    if draw(st.booleans()):
        words = draw(st.sampled_from([verb.example for verb in VERBS.values()])).split(" ")
    else:
        words = [draw(st.sampled_from([*VERBS])), *draw(st.lists(WORD, max_size=5))]
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(len(words) - 1, 0)))
        how = draw(st.sampled_from(["drop", "double", "swap", "misspell", "replace", "add"]))
        word = words[place] if words else ""
        if how == "drop" and words:
            del words[place]
        elif how == "double":
            words.insert(place, word)
        elif how == "swap" and len(words) > 1:
            words[place], words[place - 1] = words[place - 1], words[place]
        elif how == "misspell" and len(word) > 1:
            cut = draw(st.integers(0, len(word) - 1))
            words[place : place + 1] = [word[:cut] + word[cut + 1 :]]
        elif how == "replace" and words:
            words[place] = draw(WORD)
        else:
            words.insert(place, draw(WORD))
    return " ".join(words)


class Model:
    def predict(self, X):
        return [0 for _ in X]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_NB_USER", "ada")
        patch.setattr(HistoryManager, "enabled", False)
        patch.chdir(tmp_path_factory.mktemp("here"))
        InteractiveShell.clear_instance()
        shell = InteractiveShell.instance()
        shell.display_pub.publish = lambda data, **_: None
        shell.set_next_input = lambda source: None
        registry = rn.set_registry(tmp_path_factory.mktemp("registry"))
        for name in ("Iris", "Wine quality"):
            for accuracy in (0.8, 0.9, 0.95):
                registry.register(Model(), name, metrics={"accuracy": accuracy}, tags={"team": "risk"})
        registry.alias("Iris", "champion", 2)
        registry.promote("Iris", 2)
        shell.user_ns.update(model=Model(), X=[[1], [2]], score=0.5)
        shell.run_line_magic("load_ext", "registry_nb")
        patch.setattr("builtins.input", lambda question: "n")
        download, folder = loading.download, tmp_path_factory.mktemp("downloads")

        def kept(saved, artifacts, target, foreign):
            """Download to where no line leads."""
            download(saved, artifacts, f"{folder}/in-{next(numbers)}-{target.replace(os.sep, '-')}", foreign=foreign)

        numbers = itertools.count()
        patch.setattr(loading, "download", kept)
        yield shell
        rn.set_registry(None)
        shell.extension_manager.unload_extension("registry_nb")
        InteractiveShell.clear_instance()


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines())
def test_every_line_ends_in_an_answer_or_in_one_sentence_and_a_failed_one_changes_nothing(shell, line):
    registry = rn.get_registry()
    before, variables = registry.history(), set(shell.user_ns)
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        found = shell.run_line_magic("registry", line)
    except (UsageError, rn.RegistryError) as error:
        said = str(error)
        assert said == " ".join(said.split()), "one line"
        assert 10 < len(said) < 1200
        assert not [odd for odd in ("object at 0x", "Traceback", "NoneType", "argparse", "\ue000") if odd in said]
        assert REMEDY.search(said), said
        assert registry.history() == before
        assert set(shell.user_ns) == variables
    else:
        shell.display_formatter.format(found)
        if isinstance(found, RegistryPanel):
            found.close()
    finally:
        sys.stderr = stderr
        rn.set_registry(registry)
