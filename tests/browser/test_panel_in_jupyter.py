"""The panel in JupyterLab and in Notebook 7, with real kernels; what it did is checked in the registry, from here."""

import os
import re
import signal
import uuid
from pathlib import Path

import nbformat
import pytest
from conftest import watched
from lab_server import Notebook, Server
from playwright.sync_api import expect

import registry_nb as rn

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark", "high-contrast": "JupyterLab Dark High Contrast"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


@pytest.fixture
def iris(tmp_path):
    """A registry with three versions of Iris, 2 in Production; another process than the kernels' has it open."""
    registry = rn.Registry(tmp_path / "registry", user="Grace")
    for number in (1, 2, 3):
        registry.register(
            lambda X, number=number: [number for _ in X],
            "Iris",
            metrics={"accuracy": 0.9 + number / 100},
            tags={"team": "flowers"},
            because=f"fit {number}",
        )
    registry.promote("Iris", 1)
    registry.promote("Iris", 2, because="0.92 on holdout")
    return registry


@pytest.fixture
def notebook(server, chromium, request):
    """Open notebooks, each in a page of its own, with all cells run; the kernels end with the test."""
    opened = []

    def make(*cells, on=server, run=True, name=None):
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(60_000)
        page = context.new_page()
        # Notebook 7.6 fails to read some setting of JupyterLab 4.6's while it starts, with or without a panel; both
        # complain where a kernel ends before it answered their own request for a subshell.
        known = (
            "Canceled future for create_subshell_request",
            *(["reading 'schema'"] * (on.application == "notebook")),
        )
        watch = watched(page, on.url, on.url.replace("http", "ws"), known=known)
        watch.__enter__()
        opened.append((context, page, watch))
        made = Notebook(page, on, name or on.write(f"{uuid.uuid4().hex[:8]}.ipynb", *cells))
        if run:
            made.run_all()
        return made

    yield make
    for _, page, _ in opened:
        page.evaluate("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown?.().catch(() => null)")
    for context, _, watch in opened:
        watch.__exit__(None, None, None)
        context.close()


def opening(registry, call='registry.panel("Iris")', user="ada"):
    return f"import registry_nb as rn\nregistry = rn.Registry({registry.uri!r}, user={user!r})\n{call}"


def holder(registry):
    return registry.version("Iris", "Production").version


def test_a_version_is_promoted_by_mouse(notebook, iris):
    shown = notebook(opening(iris))
    expect(shown.stage(2)).to_have_text("Production")
    shown.row(3).click()
    shown.button("Promote…").click()
    expect(shown.dialog).to_contain_text("3 goes to Production, 2 is archived")
    shown.dialog.get_by_label("Why?").fill("by mouse")
    shown.dialog.get_by_role("button", name="Promote").click()
    expect(shown.panel.locator(".said")).to_contain_text("Promoted Iris 3 to Production")
    assert holder(iris) == 3
    assert iris.version("Iris", 2).stage == "Archived"
    last = iris.history("Iris")[-1]
    assert (last.user, last.action, last.because) == ("ada", "promoted", "by mouse")
    shown.button("Back to the versions").click()
    expect(shown.stage(3)).to_have_text("Production")
    expect(shown.stage(2)).to_have_text("Archived")
    assert shown.outputs
    assert not any("Error" in text for text in shown.outputs)


