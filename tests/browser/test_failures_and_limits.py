"""How the panel behaves when things are not as they should be: a slow kernel, hostile words, too many rows."""

import pytest
from bare_page import NOW, SHOWN, STAGES, bad, columns, done, good, model_row, three, version
from playwright.sync_api import expect

CANARY = (
    "<script>document.title = 'executed'</script>",
    "<img src=x onerror=\"document.title = 'executed'\">",
    "</style><svg onload=\"document.title = 'executed'\">",
    "[click](javascript:document.title='executed')",
    "{{constructor.constructor('document.title=1')()}} ${document.title = 'executed'}",
    "\u202eright to left\u202c, \u200bnothing, \x00 nor \x07",
    "__proto__",
    "constructor",
    "👩‍👩‍👧 " + "x" * 10_000,
)


def promoting(panel, **more):
    """Open version 3, ask to promote it, and press the button: nobody answers yet."""
    shown = panel(clock=True, **more)
    shown.row(3).click()
    shown.button("Promote…").click()
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.dialog.get_by_role("button", name="Promote").click()
    return shown, shown.dialog.get_by_role("button", name="Promote")


# -- a kernel that is busy, or gone ------------------------------------------------------------------------------------


def test_without_an_answer_it_is_queued_then_nobody_answers_and_the_button_comes_back(panel):
    shown, go = promoting(panel)
    trouble = shown.dialog.get_by_role("alert")
    shown.page.clock.run_for(1_900)
    expect(trouble).to_be_empty()
    assert go.get_attribute("aria-busy") == "true"
    shown.page.clock.run_for(200)
    expect(trouble).to_have_text("No answer for 2 s: the kernel is busy or gone.")
    go.click(force=True)
    assert len(shown.sent("promote")) == 1
    shown.page.clock.run_for(8_000)
    expect(trouble).to_have_text("No answer for 10 s: the kernel is busy or gone.")
    assert go.get_attribute("aria-busy") is None
    go.click()
    assert len(shown.sent("promote")) == 2


def test_a_late_answer_still_counts(panel):
    shown, _ = promoting(panel)
    shown.page.clock.run_for(60_000)
    shown.answer("promote", good({"sentence": "Promoted Iris 3 to Production", "model": "Iris", "version": 3}))
    expect(shown.dialog).to_have_count(0)
    expect(shown.said).to_have_text("Promoted Iris 3 to Production")


def test_an_answer_to_a_dialog_that_was_closed_meanwhile_is_told_below(panel):
    shown, _ = promoting(panel)
    shown.keys("Escape")
    expect(shown.dialog).to_have_count(0)
    shown.answer("promote", bad("Refused", "the policy says no"))
    expect(shown.said).to_have_text("the policy says no")


def test_an_answer_that_comes_in_time_is_never_called_queued(panel):
    shown, _ = promoting(panel)
    shown.answer("promote", bad("Refused", "the policy says no"))
    shown.page.clock.run_for(20_000)
    expect(shown.dialog.get_by_role("alert")).to_have_text("the policy says no")


def test_the_spinner_waits_200_milliseconds(panel):
    _shown, go = promoting(panel)
    delays = go.evaluate("b => getComputedStyle(b, '::before').animationDelay")
    assert "0.2s" in delays


def test_progress_ends_the_waiting_for_a_first_word(panel):
    shown = panel(clock=True)
    shown.button("Register…").click()
    shown.button("Register").click()
    shown.page.evaluate("model.emit({id: model.sent.at(-1).id, progress: 'saving…'})")
    shown.page.clock.run_for(60_000)
    expect(shown.said).to_have_text("saving…")
    assert shown.button("Register").get_attribute("aria-busy") == "true"


def end(shown):
    """Let the comm end, as ipywidgets tells of it when the kernel restarts."""
    shown.page.evaluate("model.comm_live = false; model.heard['comm_live_update'].forEach(f => f())")


LOST = "This panel lost its kernel. Run the cell again."


