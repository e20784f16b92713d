"""Spellings, one by one; what is refused is in test_invalid_arguments."""

import pytest

import registry_nb as rn
from registry_nb.domain.records import Stage
from registry_nb.domain.uris import ModelURI, RunURI, parse_uri, parse_which
from registry_nb.domain.validation import checked_alias, checked_tags, checked_version
from registry_nb.errors import BadName, BadURI, BadVersion


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
    with pytest.raises(BadURI, match="there must be one slash after models:"):
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


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Iris", "iris"), ("Iris", "IRIS"), ("my model", "my_model"), ("my-model", "MyModel"), ("Iris", "\uff29ris"),
        ("Iris", "Ir\u0456s"), ("Scope", "\u0405\u0441\u043e\u0440\u0435"), ("\u2460", "1"), ("stra\xdfe", "STRASSE"),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\U0001f52c"),
    ],
)  # fmt: skip
def test_a_new_name_that_looks_like_another_is_warned_of_once(registry, first, second):
    registry.register(len, first)
    with pytest.warns(rn.RegistryWarning) as told:
        registry.register(len, second)
    assert len(told) == 1
    assert f"{second!r} is a new model, beside {first!r}" in str(told[0].message)
    registry.register(len, second)
    registry.register(len, first)


def test_every_way_to_a_new_name_warns(registry):
    registry.register(len, "Iris")
    registry.create_model("Other")
    for way in (
        lambda: registry.create_model("iris"),
        lambda: registry.copy("models:/Iris/1", "I r i s"),
        lambda: registry.rename("Other", "I-ris"),
    ):
        with pytest.warns(rn.RegistryWarning, match="is a new model, beside '[Ii]"):
            way()


def test_a_name_may_be_corrected_without_a_warning(registry):
    registry.register(len, "iris")
    assert registry.rename("iris", "Iris").name == "Iris"


def test_a_warning_that_is_an_error_registers_nothing(registry):
    registry.register(len, "Iris")
    for way in (lambda: registry.register(len, "iris"), lambda: registry.create_model("iris")):
        with pytest.raises(rn.RegistryWarning):
            way()
    assert registry.store.model_names() == ["Iris"]


@pytest.mark.parametrize("names", [("Iris", "Irises"), ("a1", "a2"), ("___", "---"), ("Iris 1", "Iris 2")])
def test_names_that_differ_are_not_warned_of(registry, names):
    for name in names:
        registry.create_model(name)


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HEART = "\u2764\ufe0f\u200d\U0001f525"
SCIENTIST = "\U0001f469\U0001f3fd\u200d\U0001f52c"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
HINDI = "\u0915\u094d\u200d\u0937"


@pytest.mark.parametrize("word", [FAMILY, HEART, SCIENTIST, PERSIAN, HINDI])
def test_a_joiner_that_belongs_to_the_word_is_allowed_and_shown(registry, word):
    version = registry.register(len, f"Model {word}", tags={word: word}, because=word, aliases=[])
    assert version.name == f"Model {word}"
    assert registry.history(version.name)[-1].because == word
    for shown in (str(version), version._repr_html_()):
        assert shown.count(word) >= 3


@pytest.mark.parametrize(
    "name",
    [
        "a\u200db", "\u200d", "a\u200d", "\u200da", "a\u200cb", "\U0001f468\u200d", "\u200d\U0001f468",
        "\U0001f468\u200da", "a\u200d\U0001f468", "\U0001f468\u200d\u200d\U0001f469", "\u0645\u200c", "\u0645\u200ca",
        "\U0001f468\u200c\U0001f469",
    ],
)  # fmt: skip
def test_a_joiner_that_joins_nothing_is_refused_as_invisible(registry, name):
    with pytest.raises(BadName, match=r"invisible character|it is empty"):
        registry.create_model(name)
