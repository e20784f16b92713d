"""Seventy inputs that nobody should give, each with the tests of what it gets: nothing runs, hangs or ends the kernel.

The tests lie beside this file, in `test_hostile_text`, `_pickles`, `_files` and `_records`.
"""

import ast
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
FILES = [FOLDER / f"test_hostile_{theme}.py" for theme in ("text", "pickles", "files", "records")]


class Answer(NamedTuple):
    """The tests of what an input gets, and, where nothing can be given it, why."""

    names: tuple[str, ...]
    absent: str = ""


def covered_by(*names):
    return Answer(names)


def absent(reason, *names):
    return Answer(names, reason)


NAME = "test_a_bad_name_is_refused_by_every_door_and_quoted_in_ascii"
ONLY_A_NAME = "test_what_only_others_would_mind_is_a_name_and_never_a_path"
TEXT = "test_hostile_text_is_kept_to_the_letter_and_shown_as_text"
ERROR = "test_an_error_says_hostile_text_as_it_is_and_never_formats_it"
MARKDOWN = "test_markdown_is_made_safe_where_it_is_rendered"
VALUES = "test_values_become_scalars_or_their_text_and_keys_stay_text"
PICKLE = "test_nothing_that_can_be_done_with_a_registry_runs_a_strangers_pickle"
GATE = "test_untrusted_models.py::test_no_payload_in_the_folder_runs_unless_its_very_digest_is_given"
TREE = "test_a_crafted_tree_is_refused_before_it_is_read"
CRASH = "test_without_the_check_such_a_tree_ends_the_process"
MEMBER = "test_an_archive_of_a_model_with_any_such_member_is_not_read"
NO_DOOR = "test_there_is_no_door_that_unpacks_an_archive"
NO_ARCHIVE = "test_an_archive_is_neither_a_registry_nor_a_model"
FILE_NAME = "test_the_name_of_a_file_in_a_record_leads_nowhere"
PLACE = "test_what_took_the_place_of_a_model_is_never_read_as_one"
SECRET = "test_a_secret_is_masked_before_it_is_written_and_the_warning_says_where_not_what"
BUNDLES = "models come and go as folders of a registry, not as archives"

