"""Transactions, savepoints, what readers see, indexes, compaction."""

import json
import os
import stat
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from registry_nb.errors import BadValue, StorageError
from registry_nb.stores import format
from registry_nb.stores import journal as journals
from registry_nb.stores.journal import Journal


def put(journal, number, doc, table="t"):
    with journal.transaction():
        journal.overlay(table)[number] = doc


def content(journal, table="t"):
    return {number: format.decode(raw) for number, raw in journal.docs(table).items()}


def lines(path):
    with open(path, "rb") as file:
        return [json.loads(line) for line in file]


# -- transactions


def test_a_transaction_appends_one_group_that_counts_down(journal, path):
    with journal.transaction():
        journal.overlay("t")[1] = {"a": 1}
        journal.overlay("u")[7] = {"b": 2}
    header, *rest = lines(path)
    assert header["registry_nb"] == 1
    assert [(line["t"], line["id"], line["n"], line["doc"]) for line in rest] == [
        ("t", 1, 1, {"a": 1}),
        ("u", 7, 0, {"b": 2}),
    ]


def test_what_a_transaction_that_fails_wrote_never_happened(journal, path):
    put(journal, 1, {"a": 1})
    before = Path(path).read_bytes()
    with pytest.raises(ZeroDivisionError), journal.transaction():
        journal.overlay("t")[1] = {"a": 2}
        del journal.overlay("t")[1]
        1 / 0
    assert content(journal) == {1: {"a": 1}}
    assert Path(path).read_bytes() == before


def test_a_transaction_sees_its_own_changes_and_nobody_else_does(journal, path):
    put(journal, 1, {"a": 1})
    other = Journal(path)
    with journal.transaction():
        journal.overlay("t")[1] = {"a": 2}
        journal.overlay("t")[5] = {}
        assert content(journal) == {1: {"a": 2}, 5: {}}
        assert journal.overlay("t")[5] == {}, "an empty document is one"
        assert journal.doc("t", 5) == b"{}"
        assert journal.next_id("t") == 6
        assert content(other) == {1: {"a": 1}}
    assert content(other) == {1: {"a": 2}, 5: {}}


def test_nothing_written_means_no_byte_appended(journal, path):
    put(journal, 1, {"a": 1})
    before = os.stat(path)
    put(journal, 1, {"a": 1})
    with journal.transaction():
        assert journal.overlay("t")[1] == {"a": 1}
    assert os.stat(path).st_size == before.st_size


def test_a_savepoint_that_fails_undoes_its_own_part_and_no_more(journal, path):
    put(journal, 1, {"a": [1]})
    with journal.transaction():
        journal.overlay("t")[2] = {"b": 1}
        kept = journal.overlay("t")[1]
        kept["a"].append(2)
        with pytest.raises(ZeroDivisionError), journal.transaction():
            journal.overlay("t")[2]["b"] = 99
            journal.overlay("t")[3] = {"c": 1}
            journal.overlay("u")[1] = {"d": 1}
            del journal.overlay("t")[1]
            with journal.transaction():
                journal.overlay("t").clear()
            1 / 0
        assert content(journal) == {1: {"a": [1, 2]}, 2: {"b": 1}}
        with journal.transaction():
            journal.overlay("t")[4] = {"e": 1}
    assert content(Journal(path)) == {1: {"a": [1, 2]}, 2: {"b": 1}, 4: {"e": 1}}
    assert Journal(path).tables() == ["t"]


def test_a_result_that_is_changed_changes_nothing(journal):
    given = {"a": [1]}
    put(journal, 1, given)
    given["a"].append(2)
    content(journal)[1]["a"].append(3)
    assert content(journal) == {1: {"a": [1]}}


def test_a_document_that_json_cannot_hold_is_refused_where_it_is_set(journal, path):
    put(journal, 1, {"a": 1})
    with pytest.raises(BadValue, match=r"x\.y\[1\]"), journal.transaction():
        journal.overlay("t")[2] = {"x": {"y": [0, object()]}}
        pytest.fail("it should have been refused")
    assert content(Journal(path)) == {1: {"a": 1}}


def test_writing_outside_a_transaction_is_refused_and_not_kept_for_the_next_one(journal):
    put(journal, 1, {"a": 1})
    with pytest.raises(StorageError, match="outside a transaction"):
        journal.overlay("t")[2] = {}
    put(journal, 3, {})
    assert sorted(content(journal)) == [1, 3]


def test_an_id_is_never_given_twice_not_even_after_removal_and_compaction(journal, path):
    for number in (1, 2, 3):
        put(journal, number, {})
    with journal.transaction():
        del journal.overlay("t")[3]
        del journal.overlay("t")[2]
    journal.compact()
    assert Journal(path).next_id("t") == 4
    with journal.transaction():  # reserved, and never used
        journal.overlay("t").next_id = 10
    assert Journal(path).next_id("t") == journal.next_id("t") == 10


