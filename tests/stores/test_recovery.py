"""What a kill, a bad disk, a newer release or a stranger left in the file, and what becomes of it."""

import json
import os
from pathlib import Path

import pytest

from registry_nb.errors import Corrupted, NewerFormat, StorageError
from registry_nb.stores import format
from registry_nb.stores.journal import Journal
from registry_nb.stores.local import LocalStore

OLD = Path(__file__).parent / "data" / "format-1.jsonl"


def put(journal, number, doc, table="t"):
    with journal.transaction():
        journal.overlay(table)[number] = doc


def content(journal, table="t"):
    return {number: format.decode(raw) for number, raw in journal.docs(table).items()}


def refuses(path, kind, *parts):
    """Reading and writing are refused, and nothing is touched."""
    before = sorted(os.listdir(os.path.dirname(path)))
    data = Path(path).read_bytes() if os.path.isfile(path) else None
    journal = Journal(path)
    with pytest.raises(kind) as caught:
        journal.docs("t")
    with pytest.raises(kind), journal.transaction():
        pytest.fail("no writer gets in")
    for part in parts:
        assert part in str(caught.value)
    assert data is None or Path(path).read_bytes() == data
    assert set(os.listdir(os.path.dirname(path))) - set(before) <= {os.path.basename(path) + ".lock"}
    return caught.value


# -- torn ends


def test_a_torn_end_is_passed_over_by_readers_and_cut_by_the_next_writer(journal, path):
    put(journal, 1, {"a": 1})
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole + b'{"t":"t","id":2,"n":0,"doc":{"a"')
    reader = Journal(path)
    assert content(reader) == {1: {"a": 1}}
    assert Path(path).read_bytes() != whole, "a reader changes nothing"
    put(journal, 3, {"b": 1})
    assert content(journal) == content(reader) == content(Journal(path)) == {1: {"a": 1}, 3: {"b": 1}}
    assert Path(path).read_bytes().startswith(whole + b'{"t":"t","id":3')
    assert not os.path.exists(f"{path}.torn")


def test_whole_lines_of_a_torn_group_are_kept_aside(journal, path):
    put(journal, 1, {"a": 1})
    start = os.path.getsize(path)
    with journal.transaction():
        journal.overlay("t").update({2: {}, 3: {}, 4: {}})
    data = Path(path).read_bytes()
    torn = data[start : data.rfind(b"\n", 0, -1) + 5]
    Path(path).write_bytes(data[:start] + torn)
    again = Journal(path)
    put(again, 9, {})
    assert content(Journal(path)) == {1: {"a": 1}, 9: {}}
    assert Path(f"{path}.torn").read_bytes() == torn


def test_a_transaction_that_looks_torn_at_first_is_never_cut(journal, path):
    """A reader looked while the file was being written; by the time that it writes, the lines are whole."""
    put(journal, 1, {})
    whole = Path(path).read_bytes()
    late = Journal(path, durable=False)
    Path(path).write_bytes(whole[:-5])
    moment = os.stat(path).st_mtime_ns
    assert late.tables() == []
    tail = whole[-5:]
    with open(path, "ab") as file:
        file.write(tail)
    os.utime(path, ns=(moment, moment))
    late._signature = (os.stat(path).st_ino, os.path.getsize(path), moment)  # a clock too coarse to tell the two apart
    put(late, 2, {})
    assert content(Journal(path)) == {1: {}, 2: {}}


def test_zeros_with_intact_lines_behind_them_are_damage_not_a_torn_end(journal, path):
    for number in range(1, 6):
        put(journal, number, {"text": "x" * 50})
    data = bytearray(Path(path).read_bytes())
    second = data.find(b'"id":2')
    data[second : second + 40] = bytes(40)
    Path(path).write_bytes(data)
    error = refuses(path, Corrupted, "does not match its checksum")
    assert error.position == data.rfind(b"\n", 0, second) + 1