def test_a_version_is_promoted_tagged_and_rolled_back_by_keyboard_and_no_key_is_the_notebooks(notebook, iris):
    shown = notebook(opening(iris), "1 + 1")
    before = shown.cells
    keys = shown.page.keyboard
    shown.grid.focus()
    for key in ("b", "a", "x", "d", "d", "m", "y", "ArrowDown", "ArrowUp", "j", "k", "Shift+Enter", "1", "o"):
        keys.press(key)
    assert shown.cells == before
    keys.press("Home")
    keys.press("Enter")
    expect(shown.panel.get_by_role("heading", name="Iris 3", exact=True)).to_be_focused()
    expect(shown.button("Promote…")).to_be_visible()
    keys.press("Tab")
    while shown.panel.evaluate("p => p.getRootNode().activeElement.textContent") != "Promote…":
        keys.press("Tab")
    keys.press("Enter")
    expect(shown.dialog.locator(".sentence")).to_contain_text("3 goes to Production")
    keys.type("bad xylophones")  # letters that would be commands
    keys.press("Enter")
    expect(shown.panel.locator(".said")).to_contain_text("Promoted Iris 3")
    assert holder(iris) == 3
    assert iris.history("Iris")[-1].because == "bad xylophones"
    expect(shown.button("Roll back…")).to_be_visible()
    keys.press("b")
    assert shown.cells == before, "with the dialog gone, the focus has to be in the panel still"
    shown.button("Describe…").press("Enter")
    keys.type("one")
    keys.press("Enter")
    keys.type("two")
    keys.press("Control+Enter")
    expect(shown.panel.locator(".markdown")).to_contain_text("one")
    assert iris.version("Iris", 3).description == "one\ntwo"
    shown.button("Tag…").press("Enter")
    keys.type("reviewed by=Ada, x=1")
    keys.press("Enter")
    expect(shown.panel.locator(".tags")).to_contain_text("reviewed by=Ada")
    assert iris.version("Iris", 3).tags == {"team": "flowers", "reviewed by": "Ada", "x": "1"}
    shown.button("Roll back…").press("Enter")
    expect(shown.dialog.locator(".sentence")).to_contain_text("2 goes back to Production")
    keys.press("Enter")
    expect(shown.panel.locator(".said")).to_contain_text("back to 2")
    assert holder(iris) == 2
    keys.press("Escape")
    keys.press("x")
    assert shown.cells == before
    keys.press("Control+s")
    expect(shown.page.locator(".jp-Notebook")).to_be_visible()
    shown.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")


def test_a_card_is_dragged_and_another_moved_by_its_menu(notebook, iris):
    shown = notebook(opening(iris))
    shown.button("Board").click()
    lane = lambda stage: shown.panel.locator(f".lane[data-stage={stage}]")
    lane("None").locator(".card").drag_to(lane("Staging"))
    expect(shown.dialog).to_contain_text("3 goes to Staging")
    shown.dialog.get_by_role("button", name="Promote").click()
    expect(lane("Staging").locator(".card")).to_contain_text("3")
    assert iris.version("Iris", 3).stage == "Staging"
    shown.button("Move version 1 to…").click()
    shown.panel.get_by_role("menuitem", name="No stage").press("Enter")
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.page.keyboard.press("Enter")
    expect(lane("None").locator(".card")).to_contain_text("1")
    assert iris.version("Iris", 1).stage == "None"
    assert len(shown.cells) == 1


def test_a_variable_of_the_notebook_is_registered_and_a_model_without_predict_is_not_offered(notebook, iris):
    fit = (
        "class Mean:\n    def predict(self, X):\n        return [0.5 for _ in X]\nmean, number, X = Mean(), 3, [[1.0]]"
    )
    shown = notebook(fit, opening(iris, "registry.panel()"))
    shown.button("Register…").click()
    variable = shown.panel.get_by_label("Variable", exact=True)
    expect(variable).to_have_value("mean")
    offered = "field => [...field.list.options].map(option => option.value)"
    assert variable.evaluate(offered) == ["mean"]
    for label, text in {"Model name": "Mean", "Example": "X", "Metrics": "mse=0.25", "Why?": "a baseline"}.items():
        shown.panel.get_by_label(label).fill(text)
    shown.button("Register").click()
    expect(shown.panel.get_by_role("heading", name="Mean 1", exact=True)).to_be_visible()
    made = iris.version("Mean", 1)
    assert (made.metrics, made.user) == ({"mse": 0.25}, "ada")
    assert iris.load("models:/Mean/1").predict([[1.0]]) == [0.5]


def test_two_notebooks_with_two_kernels_show_what_the_other_did_and_who_did_it(notebook, iris):
    ada, grace = notebook(opening(iris)), notebook(opening(iris, user="Barbara"))
    ada.row(3).click()
    ada.button("Promote…").click()
    ada.dialog.get_by_role("button", name="Promote").click()
    expect(ada.panel.locator(".said")).to_contain_text("Promoted Iris 3")
    expect(grace.stage(3)).to_have_text("Production", timeout=60_000)
    expect(grace.panel.locator(".news")).to_contain_text("ada promoted Iris 3 to Production")
    # Barbara decides on what she saw; Grace, in a process without a panel, is faster.
    grace.row(2).click()
    grace.button("Promote…").click()
    expect(grace.dialog).to_contain_text("2 goes to Production, 3 is archived")
    iris.promote("Iris", 1, because="meanwhile")
    grace.dialog.get_by_role("button", name="Promote").click()
    expect(grace.dialog.get_by_role("alert")).to_contain_text("while you were looking")
    assert holder(iris) == 1, "nothing was overwritten"
    expect(grace.dialog.locator(".sentence")).to_contain_text("1 is archived")
    grace.dialog.get_by_role("button", name="Promote").click()
    expect(grace.dialog).to_have_count(0)
    assert holder(iris) == 2


