"""One version, the comparison, the history and the form, without Jupyter."""

import pytest
from bare_page import DAY, HISTORY, NOW, SHOWN, bad, good, version
from playwright.sync_api import expect

# -- one version, comparison, history, the form ------------------------------------------------------------------------


def test_one_version_shows_all_that_is_recorded_and_how_to_load_it(panel):
    shown = panel()
    shown.row(3).click()
    page = shown.page.locator("article")
    for text in (
        "accuracy",
        "0.97",
        "NaN",
        "lbfgs",
        "petal length",
        "float64",
        "species",
        "scikit-learn==1.9.1",
        "model.fit(X, y)",
        "Python 3.11.2",
        "second fit",
        "registry.load('models:/Iris/3')",
        "by Grace",
    ):
        expect(page.get_by_text(text).first).to_be_visible()
    shown.page.locator("section", has_text="Load it").get_by_role("button", name="Copy").click()
    expect(shown.said).to_have_text("Copied")
    shown.button("Describe…").click()
    shown.dialog.get_by_label("Description").fill("")
    shown.keys("Control+V")
    assert shown.dialog.get_by_label("Description").input_value() == SHOWN["load"][0]


def test_where_a_version_came_from_is_told_in_cells_and_words_and_nothing_is_raw(panel):
    forced = {**SHOWN["history"][0], "forced": True, "because": "the old server burns"}
    told = {**SHOWN, "params": {"grid": {"C": [1, 2], "deep": {"on": True}}}, "history": [forced]}
    shown = panel(replies={"show": good(told)})
    shown.row(3).click()
    cells = shown.page.locator(".provenance .cell")
    assert cells.locator(".prompt").all_inner_texts() == ["In [3]", "In [12]"]
    expect(cells.locator("pre").last).to_have_text("model = LogisticRegression(max_iter=500)\nmodel.fit(X, y)")
    look = cells.locator("code").last.evaluate(
        "one => { const {fontFamily, textAlign, whiteSpace} = getComputedStyle(one); return "
        "[fontFamily.includes('monospace'), ['left', 'start'].includes(textAlign), whiteSpace]; }"
    )
    assert look == [True, True, "pre"]
    part = shown.page.locator(".provenance")
    for text in ("569 rows × 30 columns", "1a2b3c4 on main, with uncommitted changes"):
        expect(part.get_by_text(text)).to_be_visible()
    expect(part.get_by_text("0a1b2c3d")).to_be_hidden()
    part.get_by_text("Identifiers").click()
    expect(part.get_by_text("0a1b2c3d")).to_be_visible()
    text = shown.page.locator("article").inner_text()
    assert not set('{}"') & set(text), "no notation of a machine"
    assert "C: (1, 2), deep: (on: yes)" in text
    assert "forced the old server burns" in " ".join(shown.page.locator("article td").last.text_content().split())


def test_a_version_that_is_gone_says_so_and_leads_back(panel):
    shown = panel(replies={"show": bad("NotFound", "Iris has no version 3")})
    shown.row(3).click()
    expect(shown.page.locator("article .trouble")).to_have_text("Iris has no version 3")
    shown.button("Back to the versions").click()
    expect(shown.grid).to_be_visible()


def test_comparison_starts_with_production_and_the_newest_and_shows_the_better(panel):
    shown = panel()
    shown.button("Compare").last.click(force=True)
    assert shown.sent("compare") == [], "one version has to be marked first"
    shown.page.get_by_role("navigation").get_by_role("button", name="Compare").click()
    assert shown.sent("compare") == [{"model": "Iris", "a": 2, "b": 3, "all": False}]
    row = shown.page.get_by_role("row", name="accuracy")
    assert row.inner_text().split() == ["accuracy", "0.95", "better", "0.97", "+0.02"]
    shown.page.get_by_label("show equal values").check()
    assert shown.sent("compare")[-1]["all"] is True
    shown.button("Swap").click()
    assert (shown.sent("compare")[-1]["a"], shown.sent("compare")[-1]["b"]) == (3, 2)
    shown.reply("compare", bad("NotFound", "Iris has no version 9"))
    shown.page.get_by_label("First version").fill("9")
    shown.keys("Enter")
    expect(shown.page.get_by_role("alert")).to_have_text("Iris has no version 9")
    shown.reply("compare", good({"rows": []}))
    shown.page.get_by_label("First version").fill("1")
    shown.keys("Tab")
    expect(shown.page.get_by_text("No recorded value differs.")).to_be_visible()


