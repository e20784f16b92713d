"""Sight, hands, and the width of a sidebar: what axe finds, what one can read, reach and see the focus of."""

import base64
import functools
import operator

import pytest
from bare_page import NOW, REFUSED, Panel, bad, columns, done, good, three, version
from playwright.sync_api import expect


def _prepared(panel, view, look, **more):
    badges = [
        version(4, badges=["foreign"]),
        version(5, badges=["changed"]),
        version(6, badges=["known", "unverified"]),
    ]
    shown = panel(
        look=look,
        view=view if view in {"board", "compare", "history", "register"} else None,
        versions=[*three(), *badges],
        **({"model": ""} if view in {"models", "empty"} else {}),
        **({"models": []} if view == "empty" else {}),
        **more,
    )
    shown.emit(news=[{"by": "Grace", "at": NOW, "text": "Grace promoted Iris 2 to Production"}])
    if view in {"version", "dialog"}:
        shown.row(3).click()
        expect(shown.page.locator(".markdown")).to_be_visible()
    if view == "dialog":
        shown.reply("promote", bad("Conflict", "Grace was faster"))
        shown.button("Promote…").click()
        shown.dialog.get_by_role("button", name="Promote").click()
        expect(shown.dialog.get_by_role("alert")).not_to_be_empty()
    if view == "menu":
        shown.row(2).click(button="right")
    if view == "versions":
        shown.grid.focus()
        shown.page.keyboard.press("Space")
        shown.reply("filter", bad("Invalid", "'a' is not a field"))
        shown.page.get_by_label("Search or filter versions").fill("a = 1")
        expect(shown.page.locator(".search .trouble")).not_to_be_empty()
        shown.grid.focus()
    if view == "problem":
        shown.set(problem="the folder is gone")
    return shown


@pytest.mark.parametrize("look", ["light", "dark", "dark-high-contrast"])
@pytest.mark.parametrize(
    "view",
    ["models", "empty", "versions", "menu", "version", "dialog", "board", "compare", "history", "register", "problem"],
)
def test_axe_finds_nothing_wrong_in_any_view_and_theme(panel, accessible, view, look):
    shown = _prepared(panel, view, look)
    unsure = accessible(shown.page)
    # Of a picture's words it cannot tell what is behind them: they are measured below.
    known = ("pseudo", "overlap", *(("image node", "too short") if view == "history" else ()))
    assert [node for _, nodes in unsure for node in nodes if not any(why in node for why in known)] == []


CONTRAST = """(row, [words, ink, paper]) => {
      const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
      const rgb = (colour, under) => {
        for (const one of [under, colour]) { canvas.fillStyle = one; canvas.fillRect(0, 0, 1, 1); }
        return canvas.getImageData(0, 0, 1, 1).data;
      };
      const linear = value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
      const light = data => [.2126, .7152, .0722].reduce((sum, part, n) => sum + part * linear(data[n] / 255), 0);
      const behind = paper === 'fill' ? row.querySelector('rect') : row;
      const under = getComputedStyle(behind)[paper];
      return [...row.querySelectorAll(words)].map(one => {
        const [a, b] = [light(rgb(getComputedStyle(one)[ink], under)), light(rgb(under, under))].sort((x, y) => y - x);
        return (a + .05) / (b + .05); });
    }"""


@pytest.mark.parametrize("look", ["light", "dark", "dark-high-contrast"])
def test_the_timeline_is_readable(panel, look):
    shown = _prepared(panel, "history", look)
    found = [shown.page.locator(".stint").nth(n).evaluate(CONTRAST, ["text", "fill", "fill"]) for n in range(3)]
    assert min(functools.reduce(operator.iadd, found, [])) >= 4.5
    assert sum(map(len, found)) == 3


@pytest.mark.parametrize("look", ["light", "dark", "dark-high-contrast"])
def test_the_selected_row_stays_readable_and_differs_from_the_others(panel, look):
    shown = panel(look=look)
    shown.grid.focus()
    found = shown.page.locator(".row.active").evaluate(
        CONTRAST, ["b, .stage, .metric span, time", "color", "backgroundColor"]
    )
    assert min(found) >= 4.5
    assert len(found) == 5
    colours = shown.page.locator(".row").evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert colours[0] not in colours[1:]


