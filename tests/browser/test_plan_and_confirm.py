"""Changes, without Jupyter: planned, confirmed, done once, and what is shown of it."""

import base64

import pytest
from bare_page import PLAN, SHOWN, bad, columns, done, good, three, version
from playwright.sync_api import expect

CONFLICT = bad("Conflict", "Grace promoted Iris 1 to Production while you were looking; nothing was changed")


# -- changes -----------------------------------------------------------------------------------------------------------


def test_promoting_names_what_will_happen_asks_why_and_says_what_was_done(panel):
    shown = panel()
    shown.grid.focus()
    shown.keys("Enter")
    shown.button("Promote…").click()
    expect(shown.dialog.locator(".sentence")).to_have_text("3 goes to Production, 2 is archived")
    assert shown.sent("plan") == [{"do": "promote", "model": "Iris", "version": 3, "stage": "Production"}]
    assert shown.focus_is("input")
    shown.page.keyboard.type("0.97 on holdout")
    shown.keys("Enter")
    assert shown.sent("promote") == [
        {
            "model": "Iris",
            "version": 3,
            "stage": "Production",
            "because": "0.97 on holdout",
            "expected": 2,
            "force": False,
        }
    ]
    shown.patch(
        *[{**row, "stage": stage} for row, stage in zip(three(), ("Archived", "Archived", "Production"), strict=True)]
    )
    shown.answer("promote", done())
    expect(shown.dialog).to_have_count(0)
    expect(shown.said).to_have_text("Promoted Iris 3 to Production; archived Iris 2")
    expect(shown.page.locator("article .title .stage")).to_have_text("Production")
    assert shown.focused != "body", "a key pressed now must not be the notebook's"


@pytest.mark.parametrize(
    ("choose", "plan", "op", "args"),
    [
        ("Archive…", ("archive", 3, "Archived"), "archive", {"version": 3, "seen": "None"}),
        ("Delete…", ("delete", 3, None), "delete", {"version": 3, "seen": "None"}),
        (
            "Promote to Staging…",
            ("promote", 3, "Staging"),
            "promote",
            {"version": 3, "stage": "Staging", "expected": 2, "force": False},
        ),
    ],
)
def test_each_move_is_planned_confirmed_and_sent_as_it_was_seen(panel, choose, plan, op, args):
    shown = panel()
    shown.row(3).click(button="right")
    shown.page.get_by_role("menuitem", name=choose).click()
    do, number, stage = plan
    found = shown.sent("plan")[0]
    assert (found["do"], found["version"]) == (do, number)
    assert stage in {found["stage"], None, "Archived"}
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.dialog.get_by_role("button").last.click()
    assert shown.sent(op) == [{"model": "Iris", "because": "", **args}]
    shown.answer(op, done("Done that"))
    expect(shown.said).to_have_text("Done that")
    assert shown.focus_is("grid: Versions of Iris")


def test_rolling_back_shows_the_target_before_the_click(panel):
    plan = {"sentence": "1 goes back to Production, 2 is archived", "expected": 2, "target": 1, "seen": "Archived"}
    shown = panel(replies={"plan": good(plan)})
    shown.button("More").click()
    shown.page.get_by_role("menuitem", name="Roll back…").click()
    expect(shown.dialog.locator(".sentence")).to_have_text(plan["sentence"])
    shown.dialog.get_by_role("button", name="Roll back").click()
    assert shown.sent("rollback") == [{"model": "Iris", "to": 1, "because": "", "expected": 2}]


def test_nothing_to_roll_back_to_is_said_and_cannot_be_confirmed(panel):
    shown = panel(replies={"plan": bad("NothingToRollBack", "nothing held Production before 2")})
    shown.button("More").click()
    shown.page.get_by_role("menuitem", name="Roll back…").click()
    expect(shown.dialog.get_by_role("alert")).to_have_text("nothing held Production before 2")
    shown.dialog.get_by_role("button", name="Roll back").click(force=True)
    shown.keys("Enter")
    assert shown.sent() == ["plan"]
    shown.keys("Escape")
    expect(shown.dialog).to_have_count(0)


