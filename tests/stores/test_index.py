"""The index beside the journal: the answers are those of the journal, whoever writes, reads or removes it."""

import errno
import os
import random
import zlib
from pathlib import Path

import pytest
from indexes import FIELDS, answers, document, fill, truth, used

from registry_nb.stores import format, index, indexed, journal_file, tables
from registry_nb.stores.journal import Journal
from registry_nb.stores.tables import Contents, Written

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="without an index on Windows"),
    pytest.mark.usefixtures("index_small"),
]


def test_an_index_is_written_beside_the_journal_and_answers_as_the_journal_does(journal, path):
    model = fill(journal)
    assert used(journal)
    again = Journal(path)
    assert answers(again) == answers(journal) == truth(path)
    assert used(again)
    assert {name: {n: format.decode(raw) for n, raw in again.docs(name).items()} for name in FIELDS} == model
    assert Path(f"{path}.index").read_bytes().startswith(index.MAGIC)


def test_a_small_journal_has_no_index_and_none_is_looked_for(journal, path, monkeypatch):
    monkeypatch.setattr(journal_file, "WORTH", 1 << 20)
    fill(journal)
    monkeypatch.setattr(Journal, "_open_index", lambda *_: pytest.fail("it is small"))
    assert answers(Journal(path)) == truth(path)
    assert not os.path.exists(f"{path}.index")


def counted(patch, name):
    """Return a list that gets the number of bytes of each call."""
    real, sizes = getattr(os, name), []

    def call(*given):
        data = real(*given)
        sizes.append(len(data))
        return data

    patch.setattr(os, name, call)
    return sizes


def test_what_is_read_to_find_one_document_does_not_grow_with_the_journal(journal, path, monkeypatch):
    monkeypatch.setattr(index, "_RECORDS", 1024)
    sizes = []
    for versions in (10, 3000):
        with journal.transaction():
            for number in range(1, versions + 1):
                journal.overlay("versions:A")[number] = {"stage": "a" if number == 5 else "b", "x": "x" * 100}
        with monkeypatch.context() as patch:
            reads = [counted(patch, "pread"), counted(patch, "read")]
            fresh = Journal(path)
            assert fresh.last("versions:A", "stage", "a") == 5
            assert fresh.doc("versions:A", 5)
        sizes.append(sum(map(sum, reads)))
    assert sizes[1] < 50_000, "a block of the postings, one of the places, and one line"


@pytest.mark.parametrize("strict", [True, False])
def test_network_folders_and_windows_have_none(path, monkeypatch, strict):
    if not strict:
        monkeypatch.setattr(os, "name", "nt")
    journal = Journal(path, durable=False, strict=strict)
    with journal.transaction():
        journal.overlay("t")[1] = {}
    assert not os.path.exists(f"{path}.index")
    assert not used(Journal(path, strict=strict))


# -- writing it


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_an_index_that_cannot_be_written_is_no_error(journal, path, monkeypatch, code):
    real = os.replace

    def fail(old, new):
        if str(new).endswith(".index"):
            raise OSError(code, os.strerror(code))
        real(old, new)

    monkeypatch.setattr(os, "replace", fail)
    fill(journal)
    journal.compact()
    fill(journal, seed=2)
    assert answers(journal) == answers(Journal(path)) == truth(path)
    assert sorted(os.listdir(os.path.dirname(path))) == ["registry.jsonl", "registry.jsonl.lock"], "nor is a draft left"


def test_a_folder_in_the_place_of_the_index_is_no_error(journal, path):
    os.mkdir(f"{path}.index")
    fill(journal)
    assert answers(journal) == answers(Journal(path)) == truth(path)


def test_an_index_has_the_mode_and_the_group_of_the_journal(journal, path):
    fill(journal, transactions=2)
    os.chmod(path, 0o660)
    os.unlink(f"{path}.index")
    Journal(path).refresh()
    assert os.stat(f"{path}.index").st_mode & 0o777 == 0o660


def test_the_draft_of_an_index_that_a_killed_process_left_goes_with_the_next_compaction(journal, path):
    fill(journal, transactions=2)
    left = os.path.join(os.path.dirname(path), f".draft-{'0' * 32}-registry.jsonl.index")
    Path(left).touch()
    journal.compact()
    assert not os.path.exists(left)


def test_an_index_is_written_again_only_after_much_was_added(journal, path, monkeypatch):
    fill(journal)
    monkeypatch.setattr(journal_file, "WORTH", 2000)
    written = []
    monkeypatch.setattr(Journal, "_save", lambda *_: written.append(os.path.getsize(path)))
    before = os.path.getsize(path)
    for number in range(40):
        with journal.transaction():
            journal.overlay("t")[number] = {"f": "x" * 150}
    assert 1 <= len(written) <= (os.path.getsize(path) - before) / 2000


def test_the_index_of_a_file_that_was_replaced_meanwhile_is_not_written(journal, path):
    fill(journal, transactions=3)
    reader = Journal(path)
    answers(reader)
    journal.compact()
    newest = Path(f"{path}.index").read_bytes()
    assert reader._save(b"old", reader._inode) is None
    assert Path(f"{path}.index").read_bytes() == newest
    assert answers(reader) == truth(path)