def test_where_the_system_sets_the_colours_the_selected_row_has_a_frame(panel, page):
    page.emulate_media(forced_colors="active")
    shown = panel()
    shown.grid.focus()
    styles = shown.page.locator(".row").evaluate_all("all => all.map(one => getComputedStyle(one).outlineStyle)")
    assert styles == ["solid", "none", "none"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_the_system_sets_the_colours_the_slider_and_the_stages_can_be_told(panel, page, scheme):
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    shown = panel(look=scheme, versions=[*three(), version(4, stage="Staging")])
    shapes = shown.page.locator(".row .stage").evaluate_all(
        """all => all.map(one => { const {borderRadius, transform, backgroundColor, borderStyle} =
        getComputedStyle(one, '::before'); return [borderRadius, transform, backgroundColor, borderStyle].join(); })"""
    )
    assert len(set(shapes)) == 4
    shown = panel(look=scheme, view="history")
    slider = shown.page.get_by_role("slider")
    slider.focus()
    assert slider.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    box = slider.bounding_box()
    colours = shown.page.evaluate(PIXELS, [base64.b64encode(shown.page.screenshot(clip=box)).decode()])
    assert colours["dark"] > 200, "a line, and a knob"
    assert colours["light"] > 200
    fills = shown.page.locator(".stint rect").evaluate_all("all => all.map(one => getComputedStyle(one).fill)")
    assert len(set(fills)) == 1, "what holds it now has a thicker frame, not a colour"


PIXELS = """async ([picture]) => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + picture)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const found = {dark: 0, light: 0};
  const {data} = canvas.getImageData(0, 0, image.width, image.height);
  for (let i = 0; i < data.length; i += 4) {
    const sum = data[i] + data[i + 1] + data[i + 2];
    if (sum < 330) found.dark += 1;
    if (sum > 430) found.light += 1;
  }
  return found;
}"""


@pytest.mark.parametrize("look", ["light", "dark", "dark-high-contrast"])
@pytest.mark.parametrize("view", ["lost", "refused", "toast"])
def test_axe_finds_nothing_wrong_in_what_is_shown_now_and_then(panel, accessible, view, look):
    replies = {"plan": good({**REFUSED, "asked": ["ada"]}), "promote": done()} if view == "refused" else {}
    shown = panel(look=look, height=420, width=700, replies={"promote": done(), **replies})
    shown.row(3).click()
    expect(shown.page.locator(".markdown")).to_be_visible()
    if view == "lost":
        shown.page.evaluate("model.comm_live = false; model.heard['comm_live_update'].forEach(f => f())")
        expect(shown.page.get_by_role("alert").first).to_be_visible()
    else:
        shown.button("Promote…").click()
        expect(shown.dialog.locator(".sentence")).not_to_be_empty()
    if view == "toast":
        shown.dialog.get_by_role("button", name="Promote").click()
        expect(shown.page.locator(".toast")).to_be_visible()
    accessible(shown.page)


def test_every_control_shows_its_focus(panel):
    shown = _prepared(panel, "version", "light")
    shown.page.evaluate("getSelection().setPosition(document.body, 0)")
    shown.page.locator("body").click(position={"x": 2, "y": 2})
    seen = set()
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        name = shown.focused
        if name == "body":
            break
        outline = shown.page.evaluate(
            """() => {
            let e = document.activeElement;
            while (e?.shadowRoot) e = e.shadowRoot.activeElement;
            const {outlineStyle, outlineWidth} = getComputedStyle(e);
            return [outlineStyle, parseFloat(outlineWidth)];
            }"""
        )
        assert outline[0] != "none", name
        assert outline[1] >= 1, name
        seen.add(name)
    assert {"button: Models", "button: Promote…", "button: Delete…", "button: Register…", "button: Copy"} <= seen


def test_no_key_reaches_the_page_but_saving_does(panel):
    shown = panel()
    host = shown.page.locator("#root > div")
    shown.grid.focus()
    shown.page.evaluate(
        """() => {
        window.seen = [];
        const suppressed = event => event.target.hasAttribute('data-lm-suppress-shortcuts');
        document.addEventListener('keydown', event => seen.push([event.key, suppressed(event)]), true);
        }"""
    )
    for key in ("b", "x", "ArrowDown", "Shift+Enter", "Control+s", "d"):
        shown.page.keyboard.press(key)
    seen = [pair for pair in shown.page.evaluate("seen") if pair[0] not in {"Shift", "Control"}]
    assert seen == [["b", True], ["x", True], ["ArrowDown", True], ["Enter", True], ["s", False], ["d", True]]
    assert host.get_attribute("data-lm-suppress-shortcuts") is not None


def test_rows_that_come_as_a_whole_and_those_one_scrolls_back_to_are_not_pointed_out(panel):
    shown = panel(versions=[version(n) for n in range(1, 101)])
    shown.set(versions=columns([version(n) for n in range(1, 102)], model="Iris"))
    expect(shown.row(101)).to_be_visible()
    fresh = shown.page.locator(".fresh")
    expect(fresh).to_have_count(0)
    shown.patch(version(102))
    expect(fresh).to_have_count(1)
    shown.grid.focus()
    shown.keys("End")
    expect(shown.row(1)).to_be_visible()
    shown.keys("Home")
    expect(shown.row(102)).to_be_visible()
    expect(fresh).to_have_count(0)


def test_who_wants_no_motion_gets_none_and_who_does_sees_what_changed(panel, page):
    shown = panel()
    shown.patch({**three()[0], "user": "Grace"})
    expect(shown.page.locator(".row.fresh")).to_have_count(1)
    moving = "row => parseFloat(getComputedStyle(row).animationDuration)"
    assert shown.page.locator(".row.fresh").evaluate(moving) < 0.01
    page.emulate_media(reduced_motion="no-preference")
    assert shown.page.locator(".row.fresh").evaluate(moving) > 1


@pytest.mark.parametrize("view", ["models", "versions", "version", "board", "compare", "history", "register"])
def test_a_narrow_sidebar_shows_everything_that_matters(panel, view):
    shown = _prepared(panel, view, "light", width=420)
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    buttons = shown.page.locator(".panel .top button, .panel .actions button").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => box.left >= 0 && box.right <= innerWidth)"
    )
    assert all(buttons)
    if view == "versions":
        heads = [text for text in shown.page.get_by_role("columnheader").all_inner_texts() if text]
        assert heads == ["Compare", "Version", "Stage", "accuracy", "Age", "Actions"]