def test_a_conflict_is_shown_nothing_is_overwritten_and_the_plan_is_made_anew(panel):
    shown = panel(replies={"promote": CONFLICT})
    shown.row(3).click()
    shown.button("Promote…").click()
    shown.dialog.get_by_role("textbox").fill("mine is better")
    shown.reply("plan", good({**PLAN, "sentence": "3 goes to Production, 1 is archived", "expected": 1}))
    shown.dialog.get_by_role("button", name="Promote").click()
    expect(shown.dialog.get_by_role("alert")).to_contain_text("while you were looking")
    expect(shown.dialog.locator(".sentence")).to_have_text("3 goes to Production, 1 is archived")
    assert shown.dialog.get_by_role("textbox").input_value() == "mine is better"
    shown.reply("promote", done())
    shown.dialog.get_by_role("button", name="Promote").click()
    expect(shown.dialog).to_have_count(0)
    assert [args["expected"] for args in shown.sent("promote")] == [2, 1]


def test_cancel_and_escape_change_nothing(panel):
    shown = panel()
    shown.row(3).click()
    for leave in (lambda: shown.dialog.get_by_role("button", name="Cancel").click(), lambda: shown.keys("Escape")):
        shown.button("Promote…").click()
        expect(shown.dialog).to_be_visible()
        leave()
        expect(shown.dialog).to_have_count(0)
        assert shown.focus_is("button: Promote…")
    assert set(shown.sent()) == {"show", "plan"}


def test_a_double_click_acts_once(panel):
    shown = panel()
    shown.row(3).click()
    shown.button("Promote…").click()
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.dialog.get_by_role("button", name="Promote").dblclick()
    shown.keys("Enter", "Enter")
    assert len(shown.sent("promote")) == 1


def test_tags_are_added_and_taken_away(panel):
    shown = panel()
    shown.row(3).click()
    shown.button("Tag…").click()
    shown.keys("Enter")
    expect(shown.dialog.get_by_role("alert")).to_have_text("Fill in “Tags”.")
    shown.dialog.get_by_label("Tags").fill('team=flowers, note="a, b", bare=, __proto__=x')
    shown.dialog.get_by_role("button", name="Tag").click()
    expect(shown.dialog.get_by_role("button", name="Tag")).to_have_attribute("aria-busy", "true")
    sent = shown.page.evaluate("model.sent.at(-1).args.tags")
    assert sent == 'team=flowers, note="a, b", bare=, __proto__=x', "the kernel reads it, by its one grammar"
    shown.answer("tag", done("Tagged Iris 3: team=flowers"))
    shown.button("Remove tag team").click()
    assert shown.sent("untag") == [{"model": "Iris", "version": 3, "keys": ["team"]}]
    shown.answer("untag", bad("StorageError", "the folder is read-only"))
    expect(shown.said).to_have_text("the folder is read-only")


def test_a_description_is_edited_against_what_was_there(panel):
    shown = panel()
    shown.row(3).click()
    expect(shown.page.locator(".markdown strong")).to_have_text("again")
    shown.button("Describe…").click()
    text = shown.dialog.get_by_label("Description")
    assert text.input_value() == "Fitted **again**."
    text.fill("")
    shown.page.keyboard.type("Better.\nAnd shorter.")
    shown.keys("Control+Enter")
    assert shown.sent("describe") == [
        {"model": "Iris", "version": 3, "text": "Better.\nAnd shorter.", "seen": "Fitted **again**."}
    ]


def test_aliases_are_set_and_removed(panel):
    shown = panel()
    shown.row(3).click()
    shown.button("Alias…").click()
    shown.dialog.get_by_label("Alias").fill("champion")
    shown.keys("Enter")
    assert shown.sent("alias") == [{"model": "Iris", "version": 3, "alias": "champion"}]
    shown.answer("alias", done("Pointed @champion of Iris to 3"))
    expect(shown.dialog).to_have_count(0)
    shown.button("Remove alias challenger").click()
    assert shown.sent("unalias") == [{"model": "Iris", "alias": "challenger"}]