def test_history_is_a_list_a_picture_and_the_same_as_a_table(panel):
    shown = panel()
    shown.button("History").click()
    assert shown.sent("history") == [{"model": "Iris", "limit": 200}]
    events = shown.page.get_by_role("table", name="History").get_by_role("row")
    assert events.nth(1).inner_text().split("\t") == [
        "3 d ago",
        "Grace",
        "promoted Iris 2 to Production",
        "0.95 on holdout",
    ]
    assert shown.page.get_by_role("img").get_attribute("aria-label").startswith("Versions by stage over time: 3 bars")
    bars = shown.page.locator(".timeline rect").evaluate_all(
        "all => all.map(one => one.getBBox()).map(b => [b.x, b.x + b.width])"
    )
    assert bars[0][1] == pytest.approx(bars[1][0], abs=2), "2 took over from 1 at that moment"
    shown.page.get_by_text("Versions by stage, as a table").click()
    rows = shown.page.get_by_role("table", name="Versions by stage").get_by_role("row")
    assert rows.nth(1).inner_text().split("\t")[:2] == ["Production", "2"]
    assert rows.nth(1).inner_text().split("\t")[3:] == ["now", "Grace", "better"]


def test_the_history_of_the_registry_and_older_events(panel):
    shown = panel(model="")
    shown.reply(
        "history",
        good(
            {
                "events": [
                    {
                        "at": NOW,
                        "user": "ada",
                        "action": "created",
                        "name": "Churn",
                        "version": None,
                        "text": "created Churn",
                        "because": "",
                    }
                ],
                "more": True,
                "timeline": [],
            }
        ),
    )
    shown.button("History").click()
    expect(shown.page.get_by_text("created Churn")).to_be_visible()
    shown.button("Older events").click()
    assert shown.sent("history") == [{"model": None, "limit": 200}, {"model": None, "limit": 1000}]


def test_registering_sends_the_form_tells_the_progress_and_opens_the_new_version(panel):
    shown = panel(replies={"show": None})
    shown.button("Register…").click()
    shown.page.get_by_label("Variable", exact=True).fill("linear")
    assert shown.page.get_by_label("Model name").input_value() == "Iris"
    for label, text in {
        "Example": "X",
        "Metrics": "accuracy=0.98",
        "Tags": "team=flowers",
        "Description": "Third.",
        "Why?": "better",
    }.items():
        shown.page.get_by_label(label).fill(text)
    shown.button("Register").click()
    assert shown.sent("register") == [
        {
            "variable": "linear",
            "path": "",
            "name": "Iris",
            "example": "X",
            "metrics": "accuracy=0.98",
            "tags": "team=flowers",
            "description": "Third.",
            "because": "better",
        }
    ]
    shown.page.evaluate("model.emit({id: model.sent.at(-1).id, progress: 'saving…'})")
    expect(shown.said).to_have_text("saving…")
    shown.button("Register").click(force=True)
    assert len(shown.sent("register")) == 1
    shown.patch(version(4))
    shown.answer("register", good({"sentence": "Registered Iris 4", "model": "Iris", "version": 4}))
    expect(shown.page.get_by_role("heading", name="Iris 4", exact=True)).to_be_visible()
    expect(shown.said).to_have_text("Registered Iris 4")


def test_a_file_or_folder_is_registered_without_a_variable(panel):
    shown = panel(variables=[])
    shown.button("Register…").click()
    shown.page.get_by_label("Or a file or folder").fill("model.onnx")
    shown.button("Register").click()
    (sent,) = shown.sent("register")
    assert (sent["path"], sent["variable"], sent["name"]) == ("model.onnx", "", "Iris")