def test_numbers_that_the_index_has_no_room_for_are_kept_without_it(journal, path, monkeypatch):
    fill(journal, transactions=2)
    with journal.transaction():
        journal.overlay("t")[1 << 40] = {"f": "a"}
    assert journal.last("t", "f", "a") == Journal(path).last("t", "f", "a") == 1 << 40
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_index", lambda *_: pytest.fail("it was tried once"))
        with journal.transaction():
            journal.overlay("t")[2] = {"f": "a"}
    late = Journal(path, durable=False)
    late.compact()
    assert answers(late) == answers(journal) == answers(Journal(path)) == truth(path)


def test_values_that_postings_cannot_hold_are_found_without_them(journal, path):
    with journal.transaction():
        journal.overlay("versions:A").update(
            {1: {"stage": 1}, 2: {"stage": True}, 3: {"stage": "a"}, 4: {"stage": 2.5}}
        )
        journal.overlay("events:A").update({1: {"version": "a"}, 2: {"version": 1 << 70}, 3: {"version": 2}})
        journal.overlay("runs").update({1: {"run_id": "a"}, 2: {"other": 1}})
    again = Journal(path)
    assert used(again)
    assert answers(again) == truth(path)
    assert again.index("versions:A", "stage", 1) == (1, 2)
    with again.transaction():
        again.overlay("versions:A")[1] = {"stage": "a"}
        again.overlay("runs")[2] = {"run_id": 5}
        del again.overlay("events:A")[3]
    assert answers(Journal(path)) == answers(again) == truth(path)


def test_keys_of_more_texts_than_are_remembered_are_made_again(path, monkeypatch):
    monkeypatch.setattr(indexed, "_TEXTS", 2)
    fill(Journal(path, durable=False))
    assert answers(Journal(path)) == truth(path)


# -- processes

_WRITER = """if 1:
    import sys
    from registry_nb.stores import journal_file
    from registry_nb.stores.journal import Journal
    journal_file.WORTH = 1
    for turn in range(25):
        journal = Journal(sys.argv[1], durable=False)
        with journal.transaction():
            runs = journal.overlay("runs")
            runs[runs.next_id] = {"run_id": sys.argv[2]}
"""


def test_processes_that_write_the_index_at_once_lose_nothing(path, process):
    children = [process(_WRITER, path, who) for who in "ab"]
    for child in children:
        assert child.wait(timeout=300) == 0, child.stderr.read()
    assert answers(Journal(path)) == truth(path)
    assert [len(Journal(path).index("runs", "run_id", who)) for who in "ab"] == [25, 25]


def test_a_reader_goes_on_with_the_file_that_it_has_while_another_replaces_it(journal, path):
    fill(journal)
    reader = Journal(path)
    before = answers(reader)

    def read():
        journal.compact()
        fill(journal, seed=5, transactions=2)
        return answers(reader)

    assert reader.consistent(read) == before
    started = reader.scan("t")
    first = next(started)
    journal.compact()
    assert [first, *started] == list(dict(truth(path)[2])["t"])
    assert answers(reader) == truth(path)


def test_a_forked_process_reads_and_writes_by_its_parents_descriptors(journal, path):
    fill(journal)
    parent = Journal(path, durable=False)
    wanted = answers(parent)
    child = os.fork()
    if not child:
        status = 1
        try:
            assert answers(parent) == wanted
            with parent.transaction():
                parent.overlay("t")[30] = {"f": "child"}
            parent.close()
            status = 0
        finally:
            os._exit(status)
    assert answers(Journal(path))[0] == wanted[0]
    assert os.waitpid(child, 0)[1] == 0
    assert parent.last("t", "f", "child") == 30
    assert answers(parent) == truth(path)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="which files are open is asked of Linux")
def test_closing_leaves_no_descriptor_and_reading_opens_them_again(path):
    before = len(os.listdir("/proc/self/fd"))
    journal = Journal(path, durable=False)
    fill(journal)
    journal.compact()
    wanted = answers(journal)
    journal.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert answers(journal) == wanted
    del journal
    assert len(os.listdir("/proc/self/fd")) == before


# -- in memory