def test_the_model_itself_is_described_tagged_renamed_and_deleted(panel):
    shown = panel()

    def choose(item):
        shown.button("More").click()
        shown.page.get_by_role("menuitem", name=item).click()

    shown.reply("show", good({"description": "Three flowers,\nand no more."}))
    choose("Describe the model…")
    assert shown.sent("show") == [{"model": "Iris", "version": None}]
    expect(shown.dialog.get_by_label("Description")).to_have_value("Three flowers,\nand no more.")
    shown.keys("Control+Enter")
    assert shown.sent("describe") == [
        {
            "model": "Iris",
            "version": None,
            "text": "Three flowers,\nand no more.",
            "seen": "Three flowers,\nand no more.",
        }
    ]
    shown.keys("Escape")
    choose("Tag the model…")
    shown.dialog.get_by_label("Tags").fill("a=1")
    shown.keys("Enter")
    assert shown.sent("tag") == [{"model": "Iris", "version": None, "tags": "a=1"}]
    shown.keys("Escape")
    choose("Remove a tag of the model…")
    expect(shown.said).to_have_text("Iris has no tags")
    shown.reply("show", good({"tags": {"a": "1", "b": "<b>"}}))
    choose("Remove a tag of the model…")
    expect(shown.dialog.get_by_role("option")).to_have_text(["a=1", "b=<b>"])
    shown.dialog.get_by_label("Tag", exact=True).select_option("b")
    shown.button("Remove").click()
    assert shown.sent("untag") == [{"model": "Iris", "version": None, "keys": ["b"]}]
    shown.keys("Escape")
    choose("Rename…")
    shown.dialog.get_by_label("New name").fill("Flowers")
    shown.keys("Enter")
    assert shown.sent("rename") == [{"model": "Iris", "new": "Flowers"}]
    shown.set(model="Flowers", versions=columns(three(), model="Flowers"))
    shown.answer("rename", good({"sentence": "Renamed Iris to Flowers", "model": "Flowers", "version": None}))
    expect(shown.page.locator(".place b")).to_have_text("Flowers")
    assert shown.rows == ["3", "2", "1"]
    choose("Delete the model…")
    assert shown.focus_is("input"), "not on the button that deletes"
    expect(shown.dialog.get_by_role("heading")).to_have_text("Delete Flowers with all its versions?")


# -- where one looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_on_a_long_page_what_was_done_is_seen_without_scrolling_and_covers_no_control(panel, page, motion):
    page.emulate_media(reduced_motion=motion)
    long = {**SHOWN, "requirements": [f"library-{n}==1.0" for n in range(40)], "history": SHOWN["history"] * 60}
    shown = panel(height=420, width=700, replies={"show": good(long), "promote": done()})
    shown.row(3).click()
    shown.button("Promote…").click()
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.dialog.get_by_role("button", name="Promote").click()
    expect(shown.dialog).to_have_count(0)
    toast = shown.page.locator(".toast")
    expect(toast).to_have_text("Promoted Iris 3 to Production; archived Iris 2")
    expect(toast).to_be_in_viewport(ratio=1)
    box = toast.bounding_box()
    for control in shown.page.locator(".panel button:visible").all():
        other = control.bounding_box()
        apart = [box[a] + box[size] <= other[a] or other[a] + other[size] <= box[a] for a, size in
                 (("x", "width"), ("y", "height"))]  # fmt: skip
        assert any(apart), control.inner_text()
    assert shown.page.locator("[role=status].said").count() == 1, "one line is read out; the toast is for the eye"
    assert toast.get_attribute("aria-hidden") == "true"
    seconds = toast.evaluate("one => parseFloat(getComputedStyle(one).animationDuration)")
    assert (seconds < 0.01) == (motion == "reduce")
    shown.said.scroll_into_view_if_needed()
    expect(toast).to_be_hidden()


def test_where_the_line_itself_is_in_sight_nothing_is_said_twice(panel):
    shown = panel(replies={"promote": done()})
    shown.row(3).click(button="right")
    shown.page.get_by_role("menuitem", name="Promote to Production…").click()
    expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    shown.keys("Enter")
    expect(shown.said).to_have_text("Promoted Iris 3 to Production; archived Iris 2")
    expect(shown.page.locator(".toast")).to_be_hidden()