def test_a_removed_table_begins_anew_with_an_empty_index(journal, path):
    put(journal, 5, {"stage": "x"})
    assert journal.index("t", "stage", "x") == (5,)
    with journal.transaction():
        journal.overlay("t").clear()
    for each in (journal, Journal(path)):
        assert each.index("t", "stage", "x") == ()
        assert each.last("t", "stage", "x") is None
        assert each.next_id("t") == 1
        assert each.tables() == []
    put(journal, 1, {"stage": "x"})
    assert journal.index("t", "stage", "x") == (1,)


def test_a_table_cleared_and_filled_again_in_one_transaction_has_only_the_new(journal, path):
    put(journal, 1, {"stage": "x"})
    put(journal, 9, {"stage": "x"})
    with journal.transaction():
        journal.overlay("t").clear()
        journal.overlay("t")[1] = {"stage": "y"}
        assert list(journal.overlay("t")) == [1]
    for each in (journal, Journal(path)):
        assert content(each) == {1: {"stage": "y"}}
        assert each.next_id("t") == 2
        assert (each.index("t", "stage", "x"), each.index("t", "stage", "y")) == ((), (1,))


# -- readers


def test_a_second_process_sees_each_commit_and_only_reads_what_is_new(journal, path, outcome):
    code = """if 1:
        import sys; from registry_nb.stores.journal import Journal
        with Journal(sys.argv[1]).transaction() as journal:
            journal.overlay("t")[2] = {"by": "another"}
    """
    put(journal, 1, {"a": 1})
    contents = journal._contents
    outcome(code, path)
    assert journal.refresh()
    assert content(journal) == {1: {"a": 1}, 2: {"by": "another"}}
    assert journal._contents is contents, "read on from where it was"
    assert not journal.refresh()


def test_a_reader_of_a_registry_that_was_never_written_makes_nothing(tmp_path):
    journal = Journal(tmp_path / "nowhere" / "registry.jsonl")
    assert journal.tables() == []
    assert journal.doc("t", 1) is None
    assert os.listdir(tmp_path) == []


def test_answers_that_belong_together_are_of_one_moment(journal, path):
    put(journal, 1, {"v": 1})
    writer = Journal(path, durable=False)

    def read():
        first = journal.doc("t", 1)
        put(writer, 1, {"v": 2})  # a commit between the two answers
        return first, journal.doc("t", 1), journal.consistent(lambda: journal.doc("t", 1))

    assert journal.consistent(read) == (b'{"v":1}',) * 3
    assert journal.doc("t", 1) == b'{"v":2}'
    with pytest.raises(ZeroDivisionError):
        journal.consistent(lambda: 1 / 0)
    put(writer, 1, {"v": 3})
    assert journal.doc("t", 1) == b'{"v":3}'
    with pytest.raises(AssertionError, match="nothing is written"):
        journal.consistent(lambda: put(journal, 1, {}))
    assert content(Journal(path)) == {1: {"v": 3}}