def test_who_lost_the_kernel_is_told_at_once_and_finds_nothing_to_press(panel):
    shown = panel(replies={"promote": done()})
    shown.row(3).click()
    shown.button("Promote…").focus()
    end(shown)
    expect(shown.page.get_by_role("alert").first).to_have_text(LOST)
    before = shown.page.evaluate("model.sent.length")
    for name in ("Promote…", "Compare…", "History", "Register…", "More", "Models"):
        assert shown.button(name).first.get_attribute("aria-disabled") == "true", name
        shown.button(name).first.click(force=True)
    shown.button("Promote…").focus()
    shown.keys("Enter", "Space")
    expect(shown.dialog).to_have_count(0)
    expect(shown.page.get_by_role("heading", name="Provenance")).to_be_visible()
    assert shown.page.evaluate("model.sent.length") == before
    assert shown.page.locator(".panel").get_by_text("Loading…").count() == 0


def test_a_kernel_that_ends_without_a_word_is_noticed_within_three_seconds(panel):
    shown = panel(clock=True)
    shown.page.evaluate("model.comm_live = false")
    shown.page.clock.run_for(3_000)
    expect(shown.page.get_by_role("alert").first).to_have_text(LOST)


def test_a_line_that_takes_nothing_any_more_is_a_kernel_that_is_lost(panel):
    shown = panel()
    shown.page.evaluate("void (model.send = () => { throw new Error('Cannot send'); })")
    shown.row(3).click()
    expect(shown.page.get_by_role("alert").first).to_have_text(LOST)
    expect(shown.page.get_by_text("Loading…")).to_have_count(0)


def test_what_waits_for_a_lost_kernel_waits_no_longer_and_what_was_typed_stays(panel):
    shown = panel(replies={"describe": None})
    shown.row(3).click()
    shown.button("Describe…").click()
    shown.dialog.get_by_label("Description").fill("A long story")
    shown.keys("Control+Enter")
    end(shown)
    expect(shown.dialog.get_by_role("alert")).to_have_text(LOST)
    expect(shown.dialog.get_by_label("Description")).to_have_value("A long story")
    shown.dialog.get_by_role("button", name="Cancel").click()
    expect(shown.dialog).to_have_count(0)


BUSY = "The kernel is busy; this will be done when it is free."
KERNEL = """status => { model.widget_manager.kernel.status = status; }"""


def with_kernel(shown, status):
    """Draw it again above JupyterLab's manager, whose kernel has a status."""
    shown.page.evaluate(
        """async status => {
        model.widget_manager = {kernel: {id: 'k', status, connectionStatus: 'connected'}};
        ended.abort();
        window.ended = new AbortController();
        await draw();
        }""",
        status,
    )


def test_a_busy_kernel_is_told_from_a_lost_one_for_as_long_as_it_takes(panel):
    shown = panel(clock=True, replies={"show": None})
    with_kernel(shown, "busy")
    shown.row(3).click()
    shown.page.clock.run_for(60_000)
    expect(shown.said).to_have_text(BUSY)
    expect(shown.page.get_by_text(LOST)).to_have_count(0)
    shown.answer("show", good(SHOWN))
    expect(shown.page.get_by_role("heading", name="Provenance")).to_be_visible()
    expect(shown.said).to_be_empty()


@pytest.mark.parametrize("status", ["restarting", "autorestarting", "terminating", "dead"])
def test_a_kernel_whose_status_is_the_end_is_lost(panel, status):
    shown = panel(clock=True)
    with_kernel(shown, "idle")
    shown.page.evaluate(KERNEL, status)
    shown.page.clock.run_for(3_000)
    expect(shown.page.get_by_role("alert").first).to_have_text(LOST)


@pytest.mark.parametrize("now", ["null", "{id: 'another', status: 'idle', connectionStatus: 'connected'}"])
def test_a_kernel_that_is_shut_down_or_exchanged_is_lost(panel, now):
    shown = panel(clock=True)
    with_kernel(shown, "idle")
    shown.page.evaluate(f"model.widget_manager.kernel = {now}")
    shown.page.clock.run_for(3_000)
    expect(shown.page.get_by_role("alert").first).to_have_text(LOST)


