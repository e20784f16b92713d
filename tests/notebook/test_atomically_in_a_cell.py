"""``%%registry atomically``: the lines of a cell are one commit, and their answers are shown after it."""

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

import registry_nb as rn


@pytest.fixture
def two(notebook, constant):
    """A notebook whose registry has two models with two versions each, of which the first is in Production."""
    for name in ("Encoder", "Classifier"):
        for number in (1, 2):
            notebook.registry.register(constant(number), name)
        notebook.registry.promote(name, 1)
    return notebook


def texts(notebook):
    return [data["text/plain"] for data in notebook.published]


def test_the_lines_are_one_commit_with_the_reason(two):
    before = two.registry.revision
    cell = """\
        %%registry atomically --because "trained together"
        # the encoder first

        promote Encoder 2
        %registry promote Classifier 2 --because "its own"
        tag Encoder team=vision;
        show Encoder
        models "name LIKE 'x%'"
    """
    cell = "\n".join(line.strip() for line in cell.splitlines())
    assert two.run(cell) is None
    assert [v.version for v in two.registry.versions(filter="stage = 'Production'")] == [2, 2]
    assert two.registry.revision == before + 1
    assert {event.because for event in two.registry.history()[-5:]} == {"trained together", "its own"}
    head, first, encoder, second, classifier, shown, none = texts(two)
    assert head == "One commit   with registry.atomically(because='trained together') as batch:"
    assert first == "Production: 1 → 2; 1 is archived   batch.promote('Encoder', 2, 'Production')"
    assert second.endswith("batch.promote('Classifier', 2, 'Production', because='its own')")
    assert "Encoder" in encoder
    assert "Classifier" in classifier
    assert "vision" in shown
    assert "no model fits the filter" in none
    assert "text/html" in two.published[2]


def test_python_is_what_its_answer_says(two):
    two.run("%%registry atomically --because both\npromote Encoder 2\npromote Classifier 2")
    lines = [text.split("   ")[-1] for text in texts(two) if "batch" in text]
    two.registry.promote("Encoder", 1)
    two.registry.promote("Classifier", 1)
    exec("\n    ".join(lines), {"registry": two.registry})
    assert [v.version for v in two.registry.versions(filter="stage = 'Production'")] == [2, 2]
    assert two.registry.history()[-1].because == "both"


def test_variables_are_registered_and_filled_in_as_on_a_line(two):
    two.shell.user_ns.update(why="it is", number=1)
    two.run(
        "%%registry atomically --because $why\nregister model as New --example X[:1] --stage Production\n"
        "alias New $number live\nload New@live as loaded"
    )
    assert two.registry.version("New", "@live").stage == "Production"
    assert {event.because for event in two.registry.history("New")} == {"it is"}
    assert list(two.shell.user_ns["loaded"].predict([[5.1, 3.5, 1.4, 0.2]])) == [0]
    assert "version 1 is a new one" not in "".join(texts(two))


def test_the_first_error_undoes_all_and_names_its_line(two, state):
    before = state(two.registry)
    for line, kind, says in (
        ("promote Classifier 9", rn.errors.VersionNotFound, "model 'Classifier' has no version 9"),
        ("promote Classifer 2", rn.errors.ModelNotFound, "write `%registry promote Classifier 2`"),
        ("promote Classifier", UsageError, "Give a version"),
        ("promot Classifier 2", UsageError, "there is no verb 'promot'; did you mean `%registry promote Classifier 2`"),
        ("tag Classifier $nope=1", UsageError, "nope"),
        ("use elsewhere", UsageError, "use cannot be part of a batch, since it chooses another registry"),
        ("panel", UsageError, "panel cannot be part of a batch"),
        ("atomically", UsageError, "atomically cannot be part of a batch"),
        ("check --repair", UsageError, "since removed files do not come back"),
        ("trust Encoder 1 --signer ed25519:00", UsageError, "since a signer whom your keys know is not forgotten"),
        ("delete Classifier 2", UsageError, "delete asks first, while all writers wait; add --yes"),
        (";", UsageError, "a verb is missing"),
        ("describe Classifier it's", UsageError, "a quote is not closed"),
    ):
        said, rendered = two.fails(f"%%registry atomically\npromote Encoder 2\n\n{line}", kind)
        assert f"line 4, {line}: " in said, said
        assert says in said
        assert said.endswith("; nothing was changed")
        assert said.count("nothing was changed") == 1
        assert len(rendered) == 1
        assert state(two.registry) == before
        assert texts(two) == [], "an answer would be of something that did not happen"


