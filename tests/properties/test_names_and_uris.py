"""Names are normalised once and for all; a URI that is printed is read back."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from registry_nb.domain.records import Stage
from registry_nb.domain.uris import ModelURI, RunURI, parse_uri, parse_which
from registry_nb.domain.validation import checked_alias, checked_name, checked_version
from registry_nb.errors import BadName, Invalid

VISIBLE = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), exclude_characters="/\\:@?#%")


def valid(check):
    def passes(text):
        try:
            return check(text) == text
        except BadName:
            return False

    return passes


NAMES = st.text(VISIBLE, min_size=1, max_size=40).filter(valid(checked_name))
ALIASES = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True).filter(valid(checked_alias))
WHICH = st.integers(1, 2**53 - 1) | st.sampled_from(list(Stage)) | ALIASES.map("@{}".format) | st.just("latest")


@given(st.text(max_size=300))
@example("e\u0301")
@example("\u212b")
def test_a_name_is_refused_or_normalised_for_good(text):
    try:
        name = checked_name(text)
    except BadName as raised:
        sentence = str(raised)
        name = None
    if name is None:
        assert sentence.isprintable(), "what was given does not disguise the sentence"
        return
    assert name == unicodedata.normalize("NFC", text)
    assert checked_name(name) == name
    assert checked_name(unicodedata.normalize("NFD", name)) == name
    assert 1 <= len(name) <= 255
    assert name == name.strip()
    assert not set(name) & set("/\\:@?#%")


@given(NAMES, WHICH)
def test_a_model_uri_that_is_printed_is_read_back(name, which):
    uri = ModelURI(name, which)
    assert parse_uri(str(uri)) == uri
    assert parse_which(which) == which


@given(
    st.text(VISIBLE, min_size=1, max_size=40),
    st.lists(st.text(VISIBLE, min_size=1, max_size=10), min_size=1, max_size=3).map("/".join),
)
def test_a_run_uri_that_is_printed_is_read_back(run_id, path):
    uri = RunURI(run_id, path)
    assert parse_uri(str(uri)) == uri


@given(st.text(max_size=60) | st.text("models:/runAB1@% .", max_size=30) | st.none() | st.integers())
def test_reading_a_uri_raises_nothing_but_invalid(text):
    try:
        uri = parse_uri(text)
    except Invalid:
        return
    assert parse_uri(str(uri)) == uri


@given(st.text(max_size=20) | st.integers() | st.floats() | st.booleans() | st.none() | st.binary(max_size=5))
def test_a_version_is_a_whole_number_from_one_or_refused(given_):
    try:
        number = checked_version(given_)
    except Invalid:
        return
    assert type(number) is int
    assert 1 <= number < 2**53
    assert number == int(given_)
    assert not isinstance(given_, (float, bool, bytes))