def test_a_filter_and_a_page_that_nobody_answers_say_so(panel):
    shown = panel(clock=True, replies={"filter": None, "show": None})
    shown.page.get_by_label("Search or filter versions").fill("stage = 'Production'")
    shown.page.clock.run_for(2_400)
    expect(shown.page.locator(".search .trouble")).to_have_text("No answer for 2 s: the kernel is busy or gone.")
    shown.page.clock.run_for(8_000)
    expect(shown.page.locator(".search .trouble")).to_have_text("No answer for 10 s: the kernel is busy or gone.")
    shown.row(3).click()
    shown.page.clock.run_for(2_100)
    expect(shown.said).to_have_text("No answer for 2 s: the kernel is busy or gone.")


def test_where_no_kernel_answers_the_rows_are_a_picture_until_one_does(panel):
    shown = panel(clock=True, replies={"sync": None})
    expect(shown.row(2)).to_be_visible()
    shown.page.clock.run_for(10_100)
    expect(shown.page.get_by_role("note")).to_contain_text('registry.panel("Iris") in a cell starts the panel')
    shown.row(3).click(button="right")
    item = shown.page.get_by_role("menuitem", name="Promote to Production…")
    assert item.get_attribute("aria-disabled") == "true"
    item.click(force=True)
    assert shown.sent() == []
    keys = shown.page.keyboard
    keys.press("Escape")
    shown.answer("sync", good({}))
    expect(shown.page.get_by_role("note")).to_have_count(0)
    shown.row(3).click(button="right")
    assert item.get_attribute("aria-disabled") is None


def test_a_page_that_waits_for_the_kernel_gives_way_to_the_table_where_none_answers(panel):
    shown = panel(clock=True, view="version", version=3, replies={"sync": None, "show": None})
    expect(shown.page.get_by_text("Loading…")).to_be_visible()
    shown.page.clock.run_for(10_100)
    expect(shown.row(3)).to_be_visible()
    expect(shown.page.get_by_role("note")).to_contain_text("No kernel answers")


# -- live --------------------------------------------------------------------------------------------------------------


def test_what_others_do_shows_in_the_table_and_who_did_it_below(panel):
    shown = panel()
    shown.patch(
        {**three()[2], "stage": "Production"},
        {**three()[1], "stage": "Archived"},
        version(4, user="Grace"),
        gone=[1],
        news=[{"by": "Grace", "at": NOW, "text": "Grace promoted Iris 3 to Production"}],
    )
    assert shown.rows == ["4", "3", "2"]
    expect(shown.row(3)).to_contain_text("Production")
    expect(shown.page.locator(".news")).to_contain_text("Grace promoted Iris 3 to Production")
    assert shown.page.get_by_role("log").get_attribute("aria-live") == "polite"
    expect(shown.page.locator(".count")).to_have_text("3 versions")


def test_a_patch_of_the_list_and_of_another_model_changes_what_it_is_about(panel):
    shown = panel()
    shown.patch(
        version(9), model="Churn", models=[model_row("__proto__"), model_row("Iris", description="Four flowers")]
    )
    assert shown.rows == ["3", "2", "1"], "9 is a version of another model"
    expect(shown.page.locator(".about")).to_have_text("Four flowers")
    shown.button("Models").click()
    expect(shown.page.locator(".row")).to_have_count(3)
    expect(shown.page.locator(".row", has_text="__proto__")).to_have_count(1)


def test_a_patch_keeps_the_row_where_the_focus_is_and_the_sorting(panel):
    shown = panel()
    shown.page.get_by_role("columnheader", name="accuracy").get_by_role("button").click()
    shown.grid.focus()
    shown.page.keyboard.press("ArrowDown")
    assert shown.active == "2"
    shown.patch(version(4, metrics={"accuracy": 0.96}), version(5, metrics={"accuracy": 0.5, "new": 1}))
    assert shown.rows == ["3", "4", "2", "1", "5"]
    assert shown.active == "2"
    assert shown.focus_is("grid: Versions of Iris")


