"""What a decision rests on, in the panel: an earlier state, the policy, the approvals, and a comparison on data."""

import pytest
from bare_page import DAY, HISTORY, NOW, REFUSED, REQUEST, SHADOW, SHOWN, bad, done, good
from playwright.sync_api import expect

SLIDER = "State at a moment"


def slider(shown):
    return shown.page.get_by_role("slider", name=SLIDER)


def promoting(shown, plan=REFUSED):
    shown.reply("plan", good(plan))
    shown.row(3).click()
    shown.button("Promote…").click()
    return shown.dialog


def test_the_arrow_keys_go_from_event_to_event(panel):
    shown = panel(view="history")
    slider(shown).focus()
    asked = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "Home"):
        shown.keys(key)
        expect(shown.page.locator(".moment")).to_contain_text("State on")
        shown.page.wait_for_function("n => model.sent.filter(m => m.op === 'asof').length === n", arg=len(asked) + 1)
        asked.append(shown.sent("asof")[-1]["at"])
    moments = [event["at"] for event in HISTORY["events"]]
    assert asked == [moments[2], moments[1], moments[2], moments[0]]
    shown.keys("End")
    expect(shown.page.locator(".moment")).to_have_text("Move the slider to see an earlier state")
    assert shown.sent("promote") == []


def test_the_table_tells_how_it_stood_and_what_was_deleted_since(panel):
    shown = panel(view="history")
    slider(shown).focus()
    shown.keys("ArrowLeft")
    table = shown.page.get_by_role("table", name="Versions at that moment")
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table.get_by_role("row").nth(1)).to_contain_text("1 deleted since")
    expect(table.get_by_role("row").nth(1)).to_contain_text("@champion")
    line = shown.page.locator(".held")
    assert line.get_attribute("visibility") == "visible"
    shown.button("Now").click()
    expect(table).to_have_count(0)
    assert line.get_attribute("visibility") == "hidden"
    shown.focus_is(f"input: {SLIDER}")


def test_a_screen_reader_hears_the_moment_not_its_milliseconds(panel):
    shown = panel(view="history")
    expect(slider(shown)).to_have_attribute("aria-valuetext", "now")
    slider(shown).focus()
    shown.keys("ArrowLeft")
    expect(slider(shown)).to_have_attribute("aria-valuetext", shown.page.evaluate(
        "at => new Date(at).toLocaleString('sv')", NOW - 3 * DAY))  # fmt: skip


