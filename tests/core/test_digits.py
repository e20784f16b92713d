"""Numbers in sentences and tables: four digits, and as many more as what is said of them turns on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_nb.domain.digits import difference, percent, short, telling

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.97081, "0.9708"), (12.5, "12.5"), (948641.4, "948,641"), (1234.56, "1,234.6"), (1000.0, "1,000"),
        (1e-7, "1e-07"), (1e15, "1e+15"), (math.nan, "nan"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_a_number_in_short_has_four_digits_or_its_whole_part(value, shown):
    assert short(value) == shown


@pytest.mark.parametrize(
    ("value", "bound", "shown"),
    [
        (0.91234, 0.9, "0.9123"), (0.8999999, 0.9, "0.8999999"), (0.90004, 0.9, "0.90004"), (0.9, 0.9, "0.9"),
        (948641.4, 948641, "948,641.4"), (12345.67, 12345.7, "12,345.67"), (1.00000004e-7, 1e-7, "1.00000004e-07"),
        (1000.0000001, 1000, "1,000.0000001"), (-0.8999999, -0.9, "-0.8999999"),
    ],
)  # fmt: skip
def test_a_number_beside_a_bound_has_the_digits_that_tell_on_which_side_it_is(value, bound, shown):
    assert telling([value], lambda one: (one > bound, one == bound)) == [shown]


@given(st.lists(FINITE, min_size=2, max_size=2))
def test_two_numbers_look_the_same_only_where_they_are(values):
    first, second = values
    one, two = telling(values, lambda a, b: (a < b, a == b))
    assert (one == two) == (first == second) or first == second == 0  # which has a sign


def test_what_no_digits_tell_is_written_to_the_last_one():
    assert telling([0.1, 12345.678901], lambda *read: object()) == ["0.1", "12,345.678901"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0.0 %"), (1.0, "100.0 %"), (0.9512, "95.1 %"), (0.99951, "99.95 %"), (1e-5, "0.001 %")],
)
def test_a_share_reads_as_all_or_nothing_only_where_it_is(share, shown):
    assert percent(share) == shown


def test_a_difference_is_written_as_what_it_is_between():
    assert [difference((0.5, 0.9708), between) for between in (0.4708, -0.25, None)] == ["+0.4708", "-0.2500", ""]