def test_a_page_and_the_board_follow_what_others_do(panel):
    shown = panel()
    shown.row(3).click()
    expect(shown.page.locator(".markdown")).to_be_visible()
    shown.button("Tag…").focus()
    shown.reply("show", good({**SHOWN, "tags": {"new": "tag"}}))
    shown.patch({**three()[2], "tags": {"new": "tag"}})
    expect(shown.page.locator(".tags")).to_contain_text("new=tag")
    assert shown.focus_is("button: Tag…")
    shown.patch(version(7))
    assert len(shown.sent("show")) == 2, "another version is none of this page's business"


def test_all_rows_sent_anew_replace_those_before(panel):
    shown = panel()
    shown.set(versions=columns([version(8), version(9)], model="Iris", revision=9))
    expect(shown.page.locator(".count")).to_have_text("2 versions")
    assert shown.rows == ["9", "8"]


def test_a_patch_that_comes_while_rows_are_unpacked_is_not_lost(panel):
    shown = panel()
    anew = columns([version(8), version(9)], model="Iris", revision=5)
    patch = {"revision": 6, "model": "Iris", "versions": {"10": version(10)}, "models": {}}
    older = {"revision": 5, "model": "Iris", "versions": {"11": version(11)}, "models": {}}
    shown.page.evaluate(
        """([text, patches]) => {
        model.set('versions', model.bytes(text));
        patches.forEach(patch => model.emit({patch, news: []}));
        }""",
        [anew, [older, patch]],
    )
    expect(shown.page.locator(".row")).to_have_count(3)
    assert shown.rows == ["10", "9", "8"], "what the rows had already is not put in again"


def test_a_renamed_and_a_deleted_model_are_followed(panel):
    shown = panel()
    shown.set(model="Flowers", versions=columns(three(), model="Flowers"))
    expect(shown.grid).to_have_accessible_name("Versions of Flowers")
    expect(shown.row(3)).to_be_visible()
    shown.set(model="", versions=None)
    expect(shown.grid).to_have_accessible_name("Models")


@pytest.mark.parametrize("gone", ["version", "model"])
def test_what_is_typed_stays_when_somebody_deletes_what_it_is_about(panel, gone):
    shown = panel(replies={"describe": bad("VersionNotFound", "Iris 3 no longer exists")})
    shown.row(3).click()
    shown.button("Describe…").click()
    shown.dialog.get_by_label("Description").fill("A long story")
    shown.patch(gone=[3]) if gone == "version" else shown.set(model="", versions=None)
    expect(shown.grid).to_have_accessible_name("Versions of Iris" if gone == "version" else "Models")
    expect(shown.dialog.get_by_label("Description")).to_have_value("A long story")
    shown.keys("Control+Enter")
    expect(shown.dialog.get_by_role("alert")).to_have_text("Iris 3 no longer exists")
    expect(shown.dialog.get_by_label("Description")).to_have_value("A long story")
    shown.keys("Escape")
    assert shown.focus_is("grid")


def test_two_views_of_one_widget_hear_their_own_answers(panel):
    shown = panel(replies={"show": None})
    shown.page.evaluate("document.body.append(Object.assign(document.createElement('div'), {id: 'other'}))")
    shown.page.evaluate(
        """async () => {
        document.querySelector('#root').id = 'first';
        document.querySelector('#other').id = 'root';
        await draw();
        }"""
    )
    ids = shown.page.evaluate("model.sent.map(m => m.id)")
    assert len(set(ids)) == len(ids) == 2
    first, second = shown.page.locator("#first .grid"), shown.page.locator("#root .grid")
    expect(first).to_be_visible()
    expect(second).to_be_visible()
    shown.patch(version(4))
    for grid in (first, second):
        expect(grid.locator(".row")).to_have_count(4)


def test_a_view_that_is_closed_leaves_no_listener_behind(panel):
    shown = panel()
    shown.page.evaluate("ended.abort()")
    assert shown.page.evaluate("Object.values(model.heard).flat().length") == 0


# -- a registry that cannot be written, or read ------------------------------------------------------------------------


