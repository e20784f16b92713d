"""Names of files: what is accepted can be written and read back on any system, and nothing is accepted twice."""

import ntpath
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from registry_nb.domain import paths

PARTS = st.text(st.characters(exclude_characters="/"), max_size=12) | st.sampled_from(
    [
        "con",
        "NUL.txt",
        "Com1 .x",
        "lpt\u00b2",
        "aux",
        ".",
        "..",
        "a.",
        " a",
        "a ",
        "\u00e9",
        "e\u0301",
        "A",
        "a",
        "\u212b",
    ]
)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(NAMES)
@example("CONIN$")
@example("a\u200db")
@example("x" * 1025)
@example("\ud800")
@example("~/x")
@example("C:/x")
def test_what_is_safe_stays_inside_and_means_the_same_everywhere(name):
    if paths.unsafe(name):
        return
    assert not ntpath.isabs(name)
    assert not ntpath.splitdrive(name)[0]
    assert ".." not in ntpath.normpath(name).split("\\")
    assert ntpath.normpath(name).replace("\\", "/") == name
    assert name.encode().decode() == name
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in name)
    for part in name.split("/"):
        assert part.rstrip(". ") == part != ""
        assert part.split(".")[0].strip().lower() not in {"con", "prn", "aux", "nul", "com1", "lpt1"}


@given(st.lists(NAMES, max_size=6, unique=True))
@example(["a", "A/b"])
@example(["e\u0301/x", "\u00e9/y"])
def test_names_that_do_not_clash_have_different_folded_forms(names):
    pair = paths.clash(names)
    wholes = {"/".join(name.split("/")[:count]) for name in names for count in range(1, name.count("/") + 2)}

    def folded(text):
        return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())

    if pair is None:
        assert len(set(map(folded, wholes))) == len(wholes)
    else:
        one, other = pair
        assert one != other
        assert folded(one) == folded(other)
        assert {one, other} <= wholes