def test_what_is_read_one_by_one_is_the_same_object_and_what_is_scanned_is_not_kept(journal, path, monkeypatch):
    fill(journal)
    monkeypatch.setattr(tables, "_KEPT", 2)
    reader = Journal(path)
    assert reader.doc("t", 1) is reader.doc("t", 1)
    for number in range(9):
        reader.doc("t", number)
    table = reader._contents.tables["t"]
    assert len(table.read) <= 2
    table.read.clear()
    assert len(list(reader.scan("t"))) > 2
    assert not table.read
    assert not table.docs


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_the_index_the_journal_equals_a_plain_dictionary(path, seed, monkeypatch):
    chance = random.Random(seed)
    monkeypatch.setattr(journal_file, "WORTH", chance.choice([1, 1500]))
    monkeypatch.setattr(tables, "_KEPT", chance.choice([2, 4096]))
    model, ids = {name: {} for name in FIELDS}, dict.fromkeys(FIELDS, 1)
    journal, reader = Journal(path, durable=False), Journal(path)

    def agrees(asked):
        assert asked.tables() == sorted(name for name in FIELDS if model[name])
        for name, field in [*FIELDS.items(), ("events:A", "action")]:
            docs = model[name]
            assert {number: format.decode(raw) for number, raw in asked.docs(name).items()} == docs
            assert [number for number, _ in asked.scan(name)] == sorted(asked.docs(name)) == sorted(docs)
            assert (len(asked.docs(name)), asked.next_id(name)) == (len(docs), ids[name])
            for value in ("a", "b", None, 1):
                wanted = tuple(sorted(number for number, doc in docs.items() if doc.get(field) == value))
                assert asked.index(name, field, value) == wanted
                assert asked.last(name, field, value) == max(wanted, default=None)
                below = chance.randrange(-1, 25)
                earlier = [number for number in wanted if number < below]
                assert asked.last(name, field, value, below) == max(earlier, default=None)

    for step in range(40):
        act = chance.random()
        if act < 0.1:
            journal.compact()
        elif act < 0.2:
            Path(f"{path}.index").unlink(missing_ok=True)
        elif act < 0.3:
            journal = Journal(path, durable=False)
        else:
            with journal.transaction():
                for _ in range(chance.randrange(1, 6)):
                    name, act = chance.choice(list(FIELDS)), chance.random()
                    overlay, docs = journal.overlay(name), model[name]
                    if act < 0.6:
                        number = chance.choice([overlay.next_id, chance.randrange(1, 20)])
                        overlay[number] = docs[number] = document(name, chance)
                        ids[name] = max(ids[name], number + 1)
                    elif act < 0.85 and docs:
                        number = chance.choice(list(docs))
                        del overlay[number], docs[number]
                    elif act < 0.9:
                        overlay.next_id += 2
                        ids[name] += 2
                    elif act < 0.93:
                        overlay.clear()
                        docs.clear()
                        ids[name] = 1
                agrees(journal)
        agrees(journal)
        if step % 4 == 0:
            agrees(reader)
            fresh, plain = Journal(path), Journal(path, indexed=False)
            agrees(fresh)
            agrees(plain)
            assert fresh._contents.live == plain._contents.live


def test_the_records_of_a_run_are_found_from_both_ends():
    records = [index.ID.pack(number // 3) + index.ID.pack(number) for number in range(50)]
    packed = index.packed(records[::2], 8, [records[4], b"zzz"], records[1::2])
    wanted = records[:4] + records[5:]
    assert packed.data == b"".join(wanted)
    data = packed.data + packed.fences()
    run = index.Run(lambda at, size: data[at : at + size], 3, 0, len(wanted), 8, zlib.crc32(packed.fences()))
    for number in range(20):
        found = [record for record in wanted if record.startswith(index.ID.pack(number))]
        assert list(run.find(index.ID.pack(number))) == found
        assert list(run.backwards(index.ID.pack(number))) == found[::-1]
        below = index.ID.pack(3 * number + 1)
        assert list(run.backwards(index.ID.pack(number), below)) == [one for one in found[::-1] if one[4:] < below]
    assert b"".join(run.blocks()) == packed.data


def test_a_process_that_reads_on_is_told_what_is_new_also_when_it_indexes_it(journal, path, index_small):
    with journal.transaction():
        journal.overlay("t")[1] = {}
    reader = Journal(path)
    reader.refresh()
    for number in (2, 3):
        with journal.transaction():
            journal.overlay("t")[number] = {}
        revision = reader.revision
        assert reader.refresh()
        assert reader.written_since(revision) == [("t", number, Written.NEW)]
        assert reader._contents.base.directory.end == reader._contents.end, "it was indexed"


def test_what_is_written_while_a_reader_indexes_is_unknown_news(journal, path, index_small, monkeypatch):
    with journal.transaction():
        journal.overlay("t")[1] = {}
    reader, real = Journal(path), Journal._index
    reader.refresh()
    with journal.transaction():
        journal.overlay("t")[2] = {}

    def while_another_writes(self, *arguments):
        monkeypatch.setattr(Journal, "_index", real)
        with journal.transaction():
            journal.overlay("t")[3] = {}
        real(self, *arguments)

    monkeypatch.setattr(Journal, "_index", while_another_writes)
    revision = reader.revision
    reader.refresh()
    assert reader.written_since(revision) is None
    assert list(reader.docs("t")) == [1, 2, 3]


def test_much_that_is_new_is_indexed_at_once_and_not_read_into_memory(journal, path, index_small, monkeypatch):
    with journal.transaction():
        journal.overlay("t")[1] = {}
    reader = Journal(path)
    reader.refresh()
    with journal.transaction():
        journal.overlay("t")[2] = {}
    monkeypatch.setattr(journal_file, "_MUCH", 1)
    monkeypatch.setattr(Contents, "load", None)
    revision = reader.revision
    reader.refresh()
    assert reader.written_since(revision) is None
    assert list(reader.docs("t")) == [1, 2]