def test_a_problem_is_told_the_rows_stay_and_nothing_can_be_changed_until_it_is_over(panel):
    shown = panel(view="board")
    shown.set(problem="the folder 'a/folder' is gone: has it been moved?")
    expect(shown.page.get_by_role("alert").first).to_contain_text("has it been moved?")
    expect(shown.page.locator(".card")).to_have_count(3)
    expect(shown.page.locator("[draggable]")).to_have_count(0)
    for name in ("Register…", "Move version 3 to…"):
        assert shown.button(name).get_attribute("aria-disabled") == "true"
    shown.button("Move version 3 to…").click(force=True)
    expect(shown.page.get_by_role("menu")).to_have_count(0)
    shown.set(problem="")
    expect(shown.page.locator("[draggable]")).to_have_count(3)
    assert shown.page.locator("p.bar").count() == 0


def test_a_registry_that_can_only_be_read_offers_no_change(panel):
    shown = panel(readonly=True)
    expect(shown.page.get_by_role("note")).to_have_text("This registry is read-only here.")
    shown.row(3).click()
    locked = shown.page.get_by_role("toolbar").locator("[aria-disabled=true]").all_inner_texts()
    assert locked == ["Promote…", "Move to…", "Archive…", "Tag…", "Describe…", "Alias…", "Delete…"]
    for name in locked:
        shown.button(name).click(force=True)
    shown.button("Remove tag team").click(force=True)
    assert shown.sent() == ["show"]
    shown.button("Compare…").click()
    assert shown.sent()[-1] == "compare", "looking is still possible"


# -- hostile words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", CANARY)
def test_hostile_words_are_shown_as_words_everywhere(panel, text):
    tags = {f"{text[:200]}{n}": text for n in range(3)}
    row = version(
        1,
        stage="Production",
        aliases=[text],
        tags=tags,
        metrics={text[:300]: 0.5},
        user=text,
        description=text,
        flavor=text,
        badges=[text],
    )
    stint = {"stage": "Production", "version": 1, "from": NOW - 9, "to": None, "by": text}
    event = {"at": NOW, "user": text, "action": text, "name": text, "version": 1, "text": text, "because": text}
    told = {
        **SHOWN,
        "version": 1,
        "description": text,
        "description_html": "",
        "tags": tags,
        "aliases": [text],
        "metrics": {text: text},
        "params": {text: text},
        "requirements": [text],
        "provenance": {
            "cells": [{"count": 1, "source": text}],
            "note": text,
            "facts": [[text, {text: [text]}]],
            "ids": [[text, text]],
        },
        "user": text,
        "flavor": text,
        "origin": text,
        "load": [text],
        "history": [event],
        "signature": [{"name": text, "dtype": text, "required": True, "side": "input"}],
    }
    difference = {"section": text, "name": text, "a": text, "b": text, "difference": text, "better": "a"}
    replies = {
        "show": good(told),
        "history": good({"events": [event], "timeline": [stint], "more": False}),
        "compare": good({"rows": [difference]}),
        "plan": good({"sentence": text, "expected": 1, "target": 1, "seen": "None"}),
        "promote": bad(text, text),
        "filter": bad(text, text),
    }
    shown = panel(
        model=text,
        models=[model_row(text, description=text, stages={"Production": [text]})],
        versions=[row],
        replies=replies,
        uri=text,
        user=text,
        problem=text,
        variables=[{"name": text, "type": text}],
    )
    shown.patch(news=[{"by": text, "at": NOW, "text": text}])
    for name in ("Board", "History", "Compare", "Versions"):
        shown.page.get_by_role("navigation").get_by_role("button", name=name).click()
    shown.page.get_by_label("Search or filter versions").fill("a = 'b'")
    expect(shown.page.locator(".search .trouble")).not_to_be_empty()
    shown.page.get_by_label("Search or filter versions").fill("")
    shown.set(problem="")
    shown.button("Metrics").click()
    shown.page.keyboard.press("Escape")
    shown.row(1).click()
    expect(shown.page.locator("article dd").first).to_be_visible()
    shown.page.get_by_role("toolbar").get_by_role("button", name="Roll back…").click()
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.dialog.get_by_role("button", name="Cancel").click()
    shown.button("Register…").click()
    shown.button("Models").click()
    expect(shown.page.locator(".row")).to_have_count(1)
    assert shown.page.title() == "panel", "something was executed"
    assert shown.page.evaluate("Object.keys(Object.prototype).length") == 0
    inside = shown.page.locator(".panel").evaluate(
        "panel => panel.querySelectorAll('script, img, iframe, a, [onload], [onerror]').length"
    )
    assert inside == 0
    cell = shown.page.locator(".row .cell.name").inner_text()
    assert not set(cell) & set("\u202e\u202c\u200b\x00\x07")
    assert cell.startswith(("<", "</style>", "[click]", "{{", "\\u202e", "__proto__", "constructor", "👩"))