def test_while_the_kernel_answers_only_the_last_place_is_asked_for(panel):
    shown = panel(view="history", replies={"asof": None})
    slider(shown).focus()
    shown.keys("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert len(shown.sent("asof")) == 1
    shown.answer("asof", bad("Invalid", "that was before the first event"))
    shown.page.wait_for_function("() => model.sent.filter(m => m.op === 'asof').length === 2")
    shown.answer("asof", good({"rows": [], "count": 0}))
    expect(shown.page.get_by_text("There were no versions.")).to_be_visible()
    assert shown.sent("asof")[-1]["at"] == HISTORY["events"][0]["at"]


def test_an_error_of_the_past_stands_where_the_table_would(panel):
    shown = panel(view="history", replies={"asof": bad("Invalid", "<b>no such moment</b>")})
    slider(shown).focus()
    shown.keys("ArrowLeft")
    expect(shown.page.locator(".result .trouble")).to_have_text("<b>no such moment</b>")


def test_forced_promotions_are_counted_and_marked(panel):
    events = [{**HISTORY["events"][2], "forced": True}]
    shown = panel(view="history", replies={"history": good({**HISTORY, "events": events, "forced": 1})})
    expect(shown.page.get_by_text("1 promotion overrode the policy")).to_be_visible()
    expect(shown.page.get_by_role("table", name="History").get_by_text("forced")).to_be_visible()


def test_what_a_policy_asks_for_stands_in_the_dialog_and_its_no_withholds_the_yes(panel):
    shown = panel()
    dialog = promoting(shown)
    rules = dialog.get_by_role("list", name="Rules of the policy").get_by_role("listitem")
    expect(rules).to_have_count(3)
    assert [one.split(":")[0] for one in rules.all_text_contents()] == ["passed", "failed", "not known"]
    offers = dialog.locator(".buttons button:visible")
    assert offers.all_inner_texts() == ["Cancel", "Ask for approval…", "Override…"]
    expect(dialog.get_by_role("button", name="Ask for approval…")).to_have_class("primary")
    assert shown.sent("promote") == []


def test_where_the_policy_says_no_enter_asks_for_approval_with_what_was_typed(panel):
    shown = panel(replies={"request": done("Asked for Iris 3 to go to Production")})
    dialog = promoting(shown, {**REFUSED, "asked": ["Grace"]})
    expect(dialog).to_contain_text("Grace asked for approval already.")
    dialog.get_by_label("Why?").fill("better on holdout")
    shown.keys("Enter")
    expect(dialog.get_by_role("heading")).to_have_text("Ask for Iris 3 to go to Production")
    expect(dialog.get_by_label("Why?")).to_have_value("better on holdout")
    shown.keys("Enter")
    expect(shown.said).to_have_text("Asked for Iris 3 to go to Production")
    assert shown.sent("promote") == []


def test_where_no_approval_is_missing_asking_comes_last_and_enter_overrides_nothing(panel):
    shown = panel(replies={"promote": done()})
    dialog = promoting(shown, {**REFUSED, "lacks_approval": False, "rows": REFUSED["rows"][::2]})
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    offers = dialog.locator(".buttons button:visible")
    assert offers.all_inner_texts() == ["Cancel", "Override…", "Ask for approval…"]
    assert dialog.locator(".buttons .primary:visible").count() == 0
    dialog.get_by_label("Why?").fill("the fire brigade is here")
    shown.keys("Enter")
    expect(dialog.get_by_role("button", name="Override…")).to_be_focused()
    shown.keys("Tab", "Enter")
    expect(dialog.get_by_role("heading")).to_have_text("Ask for Iris 3 to go to Production")
    expect(dialog.get_by_label("Why?")).to_have_value("the fire brigade is here")
    assert shown.sent("promote") == []


def test_what_passes_needs_nothing_more(panel):
    shown = panel(replies={"promote": done()})
    dialog = promoting(shown, {**REFUSED, "ok": True, "rows": REFUSED["rows"][:1]})
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    expect(dialog.get_by_role("checkbox")).to_have_count(0)
    dialog.get_by_role("button", name="Promote").click()
    expect(shown.said).to_contain_text("Promoted Iris 3")
    assert [args["force"] for args in shown.sent("promote")] == [False]


def test_a_no_is_overridden_by_keyboard_with_a_reason_and_says_so_to_the_kernel(panel):
    shown = panel(replies={"promote": done()})
    dialog = promoting(shown)
    dialog.get_by_role("button", name="Override…").focus()
    shown.keys("Enter")
    assert shown.focus_is("input")
    expect(dialog.get_by_role("button", name="Ask for approval…")).to_have_count(0)
    shown.keys("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Give a reason for overriding the policy.")
    shown.page.keyboard.type("the fire brigade is here")
    shown.keys("Enter")
    expect(shown.dialog).to_have_count(0)
    assert [(args["force"], args["because"]) for args in shown.sent("promote")] == [(True, "the fire brigade is here")]


def test_a_policy_that_was_set_meanwhile_changes_what_is_offered(panel):
    shown = panel(replies={"promote": bad("PolicyFailed", "Version 3 of Iris does not meet the policy")})
    dialog = promoting(shown, {**REFUSED, "ok": True, "rows": []})
    expect(dialog.locator(".sentence")).not_to_be_empty()
    shown.reply("plan", good(REFUSED))
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog.get_by_role("button", name="Ask for approval…")).to_be_visible()
    expect(dialog.get_by_role("alert")).to_have_text("Version 3 of Iris does not meet the policy")


def test_an_approval_that_does_not_count_is_no_green_line(panel):
    text = "Approved Iris 3 for Production (this approval does not count for the policy)"
    counted = good({"sentence": text, "model": "Iris", "version": 3, "doubtful": True})
    shown = panel(replies={"approve": counted, "show": good({**SHOWN, "requests": [REQUEST]})})
    shown.row(3).click()
    shown.button("Approve 3").click()
    shown.dialog.get_by_role("button", name="Approve").click()
    expect(shown.said).to_have_text(text)
    expect(shown.said).to_have_class("said warn")


def test_a_request_is_made_from_the_version_and_answered_there(panel):
    shown = panel(replies={"request": done("Asked for Iris 3 to go to Production"), "approve": done("Approved Iris 3"),
                           "show": good({**SHOWN, "requests": [REQUEST]})})  # fmt: skip
    shown.row(3).click()
    shown.page.get_by_role("button", name="Move to…").click()
    shown.page.get_by_role("menuitem", name="Ask for Production…").click()
    shown.dialog.get_by_label("Why?").fill("better")
    shown.dialog.get_by_role("button", name="Ask").click()
    expect(shown.said).to_contain_text("Asked for Iris 3")
    shown.button("Approve 3").click()
    shown.dialog.get_by_role("button", name="Approve").click()
    expect(shown.said).to_contain_text("Approved Iris 3")
    place = {"model": "Iris", "version": 3, "stage": "Production"}
    assert shown.sent("request") == [{**place, "because": "better"}]
    assert shown.sent("approve") == [{**place, "because": ""}]


