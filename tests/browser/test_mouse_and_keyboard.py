"""The panel's front end without Jupyter: every view by mouse and by keyboard, against a kernel that the test plays."""

import base64
import itertools
from importlib import resources

from bare_page import bad, columns, good, three, version
from playwright.sync_api import expect

from registry_nb.domain.digits import aligned, percent, short

# -- the list of models ------------------------------------------------------------------------------------------------


def test_models_are_listed_with_what_is_in_production_the_last_changed_first(panel):
    shown = panel(model="")
    assert shown.page.locator(".row").all_inner_texts()[0].split() == [
        "Iris",
        "2",
        "–",
        "3",
        "3",
        "just",
        "now",
        "Three",
        "flowers",
    ]
    expect(shown.page.locator(".row").nth(1)).to_contain_text("Churn")
    shown.page.get_by_label("Search models").fill("chu")
    expect(shown.page.locator(".row")).to_have_count(1)
    expect(shown.page.locator(".count")).to_have_text("1 of 2 models")
    shown.page.get_by_label("Search models").fill("nothing like that")
    expect(shown.page.locator(".empty")).to_have_text("No model matches “nothing like that”")
    shown.keys("Escape")
    expect(shown.page.locator(".row")).to_have_count(2)


def test_a_model_opens_with_enter_and_its_rows_come_from_the_kernel(panel):
    shown = panel(model="")
    shown.grid.focus()
    shown.keys("Enter")
    expect(shown.page.locator(".empty")).to_have_text("Loading…")
    assert shown.sent("open") == [{"model": "Iris"}]
    assert shown.page.evaluate("[model.get('model'), model.get('view')]") == ["Iris", "versions"]
    shown.set(versions=columns(three(), model="Iris"))
    expect(shown.row(3)).to_be_visible()
    assert shown.focus_is("grid: Versions of Iris")
    shown.button("Models").click()
    expect(shown.grid).to_have_accessible_name("Models")
    assert shown.page.evaluate("model.get('model')") == ""


def test_a_model_that_is_gone_leads_back_to_the_list_and_says_so(panel):
    shown = panel(model="", replies={"open": bad("NotFound", "'Churn' is not registered")})
    shown.page.locator(".row", has_text="Churn").click()
    expect(shown.said).to_have_text("'Churn' is not registered")
    expect(shown.grid).to_have_accessible_name("Models")


def test_an_empty_registry_says_what_to_type(panel):
    shown = panel(model="", models=[])
    expect(shown.page.get_by_text("%registry register model as Iris --example X[:5]")).to_be_visible()
    shown.button("register a variable").click()
    expect(shown.page.get_by_role("heading", name="Register a variable of this notebook")).to_be_visible()


# -- the table of versions ---------------------------------------------------------------------------------------------


def test_a_row_shows_stage_alias_metrics_tags_age_author_and_size(panel):
    shown = panel()
    assert shown.rows == ["3", "2", "1"]
    texts = shown.row(2).inner_text().split()
    assert texts == ["2", "Production", "@champion", "0.95", "team=flowers", "4", "d", "ago", "ada", "2.1", "KB"]


def test_every_column_sorts_both_ways_and_says_so(panel):
    shown = panel()
    orders = {
        "Version": (["1", "2", "3"], ["3", "2", "1"]),
        "Stage": (["1", "3", "2"], ["2", "3", "1"]),
        "accuracy": (["3", "2", "1"], ["1", "2", "3"]),
        "f1": (["3", "1", "2"], ["1", "3", "2"]),
        "Aliases": (["2", "3", "1"], ["2", "3", "1"]),
        "Tags": (["2", "3", "1"], ["2", "3", "1"]),
        "By": (["2", "1", "3"], ["3", "2", "1"]),
        "Size": (["3", "2", "1"], ["2", "1", "3"]),
        "Age": (["3", "2", "1"], ["1", "2", "3"]),
    }
    for title, both in orders.items():
        for order in both:
            shown.page.get_by_role("columnheader", name=title, exact=True).get_by_role("button").click()
            assert shown.rows == order, title
        heads = shown.page.get_by_role("columnheader").evaluate_all(
            "all => all.map(one => one.ariaSort).filter(Boolean)"
        )
        assert len(heads) == 1
    head = shown.page.get_by_role("columnheader", name="Age", exact=True)
    assert head.get_attribute("aria-sort") == "ascending"


def test_headers_are_one_stop_of_tab_and_sort_by_keyboard(panel):
    shown = panel()
    shown.grid.focus()
    shown.keys("Tab")
    assert shown.focus_is("button: Version")
    shown.keys("ArrowRight", "ArrowRight", "ArrowRight", "Enter")
    assert shown.focus_is("button: accuracy")
    assert shown.rows == ["3", "2", "1"]
    shown.keys("Enter")
    assert shown.rows == ["1", "2", "3"]
    assert shown.focus_is("button: accuracy"), "the focus stays where the sorting was asked for"
    shown.keys("End")
    assert shown.focus_is("button: Size")
    shown.keys("Home", "ArrowDown")
    assert shown.focus_is("grid: Versions of Iris")


