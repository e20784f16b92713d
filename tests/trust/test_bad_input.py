"""Seventy inputs that nobody should give, each with the tests of what it gets: nothing runs, hangs or ends the kernel.

The table below says which; the tests themselves lie beside this file by theme, and are collected here. Where a limit or
an answer is not that of the list of inputs, the test's name or its first line says what it is instead.
"""

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

THEMES = ("bad_input_names", "bad_input_pickles", "bad_input_files", "bad_input_records")
pytest.register_assert_rewrite(*THEMES)

from bad_input_files import *  # noqa: E402, F403  # pytest collects what this module has
from bad_input_names import *  # noqa: E402, F403
from bad_input_pickles import *  # noqa: E402, F403
from bad_input_records import *  # noqa: E402, F403

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    """An input, the tests of what it gets, and, where there is nothing that could be given it, why."""

    given: str
    tests: tuple[str, ...]
    absent: str = ""


def row(given, *tests, absent=""):
    return Row(given, tests, absent)


NAME = "test_a_bad_name_is_refused_by_every_door_and_quoted_in_ascii"
ONLY_A_NAME = "test_what_only_others_would_mind_is_a_name_and_never_a_path"
TEXT = "test_hostile_text_is_kept_to_the_letter_and_shown_as_text"
ERROR = "test_an_error_says_hostile_text_as_it_is_and_never_formats_it"
MARKDOWN = "test_markdown_is_made_safe_where_it_is_rendered"
VALUES = "test_values_become_scalars_or_their_text_and_keys_stay_text"
PICKLE = "test_nothing_that_can_be_done_with_a_registry_runs_a_strangers_pickle"
GATE = "tests/trust/test_gate.py::test_no_payload_in_the_folder_runs_unless_its_very_digest_is_given"
TREE = "test_a_crafted_tree_is_refused_before_it_is_read"
CRASH = "test_without_the_check_such_a_tree_ends_the_process"
MEMBER = "test_an_archive_of_a_model_with_any_such_member_is_not_read"
NO_DOOR = "test_there_is_no_door_that_unpacks_an_archive"
NO_ARCHIVE = "test_an_archive_is_neither_a_registry_nor_a_model"
FILE_NAME = "test_the_name_of_a_file_in_a_record_leads_nowhere"
PLACE = "test_what_took_the_place_of_a_model_is_never_read_as_one"
SECRET = "test_a_secret_is_masked_before_it_is_written_and_the_warning_says_where_not_what"
BUNDLES = "models come and go as folders of a registry, not as archives"