def test_an_error_while_registering_keeps_what_was_typed(panel):
    shown = panel(replies={"register": bad("Invalid", "there is no variable 'forest' in this notebook any more")})
    shown.button("Register…").click()
    shown.page.get_by_label("Model name").fill("")
    shown.button("Register").click()
    expect(shown.page.get_by_role("alert")).to_have_text("Fill in “Model name”.")
    shown.page.get_by_label("Model name").fill("Roses")
    shown.keys("Enter")
    expect(shown.page.get_by_role("alert")).to_contain_text("any more")
    assert shown.page.get_by_label("Model name").input_value() == "Roses"
    shown.button("Refresh").click()
    shown.set(variables=[{"name": "tree", "type": "Tree"}])
    assert shown.page.get_by_label("Variable", exact=True).input_value() == "tree"
    expect(shown.page.get_by_text("tree (Tree); or an expression, such as grid.best_estimator_")).to_be_visible()
    assert shown.page.get_by_label("Model name").input_value() == "Roses"


def test_without_a_variable_to_register_it_says_what_to_do(panel):
    shown = panel(variables=[])
    shown.button("Register…").click()
    expect(shown.page.get_by_text("fit a model in a cell, then refresh")).to_be_visible()
    shown.button("Register").click(force=True)
    assert shown.sent() == []


def test_the_registry_is_checked_from_the_menu(panel):
    shown = panel(model="", replies={"check": good({"ok": False, "lines": ["Iris 2: its bytes are damaged"]})})
    shown.button("More").click()
    shown.page.get_by_role("menuitem", name="Check every byte").click()
    expect(shown.said).to_have_text("Iris 2: its bytes are damaged")
    assert shown.sent("check") == [{"deep": False}]


def test_of_two_versions_numbers_have_equal_decimals_and_sizes_a_unit(panel):
    rows = [
        {"section": "metrics", "name": "accuracy", "a": 0.9343, "b": 0.943, "difference": 0.0087, "better": "b"},
        {"section": "metrics", "name": "auc", "a": 0.93431, "b": 0.93432, "difference": 0.00001, "better": "b"},
        {"section": "record", "name": "size", "a": 784, "b": 3_400_000, "difference": 3_399_216, "better": None},
        {"section": "params", "name": "C", "a": 0.000123456, "b": 0.000123457, "difference": 1e-9, "better": None},
    ]
    shown = panel(view="compare", replies={"compare": good({"rows": rows})})

    def cells(name):
        return (
            shown.page.locator("tr", has=shown.page.locator(f"td:first-child:text-is('{name}')"))
            .locator("td")
            .all_inner_texts()[1:]
        )

    assert cells("accuracy") == ["0.9343", "better 0.9430", "+0.0087"]
    assert cells("auc") == ["0.93431", "better 0.93432", "+1e-05"], "what differs does not read the same"
    assert cells("size") == ["784 B", "3.4 MB", "+3.4 MB"]
    assert cells("C")[:2] == ["0.000123456", "0.000123457"], "what was set keeps its digits"
    aligned = (
        shown.page.locator(".compared")
        .first.locator("td")
        .evaluate_all("all => all.map(one => getComputedStyle(one).textAlign)")
    )
    assert aligned[:4] == ["left", "right", "right", "right"]


def test_who_held_a_stage_for_seconds_is_drawn_and_on_top(panel):
    stints = [
        {"stage": "Production", "version": 1, "from": NOW - 80 * DAY, "to": NOW - 9 * DAY, "by": "ada", "because": ""},
        {
            "stage": "Production",
            "version": 2,
            "from": NOW - 9 * DAY,
            "to": NOW - 9 * DAY + 9,
            "by": "ada",
            "because": "",
        },
        {"stage": "Production", "version": 1, "from": NOW - 9 * DAY + 9, "to": None, "by": "ada", "because": ""},
    ]
    shown = panel(view="history", replies={"history": good({**HISTORY, "timeline": stints})})
    bars = shown.page.locator(".stint").evaluate_all(
        "all => all.map(one => [one.textContent.slice(0, 1), one.querySelector('rect').getBBox().width])"
    )
    assert bars[-1][0] == "2"
    assert bars[-1][1] >= 6