# -- the board ---------------------------------------------------------------------------------------------------------


def test_a_card_is_dragged_to_another_stage(panel):
    shown = panel(view="board")
    lanes = shown.page.locator(".lane")
    assert lanes.locator("h3").all_inner_texts() == ["No stage\n1", "Staging\n0", "Production\n1", "Archived\n1"]
    lanes.nth(0).locator(".card").drag_to(lanes.nth(2))
    expect(shown.dialog.get_by_role("heading")).to_have_text("Promote Iris 3 to Production?")
    expect(shown.dialog.locator(".sentence")).to_have_text("3 goes to Production, 2 is archived")
    shown.keys("Enter")
    assert shown.sent("promote")[0]["version"] == 3
    shown.patch(
        *[{**row, "stage": stage} for row, stage in zip(three(), ("Archived", "Archived", "Production"), strict=True)]
    )
    shown.answer("promote", done())
    expect(lanes.nth(2).locator(".card b")).to_have_text("3")
    expect(lanes.nth(3).locator(".card")).to_have_count(2)
    lanes.nth(2).locator(".card").drag_to(lanes.nth(2))
    expect(shown.dialog).to_have_count(0)


def test_a_card_is_moved_by_keyboard_through_its_menu(panel):
    shown = panel(view="board")
    shown.page.locator(".card .open").first.focus()
    shown.keys("ArrowRight")
    assert shown.focus_is("button: 2 in Production"), "the empty lane is passed over"
    shown.keys("ArrowRight")
    assert shown.focus_is("button: 1 in Archived")
    shown.keys("ArrowLeft", "Tab")
    assert shown.focus_is("button: Move version 2 to…")
    shown.keys("Enter")
    assert shown.page.get_by_role("menuitem").all_inner_texts() == ["No stage", "Staging", "Archived"]
    shown.keys("Escape")
    assert shown.focus_is("button: Move version 2 to…")
    shown.keys("Enter", "Enter")
    expect(shown.dialog.get_by_role("heading")).to_have_text("Remove Iris 2 from its stage?")
    shown.keys("Enter")
    sent = shown.sent("stage")[0]
    assert sent == {"model": "Iris", "version": 2, "stage": "None", "because": "", "expected": 2, "seen": "None"}
    shown.patch({**three()[1], "stage": "None"})
    shown.answer("stage", done("Moved Iris 2 to None", 2))
    expect(shown.dialog).to_have_count(0)
    assert shown.focus_is("button: 2 in None"), "the focus follows the card"
    shown.keys("Enter")
    expect(shown.page.locator("article, [role=menu]").first).to_be_visible()


def test_a_board_of_many_shows_the_newest_and_leads_to_the_rest(panel):
    shown = panel(view="board", versions=[version(number, stage="Archived") for number in range(1, 301)])
    expect(shown.page.locator(".card")).to_have_count(40)
    expect(shown.page.locator(".card b").first).to_have_text("300")
    shown.button("260 more in the table").click()
    assert shown.page.get_by_label("Search or filter versions").input_value() == "stage = 'Archived'"


def test_badges_that_were_looked_up_afterwards_appear_in_their_rows(panel):
    shown = panel()
    trust = shown.page.get_by_role("columnheader", name="Trust")
    expect(trust).to_have_count(0)
    foreign, known = (base64.b64encode(bytes([byte])).decode() for byte in (0b0110, 0b1000))  # 1 and 2; 3
    bits = {"foreign": foreign, "known": known}
    shown.emit(patch={"revision": 2, "model": "Iris", "badges": bits}, news=[])
    expect(trust).to_have_count(1)
    assert [shown.row(n).locator(".trust").inner_text().strip() for n in (1, 2, 3)] == [
        "untrusted",
        "untrusted",
        "known",
    ]
    expect(shown.page.locator(".row.fresh")).to_have_count(0)
    shown.row(1).click()
    expect(shown.page.locator(".title")).to_contain_text("untrusted")
    shown.emit(patch={"revision": 3, "model": "Iris", "badges": {}}, news=[])
    expect(shown.page.locator(".title")).not_to_contain_text("untrusted")
