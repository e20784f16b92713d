"""Spellings, one by one; what is refused is in test_bad_input."""

import pytest

from registry_nb.errors import BadName, BadURI, BadVersion
from registry_nb.names import checked_alias, checked_tags, checked_version
from registry_nb.records import Stage
from registry_nb.uris import ModelURI, RunURI, parse_uri, parse_which


@pytest.mark.parametrize(
    ("uri", "parsed"),
    [
        ("models:/Iris/Production", ModelURI("Iris", Stage.PRODUCTION)),
        ("models:/Iris/staging", ModelURI("Iris", Stage.STAGING)),
        ("models:/Iris/None", ModelURI("Iris", Stage.NONE)),
        ("models:/Iris/3", ModelURI("Iris", 3)),
        ("models:/Iris@champion", ModelURI("Iris", "@champion")),
        ("models:/Iris/latest", ModelURI("Iris", "latest")),
        ("models:/A b 🌸/3", ModelURI("A b 🌸", 3)),
        ("runs:/abc/model", RunURI("abc", "model")),
        ("runs:/abc/deep/er/model/", RunURI("abc", "deep/er/model")),
    ],
)
def test_a_uri_is_read_and_written(uri, parsed):
    assert parse_uri(uri) == parsed
    assert parse_uri(str(parsed)) == parsed
    assert hash(parsed) == hash(parse_uri(uri))


def test_which_is_read_from_whatever_people_write():
    assert [parse_which(which) for which in (3, "3", Stage.STAGING, "STAGING", "latest", "@a.b-c_1")] == [
        3, 3, Stage.STAGING, Stage.STAGING, "latest", "@a.b-c_1",
    ]  # fmt: skip


def test_a_uri_that_is_too_long_by_an_alias_or_too_short_is_refused():
    for uri, kind in [("models:/X@a/b", BadName), ("models:/X@a@b", BadName), ("models:/ /1", BadName)]:
        with pytest.raises(kind):
            parse_uri(uri)
    with pytest.raises(BadURI, match="one slash follows models:"):
        parse_uri("models://1")
    with pytest.raises(BadVersion):
        parse_uri("models:/X/-1")


@pytest.mark.parametrize("alias", ["champion", "a", "x" * 255, "v1.2", "a-b_c.d", "production2", "v"])
def test_aliases(alias):
    assert checked_alias(alias) == alias


@pytest.mark.parametrize(
    "alias", ["", "x" * 256, "ä", "a b", "a/b", "latest", "LATEST", "None", "v1", "V12", "7", None]
)
def test_no_aliases(alias):
    with pytest.raises(BadName):
        checked_alias(alias)


def test_versions_are_whole_numbers_from_one():
    most = 2**53 - 1
    assert [checked_version(given) for given in (1, "1", "007", most, str(most))] == [1, 1, 7, most, most]
    for given in ("9" * 16, "9" * 10_000, 2**53, -1, b"1"):
        with pytest.raises(BadVersion):
            checked_version(given)


def test_tags_are_none_or_a_mapping():
    assert checked_tags(None) == {}
    assert checked_tags({"k" * 250: "v" * 100_000}) == {"k" * 250: "v" * 100_000}