def test_what_cannot_be_read_is_refused_before_anything_runs(two, monkeypatch):
    called = []
    monkeypatch.setattr(rn.Registry, "atomically", lambda self, **_: called.append(self))
    two.fails("%%registry atomically\npromote Encoder 2\nuse elsewhere", UsageError)
    assert called == []


def test_what_code_of_the_user_raises_has_a_note(two, state, monkeypatch):
    before = state(two.registry)

    def fails(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(rn.Registry, "evaluate", fails)
    with pytest.raises(ZeroDivisionError) as raised:
        two.run("%%registry atomically\npromote Encoder 2\nevaluate Encoder 2")
    assert raised.value.__notes__ == ["line 3, evaluate Encoder 2; nothing was changed"]
    assert state(two.registry) == before


def test_deleting_needs_no_answer_where_nobody_is_asked(two):
    two.run("%%registry atomically\ndelete Encoder 2 --yes")
    two.shell.run_line_magic("config", "RegistryMagics.confirm = False")
    two.run("%%registry atomically\ndelete Classifier 2")
    assert len(two.registry.versions()) == 2


def test_a_cell_can_be_silent(two):
    two.run("%%registry atomically;\npromote Encoder 2")
    assert two.published == []
    two.shell.run_line_magic("config", "RegistryMagics.echo = False")
    two.run("%%registry atomically\npromote Classifier 2")
    assert ["batch" in text for text in texts(two)] == [False]
    assert [v.version for v in two.registry.versions(filter="stage = 'Production'")] == [2, 2]


def test_a_cell_without_lines_and_a_line_without_a_cell_are_refused(two):
    said, _ = two.fails("%%registry atomically\n# nothing\n\n", UsageError)
    assert "there are none; write a verb in each" in said
    said, _ = two.fails("%registry atomically", UsageError)
    assert "is written as %%registry atomically" in said
    said, _ = two.fails("%%registry promote Iris 1\npass", UsageError)
    assert "%%registry atomically runs its lines in one commit" in said
    said, _ = two.fails("%%registry atomically --becuse x\npromote Encoder 2", UsageError)
    assert "write `%%registry atomically --because x`" in said
    said, _ = two.fails("%registry batch", UsageError)
    assert "did you mean `%%registry atomically`?" in said


def test_help_shows_how_it_is_written(two):
    assert "%%registry atomically [--because TEXT]" in str(two.run("%registry help atomically"))
    assert "%%registry atomically --because" in str(two.run("%registry"))


def test_the_lines_of_the_cell_are_completed(two):
    completer = two.shell.Completer

    def completed(cell, line):
        lines = cell.split("\n")
        offset = sum(len(one) + 1 for one in lines[:line]) + len(lines[line])
        with provisionalcompleter():
            return {found.text for found in completer.completions(cell, offset)}

    assert "--because" in completed("%%registry atomically --b", 0)
    assert "atomically" in completed("%%registry atom", 0)
    assert {"promote", "policy"} <= completed("%%registry atomically\np", 1)
    assert "Encoder" in completed("%%registry atomically\npromote Encoder 2\npromote En", 2)
    assert "Encoder" not in completed("%%registry atomically\n# promote En", 1)
    assert "Encoder" not in completed("%%time\npromote En", 1)