def test_a_line_of_status_moves_nothing(panel):
    shown = panel()
    before = shown.grid.bounding_box(), shown.page.locator(".foot").bounding_box()
    shown.emit(news=[{"by": "Grace", "at": NOW, "text": "Grace tagged Iris 2 " * 20}])
    shown.patch(version(2, stage="Production", aliases=["champion"] * 9, tags={"a" * 90: "b" * 90}))
    assert (shown.grid.bounding_box(), shown.page.locator(".foot").bounding_box()) == before


def test_the_last_view_is_there_again_after_the_page_was_loaded_anew(panel):
    shown = panel(view="history")
    expect(shown.page.get_by_role("img")).to_be_visible()
    assert shown.sent("history") == [{"model": "Iris", "limit": 200}]
    shown = panel()
    shown.row(3).click()
    expect(shown.button("Promote…")).to_be_visible()
    kept = {name: shown.page.evaluate("name => model.get(name)", name) for name in ("view", "version")}
    again = Panel(shown.page, **kept)
    expect(again.button("Promote…")).to_be_visible()
    assert again.sent("show") == [{"model": "Iris", "version": 3}]


TARGETS = """() => {
  const root = document.querySelector('#root > div').shadowRoot;
  const all = [...root.querySelectorAll('button, input, select, textarea, summary, [data-do], [role=menuitem]')];
  const sizes = all.filter(one => one.checkVisibility()).map(one => [one.closest('label') ?? one, one]);
  return sizes.map(([box, one]) => [one.getAttribute('aria-label') ?? one.textContent.trim() ?? one.className,
    box.getBoundingClientRect()]).map(([name, box]) => [name, box.width, box.height]);
}"""


@pytest.mark.parametrize("width", [500, 900, 450])  # the last is 900 at 200 %
@pytest.mark.parametrize(
    "view",
    ["models", "empty", "versions", "menu", "version", "dialog", "board", "compare", "history", "register", "requests"],
)
def test_every_target_is_large_enough_to_be_hit(panel, view, width):
    if view == "requests":
        shown = panel(view=view, width=width, model="")
        expect(shown.page.get_by_role("list", name="Requests")).to_be_visible()
    else:
        shown = _prepared(panel, view, "light", width=width)
    found = shown.page.evaluate(TARGETS)
    assert found
    assert [one for one in found if min(one[1:]) < 24] == []


@pytest.mark.parametrize("width", [400, 450, 500, 620, 700, 780, 900, 1000])
def test_no_column_lies_below_the_dots_and_two_can_be_marked_at_any_width(panel, width):
    badged = [
        version(n, aliases=["champion"], tags={"a": "b"}, badges=["changed"], metrics=dict.fromkeys("abc", 0.5))
        for n in (1, 2, 3)
    ]
    shown = panel(width=width, versions=badged)
    over = shown.row(2).evaluate(
        """row => { const cells = [...row.children].filter(one => one.checkVisibility());
        return cells.at(-1).getBoundingClientRect().left - cells.at(-2).getBoundingClientRect().right; }"""
    )
    assert over >= 0
    for number in (1, 2):
        box = shown.row(number).locator(".box").bounding_box()
        shown.page.mouse.click(box["x"] - 5, box["y"] + 5)
    expect(shown.button("Compare 1 and 2")).to_be_visible()


def test_what_is_only_heard_does_not_make_the_page_longer(panel):
    shown = panel(view="board", width=500, versions=[version(number) for number in range(1, 41)])
    expect(shown.page.locator(".card").first).to_be_visible()
    page = "document.documentElement.scrollHeight - innerHeight"
    assert shown.page.evaluate(f"() => {page}") <= 0


def test_a_long_name_in_a_comparison_has_more_room_than_a_number(panel):
    name = "mean_absolute_percentage_error_on_the_holdout_of_the_last_quarter"
    row = {"section": "metrics", "name": name, "a": 0.041, "b": 0.027, "difference": -0.014, "better": "b"}
    shown = panel(view="compare", replies={"compare": good({"rows": [row]})})
    cells = shown.page.get_by_role("table", name="Metrics").locator("tbody tr td")
    wide = cells.evaluate_all("cells => cells.map(cell => cell.getBoundingClientRect().width)")
    assert wide[0] > 1.4 * max(wide[1:])