def test_the_inbox_lists_who_waits_and_opens_the_version(panel):
    shown = panel(model="", replies={"reject": done("Rejected Iris 3")})
    shown.button("Requests").click()
    expect(shown.page.get_by_role("list", name="Requests")).to_contain_text("better on holdout")
    shown.button("Reject Iris 3").click()
    shown.dialog.get_by_label("Why?").fill("too slow")
    shown.dialog.get_by_role("button", name="Reject").click()
    expect(shown.said).to_contain_text("Rejected")
    assert [args["because"] for args in shown.sent("reject")] == ["too slow"]
    shown.button("Iris 3").click()
    expect(shown.page.get_by_role("heading", name="Iris 3")).to_be_visible()


def test_the_tab_counts_who_waits_and_a_request_has_what_the_policy_finds(panel):
    rows = [{"rule": "approved_by(1)", "found": "", "verdict": "passed"}]
    met = {**REQUEST, "rows": rows, "ok": True, "approved": ["bob"], "why_not": "you approved it already"}
    shown = panel(model="", view="requests", replies={"inbox": good({"requests": [REQUEST, {**met, "version": 4}]}),
                                                      "waiting": good({"count": 2})})  # fmt: skip
    expect(shown.button("Requests (2)")).to_be_visible()
    first, second = (shown.page.get_by_role("list", name="Requests").locator("> li").nth(n) for n in range(2))
    expect(first).to_contain_text("accuracy 0.97")
    expect(first.get_by_role("list")).to_contain_text("nobody approved it")
    assert first.get_by_role("button").all_inner_texts() == ["Iris 3", "Approve…", "Reject…"]
    expect(second).to_contain_text("Policy met")
    expect(second).to_contain_text("Approve is not offered: you approved it already")
    assert second.get_by_role("button").all_inner_texts() == ["Iris 4", "Promote…", "Reject…"]
    shown.button("Promote Iris 4 to Production").click()
    expect(shown.dialog.get_by_role("heading")).to_have_text("Promote Iris 4 to Production?")
    assert [(args["model"], args["version"]) for args in shown.sent("plan")] == [("Iris", 4)]


def test_where_the_policy_is_met_without_an_approval_none_is_offered(panel):
    rows = [{"rule": "metric(accuracy) >= 0.9", "found": "0.97", "verdict": "passed"}]
    why = "the policy requires no approval"
    met = {**REQUEST, "rows": rows, "ok": True, "why_not": why}
    shown = panel(model="", view="requests", replies={"inbox": good({"requests": [met]})})
    row = shown.page.get_by_role("list", name="Requests").locator("> li")
    expect(row).to_contain_text("Policy met: ")
    expect(row).to_contain_text(f"Approve is not offered: {why}")
    assert row.get_by_role("button").all_inner_texts() == ["Iris 3", "Promote…", "Reject…"]


def test_an_approval_that_does_not_count_says_so_beside_the_name(panel):
    asked = {**REQUEST, "approved": ["ada", "bob"], "uncounted": ["ada"]}
    shown = panel(model="", view="requests", replies={"inbox": good({"requests": [asked]})})
    row = shown.page.get_by_role("list", name="Requests").locator("> li")
    expect(row).to_contain_text("approved by ada (does not count), bob")


def test_the_slider_does_not_go_before_the_first_event(panel):
    first = HISTORY["events"][0]["at"] + 0.123
    events = [{**HISTORY["events"][0], "at": first}, *HISTORY["events"][1:]]
    shown = panel(view="history", replies={"history": good({**HISTORY, "events": events})})
    slider(shown).evaluate("s => { s.value = s.min; s.dispatchEvent(new Event('input')); }")
    shown.page.wait_for_function("() => model.sent.some(m => m.op === 'asof')")
    assert shown.sent("asof")[-1]["at"] >= first


def test_an_empty_inbox_says_how_one_asks(panel):
    shown = panel(model="", view="requests", replies={"inbox": good({"requests": []})})
    expect(shown.page.get_by_text("No open requests.")).to_be_visible()