def test_a_deleted_line_and_two_swapped_lines_are_damage(journal, path):
    for number in range(1, 5):
        put(journal, number, {})
    header, one, two, three, four = Path(path).read_bytes().splitlines(keepends=True)
    for lines in ([header, one, three, four], [header, two, one, three, four], [header, one, two, three, three, four]):
        Path(path).write_bytes(b"".join(lines))
        refuses(path, Corrupted)
    Path(path).write_bytes(b"".join([header, one, two, three]))
    assert sorted(content(Journal(path))) == [1, 2, 3], "a lost end cannot be told from a restored backup"


# -- strangers


@pytest.mark.parametrize("data", [b'{"_default": {"1": {"int": 1}}}', b'{"a": 1}\n{"b": 2}\n', b"\x80\x04", b"\n\n"])
def test_a_foreign_file_is_refused_and_not_repaired_away(path, data):
    Path(path).write_bytes(data)
    refuses(path, Corrupted, "not that of a registry")
    with pytest.raises(Corrupted, match="move it away"):
        Journal(path).repair()
    assert Path(path).read_bytes() == data


def test_an_empty_file_is_refused_and_repaired_to_an_empty_registry(path):
    Path(path).touch()
    refuses(path, Corrupted, "it is empty")
    assert Journal(path).repair() == []
    put(Journal(path), 1, {})
    assert content(Journal(path)) == {1: {}}


def test_a_folder_in_the_files_place_is_refused(path):
    os.mkdir(path)
    refuses(path, StorageError, "a folder stands where the file should be")


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "registry").write_text("mine")
    journal = Journal(tmp_path / "registry" / "registry.jsonl")
    with pytest.raises(StorageError, match="a file stands where a folder should be"), journal.transaction():
        pytest.fail("no writer gets in")
    assert (tmp_path / "registry").read_text() == "mine"


def test_a_file_that_vanished_is_not_begun_anew_by_whoever_knew_it(journal, path):
    put(journal, 1, {"a": 1})
    os.rename(path, f"{path}.away")
    for _ in range(2):
        with pytest.raises(StorageError, match="has vanished"):
            journal.docs("t")
        with pytest.raises(StorageError, match="has vanished"), journal.transaction():
            pytest.fail("no writer gets in")
    assert not os.path.exists(path)
    os.rename(f"{path}.away", path)
    assert content(journal) == {1: {"a": 1}}
    put(journal, 2, {})


def test_a_file_restored_from_a_backup_is_read_again(journal, path):
    put(journal, 1, {"a": 1})
    backup = Path(path).read_bytes()
    put(journal, 2, {"a": 2})
    assert sorted(content(journal)) == [1, 2]
    Path(path).write_bytes(backup)
    assert content(journal) == {1: {"a": 1}}
    put(journal, 2, {"a": 3})
    assert content(Journal(path)) == {1: {"a": 1}, 2: {"a": 3}}


# -- formats


def test_a_newer_format_is_refused_whatever_its_seal_is(path):
    for first in (b'{"registry_nb":2,"gen":1,"next":{},"sha":"abc"}\n', b'{"registry_nb":17,"binary":1}\n\x00\x01\x02'):
        Path(path).write_bytes(first)
        error = refuses(path, NewerFormat, "upgrade", "formats up to 1")
        assert error.found in {2, 17}
        with pytest.raises(NewerFormat):
            Journal(path).repair()
        assert Path(path).read_bytes() == first
        assert "upgrade" in LocalStore(os.path.dirname(path)).problems(repair=True)[0]


def test_a_number_that_only_damage_made_newer_is_damage(journal, path):
    put(journal, 1, {})
    data = Path(path).read_bytes()
    Path(path).write_bytes(data.replace(b'"registry_nb":1', b'"registry_nb":3'))
    assert refuses(path, Corrupted).position == 0
    assert journal.repair() == [0]
    assert content(Journal(path)) == {1: {}}


