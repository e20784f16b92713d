"""Pictures: every number that is drawn is there, at its place, and nothing hostile gets into the document."""

import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import registry_nb as rn
from registry_nb.display.charts import _ticks, metric_picture, timeline_picture
from registry_nb.errors import Invalid, ModelNotFound

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def versions(*values, name="Iris", metric="accuracy", stage=rn.Stage.NONE):
    return [
        rn.ModelVersion(
            name=name, version=place, metrics={metric: value}, stage=stage, created_at=NOON, updated_at=NOON
        )
        for place, value in enumerate(values, 1)
    ]


def drawn(picture, shape):
    """The places of the shapes that stand for something: those with a title."""
    found = ET.fromstring(picture.svg).iter(f"{SVG}{shape}")  # our own document
    return {one.find(f"{SVG}title").text: one.attrib for one in found if one.find(f"{SVG}title") is not None}


def stint(version, start, end, stage=rn.Stage.PRODUCTION, because=""):
    ago = [None if days is None else NOON - timedelta(days=days) for days in (start, end)]
    return SimpleNamespace(stage=stage, version=version, start=ago[0], end=ago[1], by="ada", because=because)


def test_a_better_version_stands_higher_and_a_later_one_further_right():
    points = list(drawn(metric_picture(versions(0.5, 0.75, 0.6)), "circle").values())
    across, down = ([float(point[axis]) for point in points] for axis in ("cx", "cy"))
    assert across == sorted(across)
    assert down[1] < down[2] < down[0]


def test_a_point_tells_its_version_value_and_stage_and_the_text_says_the_same():
    picture = metric_picture(versions(0.5, 0.75, stage=rn.Stage.PRODUCTION))
    assert [title.split(", 2026")[0] for title in drawn(picture, "circle")] == [
        "1: 0.5, Production",
        "2: 0.75, Production",
    ]
    assert repr(picture) == "accuracy of Iris: 1 0.5, 2 0.75"
    assert picture._repr_mimebundle_() == {"image/svg+xml": picture.svg, "text/plain": picture.text}


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [-1e300, 1e300], [1e-300, 2e-300], [5, 5, 5.0000000001]])
def test_numbers_of_any_size_stay_within_the_picture(values):
    picture = metric_picture(versions(*values))
    places = [float(point["cy"]) for point in drawn(picture, "circle").values()]
    assert len(places) == len(values)
    assert all(30 <= place <= 210 for place in places)


def test_what_is_no_number_is_not_drawn():
    picture = metric_picture(versions(0.5, math.nan, math.inf, 0.7))
    assert [title.partition(":")[0] for title in drawn(picture, "circle")] == ["1", "4"]
    assert "2 versions more, not drawn" in picture.text


def test_of_very_many_versions_the_newest_are_drawn():
    picture = metric_picture(versions(*[number / 10_000 for number in range(10_000)]))
    assert len(drawn(picture, "circle")) == 400
    assert "9,600 versions more, not drawn" in picture.text
    assert len(picture.svg) < 100_000


@pytest.mark.parametrize(
    ("metric", "told"),
    [("acuracy", "did you mean 'accuracy'"), ("f1", "no version has the metric 'f1'"), ("", "there are accuracy")],
)
def test_a_metric_that_no_version_has_is_told_with_those_that_there_are(metric, told):
    with pytest.raises(Invalid) as caught:
        metric_picture(versions(0.5), metric)
    assert told in str(caught.value)


def test_without_metrics_there_is_no_picture():
    with pytest.raises(Invalid, match="they have no metrics"):
        metric_picture([])


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '"><image href="x"/>', "</svg>&amp;", "a\u202eb\0\x1b"]
)
def test_hostile_names_are_text_and_nothing_else(hostile):
    pictures = [
        metric_picture(versions(0.5, name=hostile, metric=hostile)),
        timeline_picture(hostile, [stint(1, 3, None, because=hostile)], NOON),
    ]
    for picture in pictures:
        tags = {one.tag.removeprefix(SVG) for one in ET.fromstring(picture.svg).iter()}
        assert tags <= {"svg", "text", "path", "polyline", "circle", "rect", "title"}
        assert not set("\u202e\0\x1b") & set(picture.svg + picture.text)


def test_a_holder_lies_between_its_two_moments():
    picture = timeline_picture("Iris", [stint(1, 10, 4), stint(2, 4, None), stint(3, 2, 1, rn.Stage.STAGING)], NOON)
    bars = drawn(picture, "rect")
    first, second, third = ({key: float(bar[key]) for key in ("x", "y", "width")} for bar in bars.values())
    assert first["x"] + first["width"] <= second["x"] <= first["x"] + first["width"] + 2
    assert first["width"] > second["width"] > third["width"]
    assert first["y"] == second["y"] < third["y"]
    assert [title.partition(",")[0] for title in bars] == ["1 in Production", "2 in Production", "3 in Staging"]
    assert list(bars) == picture.text.splitlines()[1:]


def test_of_a_model_that_nobody_promoted_the_picture_says_so():
    assert "nobody yet" in timeline_picture("Iris", [], NOON).svg


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
@example(0.0, 5e-324)
@example(5e-324, 0.0)
@example(-1e9, 0.0)
def test_the_lines_are_few_and_hold_all_that_is_drawn(low, span):
    ticks = _ticks(low, low + span)
    slack = 1e-6 * (ticks[-1] - ticks[0])
    assert ticks[0] - slack <= low
    assert low + span <= ticks[-1] + slack
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(set(ticks))


def test_a_registry_draws_its_own_versions(registry):
    for accuracy in (0.9, 0.95):
        registry.register(lambda X: [0 for _ in X], "Zero", metrics={"accuracy": accuracy, "size": 3})
    assert registry.plot("Zero").text == "accuracy of Zero: 1 0.9, 2 0.95"
    assert registry.plot("Zero", "size", filter="metrics.accuracy > 0.92").text == "size of Zero: 2 3"
    with pytest.raises(ModelNotFound):
        registry.plot("Nought")


def test_a_metric_without_a_finite_value_is_not_taken_for_a_slip(registry, constant):
    registry.register(constant(1), "Iris", metrics={"loss": float("nan")})
    registry.archive("Iris", 1)
    registry.register(constant(2), "Iris", metrics={"accuracy": 0.9})
    told = "no version has the metric 'loss' as a finite number; by version, it is 1 nan"
    with pytest.raises(rn.Invalid) as raised:
        registry.plot("Iris", "loss")
    assert str(raised.value) == told
    with pytest.raises(rn.Invalid, match="did you mean 'loss'"):
        registry.plot("Iris", "los")


def test_who_held_a_stage_for_seconds_is_drawn_wide_enough_and_on_top():
    moment = 9 + 1e-4
    bars = drawn(timeline_picture("Iris", [stint(1, 80, moment), stint(2, moment, 9), stint(1, 9, None)], NOON), "rect")
    last = list(bars)[-1]
    assert last.startswith("2 in Production")
    assert float(bars[last]["width"]) >= 6