def test_while_the_kernel_is_busy_the_table_works_and_a_change_waits_or_is_done_but_once(notebook, iris):
    shown = notebook(opening(iris), "pass")
    shown.page.evaluate(
        """code => { const {content, sessionContext} = jupyterapp.shell.currentWidget;
        sessionContext.session.kernel.requestExecute({code}); }""",
        "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)",
    )
    shown.page.wait_for_function("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'")
    shown.panel.get_by_role("columnheader", name="Version", exact=True).get_by_role("button").click()
    assert shown.panel.locator(".row .cell.version").all_inner_texts() == ["1", "2", "3"]
    shown.row(3).click()
    expect(shown.panel.locator(".said, .actions").filter(has_text=re.compile("is busy;|Promote")).first).to_be_visible()
    (shown.server.notebooks / "go").touch()
    shown.button("Promote…").click()
    shown.dialog.get_by_role("button", name="Promote").dblclick()
    expect(shown.panel.locator(".said")).to_contain_text("Promoted Iris 3")
    assert [event.version for event in iris.history("Iris") if event.action == "promoted"] == [1, 2, 3]
    (shown.server.notebooks / "go").unlink()


KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
LOST = "This panel lost its kernel. Run the cell again."


def lost(shown):
    """Wait until the panel says so, and see that nothing can be pressed."""
    expect(shown.panel.locator("p.bar")).to_have_text(LOST)
    for name in ("History", "Register…", "Models"):
        assert shown.button(name).get_attribute("aria-disabled") == "true"
    shown.row(3).click()
    expect(shown.row(3)).to_be_visible()
    expect(shown.panel.get_by_text("Loading…")).to_have_count(0)


def test_a_kernel_that_is_restarted_is_lost_and_the_cell_makes_another_panel(notebook, iris):
    shown = notebook(opening(iris))
    expect(shown.row(3)).to_be_visible()
    shown.page.evaluate(f"() => void {KERNEL}.restart()")
    lost(shown)
    assert holder(iris) == 2
    shown.run_all()
    expect(shown.stage(2)).to_have_text("Production")
    expect(shown.panel.locator("p.bar")).to_have_count(0)