def test_a_file_of_the_first_format_opens_for_ever(path):
    Path(path).write_bytes(OLD.read_bytes())
    journal = Journal(path)
    assert journal.tables() == ["models", 'odd "name" é🦆', "versions:Iris"]
    assert content(journal, "models") == {1: {"name": "Iris", "aliases": {"best": 2}}}
    assert content(journal, "versions:Iris") == {
        1: {"stage": "Archived", "metrics": {"loss": "NaN"}},
        2: {"stage": "Production", "metrics": {}},
    }
    assert journal.next_id("versions:Iris") == 5
    assert journal.next_id("gone") == 1
    assert journal.next_id("reserved") == 8
    assert content(journal, 'odd "name" é🦆') == {3: {"text": "line\nbreak \u2028 é"}}
    put(journal, 5, {"stage": "None"}, "versions:Iris")
    journal.compact()
    assert Journal(path).next_id("versions:Iris") == 6
    assert Journal(path).next_id("reserved") == 8


def test_every_line_is_json_that_other_tools_can_read():
    for line in OLD.read_bytes().split(b"\n")[:-1]:
        assert json.loads(line)["crc"]


# -- repair


def test_repair_of_what_is_whole_changes_nothing_but_a_torn_end(journal, path):
    put(journal, 1, {})
    data = Path(path).read_bytes()
    assert journal.repair() is None
    assert Path(path).read_bytes() == data
    Path(path).write_bytes(data + b'{"t":"t"')
    assert journal.repair() is None
    assert Path(path).read_bytes() == data
    assert [name for name in os.listdir(os.path.dirname(path)) if "damaged" in name] == []


def test_repair_keeps_intact_transactions_whole_and_the_damaged_file_beside(journal, path):
    for number in range(1, 6):
        with journal.transaction():
            journal.overlay("t")[number] = {"text": f"first of {number}"}
            journal.overlay("u")[number] = {"text": f"second of {number}"}
    os.chmod(path, 0o640)
    damaged = Path(path).read_bytes().replace(b"first of 3", b"first of 8").replace(b"second of 5", b"second of 8")
    Path(path).write_bytes(damaged)
    lost = journal.repair()
    assert [damaged[position:].split(b",")[1] for position in lost] == [b'"id":3', b'"id":3', b'"id":5', b'"id":5']
    assert sorted(content(journal, "t")) == sorted(content(Journal(path), "u")) == [1, 2, 4]
    assert Journal(path).next_id("t") == 6, "the number of a version that was lost is not given out again"
    assert os.stat(path).st_mode & 0o777 == 0o640
    aside = [name for name in os.listdir(os.path.dirname(path)) if ".damaged-" in name]
    assert [Path(path).with_name(name).read_bytes() for name in aside] == [damaged]
    Path(path).write_bytes(damaged)
    journal.repair()
    aside = [name for name in os.listdir(os.path.dirname(path)) if ".damaged-" in name]
    assert len(aside) == 2, "a second repair within the second replaces no copy"


def test_a_count_that_was_damaged_does_not_pass_half_a_transaction_for_a_whole_one(journal, path):
    put(journal, 1, {})
    with journal.transaction():
        journal.overlay("t").update({2: {"stage": "Archived"}, 3: {"stage": "Production"}})
    put(journal, 4, {})
    data = Path(path).read_bytes()
    for wrong in (b"0", b"9"):
        Path(path).write_bytes(data.replace(b'"id":2,"n":1', b'"id":2,"n":' + wrong))
        journal.repair()
        assert sorted(content(Journal(path))) == [1, 4]


def test_repair_removes_what_a_killed_compaction_left(journal, path):
    put(journal, 1, {})
    draft = Path(path).with_name(f".draft-{'f' * 32}-registry.jsonl")
    draft.touch()
    assert journal.repair() is None
    assert not draft.exists()