# -- numbers, and many of them -----------------------------------------------------------------------------------------


def test_numbers_that_are_none_are_words_without_bars_and_sort_last(panel):
    values = [0.5, None, "NaN", "Infinity", "-Infinity", -1e-9, 123456789012]
    shown = panel(
        versions=[
            version(n + 1, metrics={"loss": value} if value is not None else {}) for n, value in enumerate(values)
        ]
    )
    cells = {row: shown.row(row).locator(".metric").inner_text().strip() for row in range(1, 8)}
    assert cells == {1: "0.5", 2: "", 3: "NaN", 4: "∞", 5: "−∞", 6: "−1e-09", 7: "123,456,789,012"}
    assert [shown.row(row).locator("i.bar").count() for row in range(1, 8)] == [0] * 7, "no share of what is negative"
    head = shown.page.get_by_role("columnheader", name="loss").get_by_role("button")
    head.click()
    assert shown.rows == ["4", "7", "1", "6", "5", "3", "2"]
    head.click()
    assert shown.rows == ["5", "6", "1", "7", "4", "3", "2"]


def test_200_tags_take_one_line_in_the_table_and_scroll_on_the_page(panel):
    tags = {f"key {n}": f"value {n}" for n in range(200)}
    shown = panel(
        versions=[version(1, tags=dict(list(tags.items())[:20]), tag_count=200)],
        replies={"show": good({**SHOWN, "tags": tags})},
    )
    assert shown.row(1).locator(".chips").last.inner_text().split("\n")[-1].endswith("+199")
    assert shown.row(1).bounding_box()["height"] == 28
    shown.row(1).click()
    expect(shown.page.locator(".tags li")).to_have_count(200)
    assert shown.page.locator(".tags").bounding_box()["height"] <= 240


def test_40_metrics_and_a_long_name_move_nothing_out_of_the_panel(panel):
    shown = panel(versions=[version(1, metrics={f"metric {'very ' * 9}{n}": n for n in range(40)})], width=420)
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.row(1).click()
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_of_10_000_versions_only_those_in_sight_are_drawn_whatever_is_sorted_filtered_or_scrolled(panel):
    versions = [
        version(
            n,
            stage=STAGES[n % 3 and n % 4],
            tags={"run": f"r{n * 7919 % 10007}"},
            metrics={"accuracy": (n * 7919 % 10007) / 10007},
            user=f"user {n % 17}",
        )
        for n in range(1, 10_001)
    ]
    shown = panel(versions=versions)
    first, drawn = shown.page.locator(".body .row .cell.version").first, shown.page.locator(".row")
    best_first = sorted(versions, key=lambda one: -one["metrics"]["accuracy"])
    nines = [one["version"] for one in best_first if one["tags"]["run"].startswith("r9")]
    expect(first).to_have_text("10000")
    assert drawn.count() < 40
    shown.page.get_by_role("columnheader", name="accuracy").get_by_role("button").click()
    expect(first).to_have_text(str(best_first[0]["version"]))
    assert drawn.count() < 40
    shown.page.get_by_label("Search", exact=False).fill("r9")
    expect(first).to_have_text(str(nines[0]))
    assert drawn.count() < 40
    shown.grid.evaluate("grid => { grid.scrollTop = 1e9; }")
    expect(shown.row(nines[-1])).to_have_count(1)
    assert drawn.count() < 40