INSIDE = """grid => {
  const [row, all] = [grid.querySelector('.row.active'), grid].map(one => one.getBoundingClientRect());
  return all.top + 28 <= row.top && row.bottom <= all.bottom + 1;
}"""


def test_arrows_pages_home_and_end_move_in_the_table(panel):
    shown = panel(versions=[version(number) for number in range(1, 501)])
    shown.grid.focus()
    assert shown.active == "500"
    for key, active in [
        ("ArrowDown", "499"),
        ("ArrowUp", "500"),
        ("ArrowUp", "500"),
        ("PageDown", "489"),
        ("PageDown", "478"),
        ("PageUp", "489"),
        ("End", "1"),
        ("ArrowDown", "1"),
        ("Home", "500"),
    ]:
        shown.keys(key)
        assert shown.active == active, key
        assert shown.grid.evaluate(INSIDE), key
    assert shown.grid.get_attribute("aria-rowcount") == "501"
    assert shown.page.locator(".row").first.get_attribute("aria-rowindex") == "2"
    shown.keys("End", "Enter")
    expect(shown.page.get_by_role("heading", name="Iris 1", exact=True)).to_be_focused()
    shown.keys("Escape")
    assert shown.focus_is("grid: Versions of Iris")
    assert shown.active == "1", "one comes back to where one was"


def test_words_are_looked_for_in_the_browser_at_once(panel):
    shown = panel()
    field = shown.page.get_by_label("Search or filter versions")
    for text, found in [
        ("champion", ["2"]),
        ("flow ada", ["2"]),
        ("grace", ["3"]),
        ("archived", ["1"]),
        ("nobody", []),
    ]:
        field.fill(text)
        assert shown.rows == found
    expect(shown.page.locator(".count")).to_have_text("0 of 3 versions")
    expect(shown.page.locator(".empty")).to_have_text("No version matches")
    field.press("Escape")
    assert shown.rows == ["3", "2", "1"]
    assert shown.sent() == []


def test_a_filter_is_the_kernels_and_its_error_stands_below_the_field(panel):
    matches = base64.b64encode(bytes([0b1010])).decode()  # 1 and 3
    shown = panel(replies={"filter": bad("Invalid", "'acuracy' is not a field; did you mean 'metrics.accuracy'?")})
    before = shown.grid.bounding_box()
    field = shown.page.get_by_label("Search or filter versions")
    field.fill("acuracy > 0.9")
    expect(shown.page.locator(".search .trouble")).to_contain_text("did you mean 'metrics.accuracy'?")
    assert shown.grid.bounding_box() == before, "nothing jumps"
    assert field.get_attribute("aria-invalid") == "true"
    assert shown.rows == ["3", "2", "1"]
    shown.reply("filter", good({"matches": matches, "count": 2}))
    field.fill("stage != 'Production'")
    expect(shown.page.locator(".row")).to_have_count(2)
    assert shown.rows == ["3", "1"]
    assert shown.sent("filter")[-1] == {"model": "Iris", "filter": "stage != 'Production'"}
    expect(shown.page.locator(".search .trouble")).to_be_empty()


def test_metric_columns_are_chosen_in_a_menu(panel):
    shown = panel(versions=[version(1, metrics={"a": 1, "b": 2, "c": 3, "d": 4})])
    heads = shown.page.get_by_role("columnheader")
    assert heads.all_inner_texts()[3:6] == ["a", "b", "c"]
    shown.button("Metrics").click()
    shown.page.get_by_role("menuitemcheckbox", name="d").click()
    shown.page.get_by_role("menuitemcheckbox", name="a").click()
    shown.keys("Escape")
    assert heads.all_inner_texts()[3:6] == ["b", "c", "d"]
    assert shown.focus_is("button: Metrics")


def test_two_versions_are_marked_with_space_or_mouse_and_compared(panel):
    shown = panel()
    shown.grid.focus()
    shown.keys("Space", "ArrowDown", "ArrowDown", "Space")
    assert shown.page.locator("[aria-selected=true]").count() == 2
    shown.row(2).locator(".box").click()
    assert shown.page.locator("[aria-selected=true] .version").all_inner_texts() == ["2", "1"], "the last two"
    shown.button("Compare 1 and 2").click()
    assert shown.sent("compare") == [{"model": "Iris", "a": 1, "b": 2, "all": False}]