ROWS = {
    1: row("a name that walks: ../x, a/b, a\\b, .., .", NAME),
    2: row("a name that is a path: /etc/passwd", NAME),
    3: row("a name of nothing, of blanks, with a blank at its end", NAME),
    4: row("a name with NUL, a line, an escape, a bidi mark", NAME),
    5: row("a name of a device: con, NUL.txt, COM1, a:b", NAME, ONLY_A_NAME),
    6: row("a name that is too long", NAME),
    7: row("a name that is percent-encoded", NAME),
    8: row("a name that a shell reads: -rf, ~root, $HOME, .hidden", ONLY_A_NAME),
    9: row(
        "one word in two spellings, or what looks like it",
        "test_two_spellings_of_one_word_are_one_name_and_what_only_looks_alike_is_another",
        ONLY_A_NAME,
    ),
    10: row("Iris and iris", ONLY_A_NAME),
    11: row(
        "words of the URI: latest, None, Production, 1",
        "test_an_alias_that_a_uri_would_read_otherwise_is_refused",
        ONLY_A_NAME,
    ),
    12: row("a URI with .., ?, too many slashes, no such stage", "test_a_uri_is_read_by_a_strict_grammar"),
    13: row("a version of -1, 0, 1.0, True, 10**30", "test_a_version_is_a_whole_number_from_one"),
    14: row("HTML in a tag", TEXT),
    15: row("a script in a description", TEXT, MARKDOWN),
    16: row("a link to javascript: or data:", TEXT, MARKDOWN),
    17: row("HTML in the name of a column", TEXT, ERROR),
    18: row("HTML in a metric, a label, an exception", TEXT, ERROR),
    19: row(
        "HTML in the user's name or a branch's",
        TEXT,
        "test_neither_the_environment_nor_the_source_of_the_caller_is_recorded",
    ),
    20: row("what breaks out of styles and attributes", TEXT),
    21: row(
        "a description of 10 MB, 10,000 tags, a value of 1 MB",
        "test_what_is_too_long_or_too_many_is_refused_and_not_cut",
    ),
    22: row("half a character", "test_half_a_character_is_refused_wherever_it_is_written", NAME),
    23: row(
        "a metric of NaN or infinity", "test_nan_and_infinity_come_back_and_the_file_is_json_that_anybody_reads"
    ),
    24: row("parameters of numpy, dates, sets, bytes, functions", VALUES),
    25: row("keys that are no text, tuples", VALUES),
    26: row("2000 levels, or a circle", "test_what_nests_too_deeply_or_has_no_text_is_refused_by_its_name"),
    27: row("what templates and formats read", TEXT, ERROR),
    28: row(
        "a query that goes back and forth",
        "test_a_hostile_filter_is_literal_text_and_ends_soon",
        "test_a_pattern_of_a_filter_means_no_regular_expression",
    ),
    29: row(
        "a cell that a spreadsheet runs",
        "test_no_door_writes_cells_for_a_spreadsheet",
        absent="nothing writes CSV: `Listing.to_frame` hands out a frame, and what is written from it is pandas'",
    ),
    30: row("a pickle of os.system, exec, eval, subprocess", PICKLE, GATE),
    31: row("a chain of import_module and getattr", PICKLE, GATE),
    32: row("a pickle that writes files by harmless packages", PICKLE, GATE),
    33: row("a pickle that loads another", PICKLE, GATE),
    34: row("a payload that is popped before a benign result", PICKLE, GATE),
    35: row("a payload before the stream breaks off", PICKLE, GATE),
    36: row(
        "a payload that is packed",
        "test_packing_is_what_the_record_says_and_what_comes_out_of_it_passes_the_same_gate",
        "test_what_is_gzip_throughout_is_unpacked_once",
        PICKLE,
    ),
    37: row(
        "a class by value whose predict is malicious",
        "test_code_by_value_runs_after_its_own_digest_was_given_and_not_before",
        PICKLE,
    ),
    38: row(
        "a file of skops with a list of what to trust",
        "test_a_list_of_trusted_types_that_lies_in_the_file_counts_for_nothing",
        "test_a_file_of_skops_is_refused_whatever_types_it_names",
    ),
    39: row("a tree with a child or a feature far away", TREE, CRASH),
    40: row("a tree that goes round in a circle", TREE),
    41: row("a tree of histograms with bad indices", TREE, CRASH),
    42: row(
        "a text of LightGBM that was cut or edited",
        "test_an_edited_lightgbm_text_is_refused_and_this_process_lives",
        "test_without_the_other_process_such_a_text_ends_this_one",
    ),
    43: row(
        "a file of XGBoost that was cut, or of another class", "test_a_damaged_xgboost_file_is_one_error_of_ours"
    ),
    44: row(
        "a .pt with a pickle that acts",
        "test_a_pickle_in_pytorchs_archive_is_not_read_not_even_of_those_who_are_trusted",
    ),
    45: row(
        "safetensors with a header of 2**40 bytes",
        "test_weights_that_say_that_their_header_is_endless_are_damaged",
    ),
    46: row(
        "a .keras with a Lambda, or os.system as a class",
        "test_keras_stays_in_its_safe_mode_for_strangers_and_for_those_who_are_trusted",
    ),
    47: row("a .keras with other members, .., a bomb", MEMBER),
    48: row("a bundle that writes outside", NO_DOOR, NO_ARCHIVE, MEMBER, FILE_NAME, absent=BUNDLES),
    49: row("a bundle with links, setuid bits, one name twice", NO_DOOR, NO_ARCHIVE, MEMBER, absent=BUNDLES),
    50: row(
        "a bomb",
        NO_DOOR,
        MEMBER,
        "test_a_strangers_few_bytes_do_not_become_many",
        "test_a_description_of_skops_that_becomes_many_objects_is_not_read",
        "test_an_own_model_may_be_packed_as_small_as_it_likes",
        absent=f"{BUNDLES}; but a model's own files may be packed, and those are bounded",
    ),
    51: row("a tar with .., links, devices", NO_DOOR, NO_ARCHIVE, absent=BUNDLES),
    52: row(
        "a link in the place of a model",
        PLACE,
        "test_registering_the_bytes_again_replaces_a_link_and_writes_nothing_through_it",
    ),
    53: row(
        "a pipe, a device, a folder, or a swap between hash and load",
        PLACE,
        "test_bytes_that_are_swapped_after_they_were_verified_are_not_those_that_are_loaded",
        "test_what_is_no_file_in_the_place_of_the_records_is_refused_and_not_waited_for",
    ),
    54: row("another file of the same size", PLACE),
    55: row(
        "a record whose version, stage or digest was edited",
        "test_it_is_a_stranger_who_made_these_files",
        "test_an_edited_record_is_a_strangers",
        "test_versions_that_were_exchanged_are_strangers_and_a_moved_stage_is_told_by_the_history",
        "test_a_digest_of_a_record_that_names_other_bytes_finds_none",
    ),
    56: row(
        "records of an older copy",
        "test_records_without_the_history_that_made_them_are_found_and_a_whole_older_copy_is_a_backup",
    ),
    57: row("what says of itself that it is local", "test_who_claims_to_be_local_in_a_record_is_not"),
    58: row(
        "a key that others can read, is missing, or empty",
        "test_a_key_is_made_for_its_owner_alone_and_a_bad_one_is_not_used_silently",
    ),
    59: row(
        "a folder that everybody may write, or of another user",
        "test_a_folder_that_everybody_may_write_makes_nobody_local",
    ),
    60: row("a value that is a secret", SECRET),
    61: row(
        "a name of a secret, and names that hold the word",
        "test_a_name_of_a_secret_masks_its_value_and_a_name_that_only_holds_the_word_does_not",
    ),
    62: row("the token in a remote of git", SECRET),
    63: row(
        "a secret in a cell or the environment",
        "test_neither_the_environment_nor_the_source_of_the_caller_is_recorded",
    ),
    64: row("a closure that takes a secret along", "test_code_that_takes_a_secret_along_is_told"),
    65: row(
        "a framework that is missing",
        "test_a_missing_library_is_named_with_how_to_install_it_and_the_record_can_be_looked_at",
        "test_how_to_install_what_a_stranger_wants_is_a_line_that_can_be_pasted",
    ),
    66: row("code of another Python", "test_code_of_another_python_is_an_explained_error_and_no_crash"),
    67: row(
        "another scikit-learn",
        "test_other_versions_are_one_warning_for_all_that_is_printable",
        "test_an_environment_that_nobody_wrote_stops_nothing",
    ),
    68: row(
        "what is no model, a class, or not fitted",
        "test_what_is_no_model_is_refused",
        "test_an_estimator_that_is_not_fitted_is_warned_of_and_with_an_example_refused",
    ),
    69: row(
        "what cannot be pickled", "test_what_cannot_be_pickled_is_named_by_its_path_and_nothing_is_written"
    ),
    70: row(
        "a full disk, a process that is killed",
        "test_no_room_is_a_storage_error_and_leaves_neither_version_nor_draft",
        "test_a_process_that_is_killed_while_it_saves_leaves_no_version_and_what_it_left_is_removed",
    ),
}  # fmt: skip