INPUTS = {
    "a name that walks: ../x, a/b, a\\b, .., .": covered_by(NAME),
    "a name that is a path: /etc/passwd": covered_by(NAME),
    "a name of nothing, of blanks, with a blank at its end": covered_by(NAME),
    "a name with NUL, a line, an escape, a bidi mark": covered_by(NAME),
    "a name of a device: con, NUL.txt, COM1, a:b": covered_by(NAME, ONLY_A_NAME),
    "a name that is too long": covered_by(NAME),
    "a name that is percent-encoded": covered_by(NAME),
    "a name that a shell reads: -rf, ~root, $HOME, .hidden": covered_by(ONLY_A_NAME),
    "one word in two spellings, or what looks like it": covered_by(
        "test_two_spellings_of_one_word_are_one_name_and_what_only_looks_alike_is_another",
        ONLY_A_NAME,
    ),
    "Iris and iris": covered_by(ONLY_A_NAME),
    "words of the URI: latest, None, Production, 1": covered_by(
        "test_an_alias_that_a_uri_would_read_otherwise_is_refused",
        ONLY_A_NAME,
    ),
    "a URI with .., ?, too many slashes, no such stage": covered_by("test_a_uri_is_read_by_a_strict_grammar"),
    "a version of -1, 0, 1.0, True, 10**30": covered_by("test_a_version_is_a_whole_number_from_one"),
    "HTML in a tag": covered_by(TEXT),
    "a script in a description": covered_by(TEXT, MARKDOWN),
    "a link to javascript: or data:": covered_by(TEXT, MARKDOWN),
    "HTML in the name of a column": covered_by(TEXT, ERROR),
    "HTML in a metric, a label, an exception": covered_by(TEXT, ERROR),
    "HTML in the user's name or a branch's": covered_by(
        TEXT,
        "test_neither_the_environment_nor_the_source_of_the_caller_is_recorded",
    ),
    "what breaks out of styles and attributes": covered_by(TEXT),
    "a description of 10 MB, 10,000 tags, a value of 1 MB": covered_by(
        "test_what_is_too_long_or_too_many_is_refused_and_not_cut",
    ),
    "half a character": covered_by("test_half_a_character_is_refused_wherever_it_is_written", NAME),
    "a metric of NaN or infinity": covered_by(
        "test_nan_and_infinity_come_back_and_the_file_is_json_that_anybody_reads"
    ),
    "parameters of numpy, dates, sets, bytes, functions": covered_by(VALUES),
    "keys that are no text, tuples": covered_by(VALUES),
    "2000 levels, or a circle": covered_by("test_what_nests_too_deeply_or_has_no_text_is_refused_by_its_name"),
    "what templates and formats read": covered_by(TEXT, ERROR),
    "a query that goes back and forth": covered_by(
        "test_a_hostile_filter_is_literal_text_and_ends_soon",
        "test_a_pattern_of_a_filter_means_no_regular_expression",
    ),
    "a cell that a spreadsheet runs": absent(
        "nothing writes CSV: `Listing.to_frame` hands out a frame, and what is written from it is pandas'",
        "test_no_door_writes_cells_for_a_spreadsheet",
    ),
    "a pickle of os.system, exec, eval, subprocess": covered_by(PICKLE, GATE),
    "a chain of import_module and getattr": covered_by(PICKLE, GATE),
    "a pickle that writes files by harmless packages": covered_by(PICKLE, GATE),
    "a pickle that loads another": covered_by(PICKLE, GATE),
    "a payload that is popped before a benign result": covered_by(PICKLE, GATE),
    "a payload before the stream breaks off": covered_by(PICKLE, GATE),
    "a payload that is packed": covered_by(
        "test_packing_is_what_the_record_says_and_what_comes_out_of_it_passes_the_same_gate",
        "test_what_is_gzip_throughout_is_unpacked_once",
        PICKLE,
    ),
    "a class by value whose predict is malicious": covered_by(
        "test_code_by_value_runs_after_its_own_digest_was_given_and_not_before",
        PICKLE,
    ),
    "a file of skops with a list of what to trust": covered_by(
        "test_a_list_of_trusted_types_that_lies_in_the_file_counts_for_nothing",
        "test_a_file_of_skops_is_refused_whatever_types_it_names",
    ),
    "a tree with a child or a feature far away": covered_by(TREE, CRASH),
    "a tree that goes round in a circle": covered_by(TREE),
    "a tree of histograms with bad indices": covered_by(TREE, CRASH),
    "a text of LightGBM that was cut or edited": covered_by(
        "test_an_edited_lightgbm_text_is_refused_and_this_process_lives",
        "test_without_the_other_process_such_a_text_ends_this_one",
    ),
    "a file of XGBoost that was cut, or of another class": covered_by(
        "test_a_damaged_xgboost_file_is_one_error_of_ours"
    ),
    "a .pt with a pickle that acts": covered_by(
        "test_a_pickle_in_pytorchs_archive_is_not_read_not_even_of_those_who_are_trusted",
    ),
    "safetensors with a header of 2**40 bytes": covered_by(
        "test_weights_that_say_that_their_header_is_endless_are_damaged",
    ),
    "a .keras with a Lambda, or os.system as a class": covered_by(
        "test_keras_stays_in_its_safe_mode_for_strangers_and_for_those_who_are_trusted",
    ),
    "a .keras with other members, .., a bomb": covered_by(MEMBER),
    "a bundle that writes outside": absent(BUNDLES, NO_DOOR, NO_ARCHIVE, MEMBER, FILE_NAME),
    "a bundle with links, setuid bits, one name twice": absent(BUNDLES, NO_DOOR, NO_ARCHIVE, MEMBER),
    "a bomb": absent(
        f"{BUNDLES}; but a model's own files may be packed, and those are bounded",
        NO_DOOR,
        MEMBER,
        "test_a_strangers_few_bytes_do_not_become_many",
        "test_a_description_of_skops_that_becomes_many_objects_is_not_read",
        "test_an_own_model_may_be_packed_as_small_as_it_likes",
    ),
    "a tar with .., links, devices": absent(BUNDLES, NO_DOOR, NO_ARCHIVE),
    "a link in the place of a model": covered_by(
        PLACE,
        "test_registering_the_bytes_again_replaces_a_link_and_writes_nothing_through_it",
    ),
    "a pipe, a device, a folder, or a swap between hash and load": covered_by(
        PLACE,
        "test_bytes_that_are_swapped_after_they_were_verified_are_not_those_that_are_loaded",
        "test_what_is_no_file_in_the_place_of_the_records_is_refused_and_not_waited_for",
    ),
    "another file of the same size": covered_by(PLACE),
    "a record whose version, stage or digest was edited": covered_by(
        "test_it_is_a_stranger_who_made_these_files",
        "test_an_edited_record_is_a_strangers",
        "test_versions_that_were_exchanged_are_strangers_and_a_moved_stage_is_told_by_the_history",
        "test_a_digest_of_a_record_that_names_other_bytes_finds_none",
    ),
    "records of an older copy": covered_by(
        "test_records_without_the_history_that_made_them_are_found_and_a_whole_older_copy_is_a_backup",
    ),
    "what says of itself that it is local": covered_by("test_who_claims_to_be_local_in_a_record_is_not"),
    "a key that others can read, is missing, or empty": covered_by(
        "test_a_key_is_made_for_its_owner_alone_and_a_bad_one_is_not_used_silently",
    ),
    "a folder that everybody may write, or of another user": covered_by(
        "test_a_folder_that_everybody_may_write_makes_nobody_local",
    ),
    "a value that is a secret": covered_by(SECRET),
    "a name of a secret, and names that hold the word": covered_by(
        "test_a_name_of_a_secret_masks_its_value_and_a_name_that_only_holds_the_word_does_not",
    ),
    "the token in a remote of git": covered_by(SECRET),
    "a secret in a cell or the environment": covered_by(
        "test_neither_the_environment_nor_the_source_of_the_caller_is_recorded",
    ),
    "a closure that takes a secret along": covered_by("test_code_that_takes_a_secret_along_is_told"),
    "a framework that is missing": covered_by(
        "test_a_missing_library_is_named_with_how_to_install_it_and_the_record_can_be_looked_at",
        "test_how_to_install_what_a_stranger_wants_is_a_line_that_can_be_pasted",
    ),
    "code of another Python": covered_by("test_code_of_another_python_is_an_explained_error_and_no_crash"),
    "another scikit-learn": covered_by(
        "test_other_versions_are_one_warning_for_all_that_is_printable",
        "test_an_environment_that_nobody_wrote_stops_nothing",
    ),
    "what is no model, a class, or not fitted": covered_by(
        "test_what_is_no_model_is_refused",
        "test_an_estimator_that_is_not_fitted_is_warned_of_and_with_an_example_refused",
    ),
    "what cannot be pickled": covered_by("test_what_cannot_be_pickled_is_named_by_its_path_and_nothing_is_written"),
    "a full disk, a process that is killed": covered_by(
        "test_no_room_is_a_storage_error_and_leaves_neither_version_nor_draft",
        "test_a_process_that_is_killed_while_it_saves_leaves_no_version_and_what_it_left_is_removed",
    ),
}


def functions(path):
    """The names of a file's functions, read and not imported."""
    tree = ast.parse(path.read_text("utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_every_input_has_tests_that_exist():
    assert len(INPUTS) == 70
    here = set().union(*map(functions, FILES))
    for given, (names, _) in INPUTS.items():
        assert names, given
        for test in names:
            path, _, name = test.rpartition("::")
            assert name in (functions(FOLDER / path) if path else here), f"{given}: there is no {test}"


def test_every_test_of_hostile_input_is_in_the_table():
    written = {name for path in FILES for name in functions(path) if name.startswith("test_")}
    assert written <= {name for names, _ in INPUTS.values() for name in names}


def test_what_cannot_be_given_says_why():
    reasons = [reason for _, reason in INPUTS.values() if reason]
    assert len(reasons) == 5
    assert all("," in reason or ":" in reason for reason in reasons)