def test_a_row_has_a_menu_by_key_by_its_dots_and_by_the_right_button(panel):
    shown = panel()
    shown.grid.focus()
    shown.keys("Shift+F10")
    assert shown.focus_is("menuitem: Open")
    shown.keys("ArrowUp")
    assert shown.focus_is("menuitem: Delete…")
    shown.keys("Home", "p")
    assert shown.focus_is("menuitem: Promote to Production…")
    shown.keys("Escape")
    assert shown.focus_is("grid: Versions of Iris")
    shown.row(2).hover()
    shown.row(2).locator("[data-do=menu]").click()
    assert shown.page.get_by_role("menuitem").all_inner_texts() == [
        "Open",
        "Compare…",
        "Promote to Staging…",
        "Archive…",
        "Remove from its stage…",
        "Roll back…",
        "Tag…",
        "Alias…",
        "Delete…",
    ]
    shown.keys("Tab")
    expect(shown.page.get_by_role("menu")).to_have_count(0)
    shown.row(1).click(button="right")
    shown.page.get_by_role("menuitem", name="Promote to Production…").click()
    expect(shown.dialog.get_by_role("heading")).to_have_text("Promote Iris 1 to Production?")


def test_every_digit_of_a_metric_is_asked_for_where_somebody_points(panel):
    exact = good({"metrics": {"revenue": 942638.277}})
    shown = panel(versions=[version(1, metrics={"revenue": 942638.3})], replies={"exact": exact})
    number = shown.page.locator(".row .metric span")
    expect(number).to_have_text("942,638")
    expect(number).to_have_attribute("title", "revenue ≈ 942,638")
    number.hover()
    expect(number).to_have_attribute("title", "revenue = 942638.277")
    assert shown.sent("exact") == [{"model": "Iris", "version": 1}]


def test_a_long_name_of_a_metric_stays_in_its_column(panel):
    names = ["validation_mean_absolute_percentage_error_on_holdout", "auc", "loss"]
    shown = panel(versions=[version(1, metrics=dict.fromkeys(names, 0.5))])
    boxes = shown.page.locator(".head .cell:not(:empty) > *").evaluate_all(
        """all => all.filter(one => one.offsetWidth > 1).map(one => one.getBoundingClientRect())
        .map(box => [box.left, box.right])"""
    )
    assert all(left <= right for (_, left), (right, _) in itertools.pairwise(boxes))
    head = shown.page.get_by_role("columnheader", name=names[0])
    assert head.get_attribute("title").startswith(f"metric {names[0]}")


def test_a_bar_is_a_share_of_the_best_and_there_is_none_where_nobody_knows_what_is_better(panel):
    rows = [
        version(1, metrics={"accuracy": 0.911, "loss": 0.4, "rows": 5}),
        version(2, metrics={"accuracy": 0.944, "loss": 0.2, "rows": 9}),
    ]
    shown = panel()
    shown.set(versions=columns(rows, model="Iris", better={"accuracy": 1, "loss": -1}))
    expect(shown.row(1)).to_be_visible()

    def parts(number):
        return (
            shown.row(number)
            .locator(".metric")
            .evaluate_all("all => all.map(one => one.querySelector('i')?.style.getPropertyValue('--part') ?? null)")
        )

    assert parts(1) == ["0.965", "0.500", None]
    assert parts(2) == ["1.000", "1.000", None]


def test_a_number_looks_in_the_panel_as_in_the_table_of_a_cell(page):
    source = (resources.files("registry_nb.panel") / "static/dom.js").read_text(encoding="utf-8")
    values = [
        0.0,
        1.0,
        0.95,
        0.15625,
        0.9708499,
        12.5,
        999.97,
        1000.25,
        12345.678,
        942638.277,
        1e6,
        1e15,
        1e-7,
        0.00012345,
    ]
    values += [-value for value in values[1:]] + [number / 4096 for number in range(0, 4096, 7)]
    found = page.evaluate(f"values => {{ {source}; return values.map(value => figure(value)); }}", values)
    assert [text.replace("−", "-") for text in found] == [short(value) for value in values]
    rows = [[0.9343, 0.943], [0.5, None], [123456.0, 0.5], [0.00012, 1.0], [1.0, 0.25]]
    script = f"rows => {{ {source}; return rows.map(row => row.map(one => figure(one, decimalsOf(row)))); }}"
    assert page.evaluate(script, rows) == [aligned(row) for row in rows]
    source += (resources.files("registry_nb.panel") / "static/shadow.js").read_text(encoding="utf-8")
    shares = [0.0, 1.0, 0.5, 0.0625, 0.99949, 0.9995, 0.9999999, 1e-9]
    assert page.evaluate(f"values => {{ {source}; return values.map(share); }}", shares) == [*map(percent, shares)]


def test_rows_are_taken_also_where_equal_bytes_took_their_place_without_a_word(panel):
    shown = panel()
    shown.page.evaluate(
        """() => { const {get} = model;
        model.get = key => key === 'versions' ? new DataView(get(key).buffer.slice(0)) : get(key); }"""
    )
    shown.set(versions=columns([*three(), version(4)], model="Iris"))
    expect(shown.row(4)).to_be_visible()