def test_a_kernel_that_is_shut_down_is_lost(notebook, iris):
    shown = notebook(opening(iris))
    expect(shown.row(3)).to_be_visible()
    shown.page.evaluate("() => void jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    lost(shown)


def test_a_kernel_that_is_killed_is_lost(notebook, iris):
    shown = notebook(opening(iris), "import os, signal\nprint(os.getpid())")
    expect(shown.row(3)).to_be_visible()
    os.kill(int(shown.outputs[-1]), signal.SIGKILL)
    expect(shown.panel.locator("p.bar")).to_have_text(LOST)
    shown.page.locator(".jp-Dialog").get_by_role("button").last.click()  # JupyterLab's own word about it
    lost(shown)


def test_a_registry_that_vanishes_is_told_and_the_rows_stay(notebook, iris, tmp_path):
    shown = notebook(opening(iris))
    expect(shown.row(3)).to_be_visible()
    (tmp_path / "registry").rename(tmp_path / "away")
    expect(shown.panel.locator("p.bar.bad")).to_be_visible()
    expect(shown.row(3)).to_be_visible()
    (tmp_path / "away").rename(tmp_path / "registry")
    expect(shown.panel.locator("p.bar.bad")).to_have_count(0)


def test_a_saved_notebook_keeps_a_picture_for_whoever_has_no_kernel(notebook, server, iris):
    shown = notebook(opening(iris))
    expect(shown.row(3)).to_be_visible()
    shown.command("docmanager:save")
    bundle = server.read(shown.name).cells[0].outputs[-1].data
    for kind in ("text/html", "text/plain"):
        assert "Production" in bundle[kind]
        assert "registry.panel(" in bundle[kind], "how to make it live again"
    assert "<script" not in bundle["text/html"]
    copy = server.read(shown.name)
    copy.cells[0].source += "  # changed elsewhere, so that this server has not seen it: nothing in it is trusted"
    nbformat.write(copy, server.notebooks / (name := f"copy of {shown.name}"))
    elsewhere = notebook(name=name, run=False)
    twin = elsewhere.page.locator(".jp-OutputArea-output").last
    expect(twin).to_contain_text('registry.panel("Iris") in Jupyter shows the panel itself')
    expect(twin.get_by_role("row").filter(has_text="Production")).to_contain_text("2")
    expect(elsewhere.panel).to_have_count(0)


def test_a_page_loaded_anew_shows_what_changed_meanwhile(notebook, iris):
    shown = notebook(opening(iris))
    expect(shown.stage(2)).to_have_text("Production")
    shown.command("docmanager:save")
    iris.promote("Iris", 3)
    expect(shown.stage(3)).to_have_text("Production")
    shown.page.reload()
    expect(shown.stage(3)).to_have_text("Production")
    expect(shown.stage(2)).to_have_text("Archived")
    shown.row(2).click()
    expect(shown.button("Promote…")).to_be_visible()
    shown.page.reload()
    expect(shown.panel.get_by_role("heading", name="Iris 2")).to_be_visible()


def test_no_theme_hides_anything_and_axe_finds_nothing_wrong(notebook, iris, accessible, tmp_path):
    folder = Path(os.environ.get("REGISTRY_NB_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    shown = notebook(opening(iris))
    for look, name in THEMES.items():
        shown.theme(name)
        for view in ("Versions", "Board", "History"):
            shown.panel.get_by_role("navigation").get_by_role("button", name=view).click()
            expect(shown.panel.locator(".frame, .lane, .timeline").first).to_be_visible()
            shown.panel.screenshot(path=folder / f"panel-{look}-{view.lower()}.png")
            accessible(shown.page, ".jp-OutputArea-output [data-lm-suppress-shortcuts]")
    shown.theme(THEMES["light"])


def test_no_theme_hides_what_a_decision_rests_on_and_axe_finds_nothing_wrong(notebook, iris, accessible, tmp_path):
    folder = Path(os.environ.get("REGISTRY_NB_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    iris.policy("Iris", require=['metric("accuracy") >= incumbent', "approved_by(1)", "has_description()"])
    iris.request("Iris", 3, because="better")
    shown = notebook("X, y = [[n] for n in range(20)], [2] * 20", opening(iris))

    def looks_well(look, view):
        shown.panel.screenshot(path=folder / f"panel-{look}-{view}.png")
        accessible(shown.page, ".jp-OutputArea-output [data-lm-suppress-shortcuts]")

    go = lambda view: shown.panel.get_by_role("navigation").get_by_role("button", name=view).click()
    for look, name in THEMES.items():
        shown.theme(name)
        go("History")
        shown.panel.get_by_role("slider").press("ArrowLeft")
        expect(shown.panel.get_by_role("table", name="Versions at that moment")).to_be_visible()
        looks_well(look, "slider")
        go("Versions")
        shown.row(3).click()
        expect(shown.panel.get_by_role("list", name="Requests")).to_be_visible()
        shown.button("Promote…").click()
        expect(shown.dialog.get_by_role("listitem")).to_have_count(3)
        looks_well(look, "checklist")
        shown.page.keyboard.press("Escape")
        go("Compare")
        shown.button("On data…").click()
        shown.panel.get_by_role("menuitem", name="Compare on data…").click()
        shown.dialog.get_by_label("Data", exact=True).fill("X")
        shown.dialog.get_by_label("True answers").fill("y")
        shown.dialog.get_by_role("button", name="Compare").click()
        expect(shown.panel.locator(".shadow .summary")).to_be_visible()
        looks_well(look, "shadow")
    shown.theme(THEMES["light"])


def test_it_works_in_notebook_7(notebook, chromium, tmp_path_factory, iris):
    seven = Server(tmp_path_factory.mktemp("seven"), "notebook")
    try:
        shown = notebook(opening(iris), on=seven)
        shown.grid.focus()
        for key in ("b", "x", "End", "Home", "Enter"):
            shown.page.keyboard.press(key)
        shown.button("Promote…").click()
        shown.dialog.get_by_role("button", name="Promote").click()
        expect(shown.panel.locator(".said")).to_contain_text("Promoted Iris 3 to Production")
        assert holder(iris) == 3
        assert len(shown.cells) == 1
        shown.button("Back to the versions").click()
        shown.page.evaluate(f"() => void {KERNEL}.restart()")
        lost(shown)
    finally:
        seven.close()


def test_a_policy_is_met_with_a_second_persons_yes_or_overridden_aloud(notebook, iris):
    iris.policy("Iris", require=['metric("accuracy") >= incumbent', "approved_by(1, not_author=True)"])
    shown = notebook(opening(iris))
    shown.row(3).click()
    shown.button("Promote…").click()
    rules = shown.dialog.get_by_role("list", name="Rules of the policy").get_by_role("listitem")
    expect(rules).to_have_count(2)
    assert [text.split(":")[0] for text in rules.all_text_contents()] == ["passed", "failed"]
    shown.dialog.get_by_label("Why?").fill("better")
    shown.dialog.get_by_role("button", name="Ask for approval…").click()
    expect(shown.dialog.get_by_label("Why?")).to_have_value("better")
    shown.dialog.get_by_role("button", name="Ask").click()
    expect(shown.panel.get_by_role("list", name="Requests")).to_contain_text("asked by ada")
    shown.button("Approve 3").click()
    shown.dialog.get_by_role("button", name="Approve").click()
    expect(shown.panel.get_by_role("list", name="Requests")).to_contain_text("approved by ada")
    shown.button("Promote…").click()
    expect(rules).to_have_count(2)
    assert [text.split(":")[0] for text in rules.all_text_contents()] == ["passed", "passed"]
    shown.dialog.get_by_role("button", name="Promote").click()
    expect(shown.panel.locator(".said")).to_contain_text("Promoted Iris 3")
    assert holder(iris) == 3
    assert iris.history("Iris")[-1].after["policy"]["ok"] is True
    shown.button("Back to the versions").click()
    shown.row(1).click()
    shown.button("Promote…").click()
    shown.dialog.get_by_role("button", name="Override…").click()
    shown.dialog.get_by_label("Why?").fill("fire")
    shown.dialog.get_by_role("button", name="Override and promote").click()
    expect(shown.panel.locator(".said")).to_contain_text("past the policy")
    assert iris.history("Iris")[-1].after["policy"]["forced"] is True
    shown.button("History").click()
    expect(shown.panel.get_by_text("1 promotion overrode the policy")).to_be_visible()


def test_the_slider_shows_how_it_stood_also_what_was_deleted_since(notebook, iris):
    iris.delete("Iris", version=3, because="by mistake")
    shown = notebook(opening(iris))
    shown.button("History").click()
    slider = shown.panel.get_by_role("slider")
    slider.focus()
    table = shown.panel.get_by_role("table", name="Versions at that moment")
    for key, rows in (("ArrowLeft", 2), ("ArrowLeft", 3)):
        shown.page.keyboard.press(key)
        expect(table.get_by_role("row")).to_have_count(rows + 1)
    expect(table.get_by_role("row").nth(1)).to_contain_text("0.92 on holdout")  # who held a stage stands first
    expect(table.get_by_role("row").nth(2)).to_contain_text("3 deleted since")
    shown.page.keyboard.press("Home")
    expect(table.get_by_role("row")).to_have_count(2)
    shown.page.keyboard.press("End")
    expect(table).to_have_count(0)
    assert len(shown.cells) == 1


def test_two_versions_are_compared_on_the_notebooks_data_and_it_is_kept(notebook, iris):
    shown = notebook("X, y = [[n] for n in range(20)], [2] * 20", opening(iris))
    shown.panel.get_by_role("navigation").get_by_role("button", name="Compare").click()
    expect(shown.panel.get_by_role("table", name="Metrics")).to_contain_text("accuracy")
    shown.button("On data…").click()
    shown.panel.get_by_role("menuitem", name="keep it").click()
    for label, text in {"Data": "X", "True answers": "y", "Why?": "an audit"}.items():
        shown.dialog.get_by_label(label, exact=True).fill(text)
    shown.dialog.get_by_role("button", name="Compare").click()
    expect(shown.panel.locator(".shadow .summary")).to_have_text("2 and 3 agree on 0 of 20 rows (0.0 %)")
    expect(shown.panel.get_by_role("table", name="Where they disagree, on the data")).to_contain_text("20")
    expect(shown.panel.get_by_text("Kept in the history of 3")).to_be_visible()
    event = iris.history("Iris")[-1]
    assert (event.user, event.action, event.version, event.because) == ("ada", "shadowed", 3, "an audit")
    assert event.after["shadow"]["metrics"]["accuracy"] == (1.0, 0.0)