def test_a_thread_never_sees_half_of_another_threads_commit(journal):
    with journal.transaction():
        journal.overlay("t").update({1: {"stage": "P"}, 2: {"stage": "A"}})
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(("index", len(journal.index("t", "stage", "P"))))
            stages = [format.decode(raw)["stage"] for raw in journal.snapshot("t").values()]
            seen.add(("scan", stages.count("P")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(300):
        holder, other = (1, 2) if turn % 2 else (2, 1)
        with journal.transaction():
            journal.overlay("t")[other] = {"stage": "A"}
            journal.overlay("t")[holder] = {"stage": "P"}
    stop.set()
    watcher.join()
    assert seen == {("index", 1), ("scan", 1)}


def test_two_threads_lose_nothing_and_repeat_no_id(journal, path):
    def work():
        for _ in range(100):
            with journal.transaction():
                overlay = journal.overlay("t")
                overlay[overlay.next_id] = {"thread": threading.get_ident()}

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(content(Journal(path))) == list(range(1, 201))


def test_indexes_equal_scans(journal):
    values = ["a", "b", 1, True, None, 2.5, "é", 'q"uote', "back\\slash", ["list"]]
    for turn, value in enumerate(values * 3):
        put(journal, turn % 13 + 1, {"f": value} if turn % 2 else {"x": 0, "f": value})
        if turn % 5 == 4:
            with journal.transaction():
                del journal.overlay("t")[turn % 13 + 1]
        for wanted in ("a", "b", "é", 'q"uote', "back\\slash", "absent"):
            scanned = tuple(sorted(number for number, doc in content(journal).items() if doc.get("f") == wanted))
            assert journal.index("t", "f", wanted) == scanned
            assert list(journal.indexed("t", "f", wanted)) == list(scanned)
            assert journal.last("t", "f", wanted) == (scanned[-1] if scanned else None)


def test_inside_a_transaction_indexes_tell_of_what_is_pending(journal, path):
    for number in (1, 2, 3):
        put(journal, number, {"f": "a"})
    with journal.transaction():
        overlay = journal.overlay("t")
        overlay[1] = {"f": "b"}
        overlay[2]["f"] = "b"  # in place
        overlay[5] = {"f": "a"}
        overlay[4] = {"f": "a"}
        del overlay[3]
        assert (journal.index("t", "f", "a"), journal.index("t", "f", "b")) == ((4, 5), (1, 2))
        assert list(journal.indexed("t", "f", "b").values()) == [b'{"f":"b"}'] * 2
        assert (journal.last("t", "f", "a"), journal.last("t", "f", "c")) == (5, None)
        assert Journal(path).index("t", "f", "a") == (1, 2, 3)
        overlay.clear()
        assert journal.index("t", "f", "a") == ()
    assert journal.index("t", "f", "a") == ()


# -- compaction


def test_compaction_drops_garbage_and_keeps_everything_else(journal, path):
    for turn in range(50):
        put(journal, turn % 5 + 1, {"turn": turn, "text": "é" * 50})
    before, size = content(journal), os.path.getsize(path)
    reader = Journal(path)
    assert content(reader) == before
    journal.compact()
    assert os.path.getsize(path) < size / 5
    assert content(journal) == content(reader) == content(Journal(path)) == before
    assert lines(path)[0]["gen"] == 2
    put(journal, 6, {"after": 1})
    assert content(reader)[6] == content(Journal(path))[6] == {"after": 1}


@pytest.mark.parametrize("name", ["t", "🦆" * 255])
def test_a_file_compacts_itself_when_garbage_outweighs_the_rest_and_not_before(journal, path, monkeypatch, name):
    monkeypatch.setattr(journals, "_MIN_GARBAGE", 10_000)
    sizes = []
    for turn in range(300):
        put(journal, turn % 20 + 1, {"turn": turn, "text": "x" * 20}, name)
        sizes.append(os.path.getsize(path))
    assert content(Journal(path), name) == content(journal, name)
    shrunk = sum(after < before for before, after in pairwise(sizes))
    assert 1 <= shrunk < 20, "each time there was as much garbage as the rest, not at every commit"


def test_live_bytes_are_counted_exactly_enough(journal, path):
    for turn in range(30):
        put(journal, turn % 7 + 1, {"turn": "x" * turn}, f"table {turn % 3}")
    with journal.transaction():
        del journal.overlay("table 0")[1]
        journal.overlay("table 1").clear()
    journal.compact()
    assert abs(os.path.getsize(path) - journal._contents.live) < 200
    assert Journal(path).refresh()
    fresh = Journal(path)
    fresh.refresh()
    assert fresh._contents.live == journal._contents.live


def test_compaction_keeps_mode_and_group_and_follows_links(tmp_path):
    real = tmp_path / "real.jsonl"
    link = tmp_path / "registry.jsonl"
    put(Journal(real), 1, {"a": 1})
    os.chmod(real, 0o664)
    if os.getuid() == 0:
        os.chown(real, -1, 12345)
    group = os.stat(real).st_gid
    link.symlink_to(real)
    journal = Journal(link)
    journal.compact()
    assert link.is_symlink()
    assert lines(real)[0]["gen"] == 2
    found = os.stat(real)
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o664, group)
    assert stat.S_IMODE(os.stat(f"{real}.lock").st_mode) == 0o664, "the lock is as open as what it protects"


def test_a_compaction_that_fails_fails_no_commit(journal, path, monkeypatch):
    tries = []

    def full(*_):
        tries.append(1)
        raise OSError(28, "No space left on device")

    put(journal, 1, {"turn": -1})
    monkeypatch.setattr(journals, "_MIN_GARBAGE", 1000)
    monkeypatch.setattr(os, "replace", full)
    for turn in range(200):
        put(journal, 1, {"turn": turn, "text": "x" * 100})
    assert 1 <= len(tries) < 20, "and is not tried at every commit"
    assert content(Journal(path)) == {1: {"turn": 199, "text": "x" * 100}}
    assert [name for name in os.listdir(os.path.dirname(path)) if name.startswith(".draft")] == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="which files are open is asked of Linux")
def test_a_file_that_was_replaced_is_not_kept_open_and_gives_its_room_back(journal, path):
    other = Journal(path, durable=False)
    put(other, 1, {})
    put(journal, 2, {})
    journal.compact()
    assert sorted(content(other)) == [1, 2]
    names = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert [name for name in names if name.startswith(path) and name.endswith("(deleted)")] == []


def test_what_a_killed_compaction_left_is_removed_by_the_next_one(journal, path):
    put(journal, 1, {})
    folder = os.path.dirname(path)
    left = os.path.join(folder, f".draft-{'0' * 32}-registry.jsonl")
    strangers = [f".draft-{'0' * 32}-other.jsonl", ".draft-notes", "registry.jsonl.old"]
    for name in [left, *(os.path.join(folder, name) for name in strangers)]:
        open(name, "w").close()
    journal.compact()
    assert not os.path.exists(left)
    assert set(strangers) <= set(os.listdir(folder))