def of_theme(module):
    return {name for name, each in vars(sys.modules[module]).items() if name.startswith("test_") and callable(each)}


def functions(path):
    """The names of a file's functions, read and not imported."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_every_row_has_a_test_that_exists():
    assert list(ROWS) == list(range(1, 71))
    here = set().union(*map(of_theme, THEMES))
    for number, each in ROWS.items():
        assert each.given, number
        assert each.tests, number
        for test in each.tests:
            path, _, name = test.rpartition("::")
            assert name in (functions(path) if path else here), f"row {number}: there is no {test}"


def test_every_test_here_is_of_a_row():
    tests = [(theme, test) for theme in THEMES for test in of_theme(theme)]
    assert len({test for _, test in tests}) == len(tests), "two of one name: one of them would not be collected"
    named = {test for each in ROWS.values() for test in each.tests}
    assert {test for _, test in tests} <= named
    assert {test for _, test in tests} <= set(globals()), "and pytest finds it in this file"


def test_what_is_absent_says_why():
    absent = {number: each.absent for number, each in ROWS.items() if each.absent}
    assert list(absent) == [29, 48, 49, 50, 51]
    assert all("," in reason or ":" in reason for reason in absent.values())


@pytest.mark.parametrize(
    ("parts", "test"),
    [(REFUSED, NAME), (HOSTILE, TEXT), (PICKLES, PICKLE), (CRAFTED, TREE), (MEMBERS, MEMBER)],  # noqa: F405
)
def test_a_row_that_shares_a_test_has_a_part_of_its_own_in_it(parts, test):
    rows = {int(str(each).split()[0]) for each in parts}
    assert rows <= {number for number, each in ROWS.items() if test in each.tests}