def compared(shown, keep=False):
    shown.button("On data…").click()
    shown.page.get_by_role("menuitem", name="keep it" if keep else "Compare on data…").click()
    shown.dialog.get_by_label("Data").fill("X_test")
    shown.dialog.get_by_label("True answers").fill("y_test")
    shown.dialog.get_by_role("button", name="Compare").click()


def test_two_versions_are_compared_on_data_and_the_report_stands_above_the_differences(panel):
    shown = panel(view="compare")
    compared(shown)
    expect(shown.page.locator(".shadow .summary")).to_have_text(SHADOW["sentence"])
    measured = shown.page.get_by_role("table", name="Metrics, on the data")
    assert measured.locator("tbody tr").all_inner_texts() == ["accuracy\t1.00\t0.97", "log loss\t–\t0.5"]
    expect(shown.page.get_by_role("img", name="They agree on 97.3 % of the rows")).to_be_visible()
    assert shown.sent("shadow") == [
        {"model": "Iris", "a": 2, "b": 3, "save": False, "data": "X_test", "truth": "y_test", "by": ""}
    ]
    shown.focus_is("button: On data…")


def test_the_report_is_kept_with_its_reason(panel):
    shown = panel(view="compare", replies={"shadow": good({**SHADOW, "saved": True})})
    shown.button("On data…").click()
    shown.page.get_by_role("menuitem", name="keep it").click()
    shown.dialog.get_by_label("Data").fill("X_test")
    shown.dialog.get_by_label("Why?").fill("for the audit")
    shown.dialog.get_by_role("button", name="Compare").click()
    expect(shown.page.get_by_text("Kept in the history of 3")).to_be_visible()
    assert [(args["save"], args["because"]) for args in shown.sent("shadow")] == [(True, "for the audit")]


def test_a_report_leaves_when_other_versions_are_compared(panel):
    shown = panel(view="compare")
    compared(shown)
    expect(shown.page.locator(".shadow")).to_be_visible()
    shown.button("Swap").click()
    expect(shown.page.locator(".shadow")).to_have_count(0)


def test_what_cannot_be_compared_is_said_in_the_dialog_and_what_was_typed_stays(panel):
    shown = panel(view="compare", replies={"shadow": bad("Invalid", "there is no variable 'X_test'")})
    compared(shown)
    expect(shown.dialog.get_by_role("alert")).to_have_text("there is no variable 'X_test'")
    expect(shown.dialog.get_by_label("Data")).to_have_value("X_test")
    expect(shown.page.locator(".shadow")).to_have_count(0)


HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def test_hostile_words_stay_words(panel, page):
    rules = [{"rule": HOSTILE, "found": HOSTILE, "verdict": "failed"}]
    report = {**SHADOW, "sentence": HOSTILE, "parts": [{"title": HOSTILE, "heads": [HOSTILE], "rows": [[HOSTILE]],
                                                        "measured": [], "note": HOSTILE}]}  # fmt: skip
    request = {**REQUEST, "because": HOSTILE, "by": HOSTILE, "approved": [HOSTILE], "stage": HOSTILE}
    shown = panel(replies={"show": good({**SHOWN, "requests": [request]}), "shadow": good(report)})
    dialog = promoting(shown, {**REFUSED, "rows": rules})
    expect(dialog.get_by_role("listitem")).to_contain_text("<img src=x")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("list", name="Requests")).to_contain_text("<img src=x")
    shown.button("Compare").click()
    compared(shown)
    expect(page.locator(".shadow .summary")).to_contain_text("<img src=x")
    assert page.evaluate("document.querySelector('#root > div').shadowRoot.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("look", ["light", "dark", "dark-high-contrast"])
@pytest.mark.parametrize("view", ["asof", "checklist", "shadow", "requests"])
def test_axe_finds_nothing_wrong(panel, accessible, view, look):
    more = {"asof": {"view": "history"}, "shadow": {"view": "compare"}, "requests": {"view": "requests", "model": ""}}
    shown = panel(look=look, **more.get(view, {}))
    if view == "asof":
        slider(shown).focus()
        shown.keys("ArrowLeft")
        expect(shown.page.get_by_role("table", name="Versions at that moment")).to_be_visible()
    elif view == "checklist":
        promoting(shown).get_by_role("button", name="Override…").click()
    elif view == "shadow":
        compared(shown)
        expect(shown.page.locator(".shadow")).to_be_visible()
    else:
        expect(shown.page.get_by_role("list", name="Requests")).to_be_visible()
    unsure = accessible(shown.page)
    known = ("pseudo", "overlap", "image node", "too short")
    assert [node for _, nodes in unsure for node in nodes if not any(why in node for why in known)] == []
