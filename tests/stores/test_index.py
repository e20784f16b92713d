"""The index beside the journal: whatever becomes of it, the answers are those of the journal."""

import errno
import os
import random
import zlib
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.errors import Corrupted
from registry_nb.stores import format, index, indexed, journal_file, tables
from registry_nb.stores.journal import Journal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="without an index on Windows")

FIELDS = {"models": "name", "versions:A": "stage", "events:A": "version", "runs": "run_id", "t": "f"}
VALUES = ("a", "b", "c", None, 1, 2, True, 1.0, 2.5, "absent", "\ud800", 1 << 70)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Index the smallest journals, in blocks of three records."""
    monkeypatch.setattr(journal_file, "_WORTH", 1)
    monkeypatch.setattr(index, "_RECORDS", 3)


@pytest.fixture(autouse=True)
def given_up(monkeypatch):
    """The reasons for which an index was given up: in most tests there are none."""
    reasons, real = [], indexed.Base.give_up

    def give_up(self):
        reasons.append(self)
        real(self)

    monkeypatch.setattr(indexed.Base, "give_up", give_up)
    yield reasons
    assert not reasons, "no answer came from the index"


def document(name, chance):
    if name == "events:A":
        return {"at": "x" * chance.randrange(30), "version": chance.choice([None, 1, 2, 3])}
    return {FIELDS[name]: chance.choice("abc"), "x": "é" * chance.randrange(30)}


def fill(journal, seed=1, transactions=12):
    """Write at random, and return the documents."""
    chance, model = random.Random(seed), {name: {} for name in FIELDS}
    for _ in range(transactions):
        with journal.transaction():
            for _ in range(3):
                name = chance.choice(list(FIELDS))
                number = chance.randrange(1, 9)
                journal.overlay(name)[number] = model[name][number] = document(name, chance)
    return model


def answers(journal):
    """Everything that can be asked of a journal."""
    return [
        journal.tables(),
        {name: dict(journal.docs(name)) for name in FIELDS},
        {name: list(journal.scan(name)) for name in FIELDS},
        {name: (sorted(journal.docs(name)), len(journal.docs(name)), journal.next_id(name)) for name in FIELDS},
        [[journal.doc(name, number) for number in range(-1, 12)] for name in FIELDS],
        [[journal.index(name, field, value) for value in VALUES] for name, field in FIELDS.items()],
        [[journal.last(name, field, value) for value in VALUES] for name, field in FIELDS.items()],
        [sorted(journal.indexed(name, field, "a")) for name, field in FIELDS.items()],
    ]


def truth(path):
    """Return the answers without an index."""
    return answers(Journal(path, indexed=False))


def used(journal):
    journal.refresh()
    return journal._contents.base is not None


def test_an_index_is_written_beside_the_journal_and_answers_as_the_journal_does(journal, path):
    model = fill(journal)
    assert used(journal)
    again = Journal(path)
    assert answers(again) == answers(journal) == truth(path)
    assert used(again)
    assert {name: {n: format.decode(raw) for n, raw in again.docs(name).items()} for name in FIELDS} == model
    assert Path(f"{path}.index").read_bytes().startswith(index.MAGIC)


def test_a_small_journal_has_no_index_and_none_is_looked_for(journal, path, monkeypatch):
    monkeypatch.setattr(journal_file, "_WORTH", 1 << 20)
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


# -- damage and strangers


def test_an_index_that_ends_anywhere_changes_no_answer(journal, path):
    fill(journal, transactions=4)
    wanted, whole = truth(path), Path(f"{path}.index").read_bytes()
    for size in range(len(whole)):
        Path(f"{path}.index").write_bytes(whole[:size])
        assert answers(Journal(path)) == wanted, size
        assert Path(f"{path}.index").read_bytes() == whole, "and it is made again"


def test_a_flipped_bit_anywhere_in_an_index_changes_no_answer(journal, path, given_up):
    fill(journal, transactions=5)
    wanted, whole = truth(path), Path(f"{path}.index").read_bytes()
    for position in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        Path(f"{path}.index").write_bytes(flipped)
        reader = Journal(path)
        with reader.consistent(lambda reader=reader: reader) and reader.transaction():
            assert answers(reader) == wanted, position
        assert answers(reader) == wanted, position
        assert answers(Journal(path)) == wanted
    assert truth(path) == wanted
    assert given_up
    given_up.clear()


def test_a_damaged_index_is_removed_by_who_finds_that_and_made_again_by_who_comes_next(journal, path, given_up):
    fill(journal)
    whole = bytearray(Path(f"{path}.index").read_bytes())
    whole[-40] ^= 1
    Path(f"{path}.index").write_bytes(whole)
    reader = Journal(path)
    assert answers(reader) == truth(path)
    assert not os.path.exists(f"{path}.index")
    assert answers(Journal(path)) == truth(path)
    assert os.path.exists(f"{path}.index")
    with reader.transaction():
        reader.overlay("t")[20] = {"f": "a"}
    assert reader._contents.base.plain is None, "a writer that goes on makes one, too"
    assert answers(reader) == truth(path)
    assert given_up
    given_up.clear()


def test_the_index_of_another_journal_an_older_or_a_newer_one_is_not_used(journal, path, tmp_path):
    fill(journal, transactions=6)
    early, early_index = Path(path).read_bytes(), Path(f"{path}.index").read_bytes()
    journal.compact()
    compacted_index = Path(f"{path}.index").read_bytes()
    fill(journal, seed=2, transactions=6)
    other = str(tmp_path / "other.jsonl")
    fill(Journal(other, durable=False), seed=3)
    for data in (early_index, compacted_index, Path(f"{other}.index").read_bytes()):
        Path(f"{path}.index").write_bytes(data)
        assert answers(Journal(path)) == truth(path)
    now_index = Path(f"{path}.index").read_bytes()
    os.unlink(path)  # a backup is restored
    Path(path).write_bytes(early)
    for data in (now_index, compacted_index, early_index):
        Path(f"{path}.index").write_bytes(data)
        assert answers(Journal(path)) == truth(path)
        restored = Journal(path, durable=False)
    fill(restored, seed=4, transactions=2)
    assert answers(restored) == answers(Journal(path)) == truth(path)


def test_an_index_that_points_to_other_lines_of_the_journal_is_found_out(journal, path, given_up):
    with journal.transaction():
        journal.overlay("t").update({1: {"f": "a"}, 2: {"f": "b"}})
    base = journal._contents.base
    (section,) = [section for _, _, section in base.sections()]
    one, two = section.places()
    places = [index.PLACE.pack(1, *two[1:]), index.PLACE.pack(2, *one[1:])]
    runs = {"t": (3, [index.packed((), index.PLACE.size, (), places)])}
    directory = base.directory
    wrong = index.joined(directory.end, directory.seal, directory.generation, directory.live, runs)
    for ask in (
        lambda journal: journal.doc("t", 1),
        lambda journal: journal.docs("t")[1],
        lambda journal: next(journal.scan("t"))[1],
    ):
        Path(f"{path}.index").write_bytes(wrong)
        assert ask(Journal(path)) == b'{"f":"a"}'
    assert given_up
    given_up.clear()


def test_a_damaged_line_under_an_index_is_refused_when_it_is_used_and_check_tells(tmp_path, given_up):
    registry = rn.Registry(tmp_path / "r")
    for number in range(1, 6):
        registry.register(len, "A", tags={"n": f"number {number}"})
    path = registry.store.path
    data = Path(path).read_bytes()
    Path(path).write_bytes(data.replace(b"number 2", b"number 7"))
    again = rn.Registry(tmp_path / "r")
    assert used(again.store.db.storage)
    assert again.version("A", 3).tags["n"] == "number 3", "the damage is elsewhere"
    assert any("damaged at byte" in problem for problem in rn.Registry(tmp_path / "r").check().problems)
    with pytest.raises(Corrupted, match="does not match its checksum"):
        again.version("A", 2)
    with pytest.raises(Corrupted):
        again.version("A", 3)  # now it is known
    with pytest.raises(Corrupted):
        again.tag("A", {"x": "y"})
    assert Path(path).read_bytes() == data.replace(b"number 2", b"number 7")
    fresh = rn.Registry(tmp_path / "r")
    with pytest.raises(Corrupted):
        fresh.versions("A")
    fresh = rn.Registry(tmp_path / "r")
    fresh.check(repair=True)
    assert [version.version for version in rn.Registry(tmp_path / "r").versions("A")] == [1, 3, 4, 5]
    assert rn.Registry(tmp_path / "r").register(len, "A").version == 6
    assert given_up
    given_up.clear()


def test_damage_that_is_found_in_a_transaction_keeps_it_from_committing(journal, path, given_up):
    with journal.transaction():
        journal.overlay("t").update({1: {"f": "aaa"}, 2: {"f": "bbb"}, 3: {}})
    Path(path).write_bytes(before := Path(path).read_bytes().replace(b"aaa", b"abc"))
    again = Journal(path, durable=False)
    with pytest.raises(Corrupted), again.transaction():
        with pytest.raises(Corrupted):
            again.doc("t", 1)
        again.overlay("t")[9] = {}
    assert Path(path).read_bytes() == before
    compacting = Journal(path, durable=False)
    with pytest.raises(Corrupted):
        compacting.compact()
    assert Path(path).read_bytes() == before
    assert given_up
    given_up.clear()


def test_two_lines_that_were_swapped_under_an_index_are_damage(journal, path, given_up):
    for number in (1, 2, 3):
        with journal.transaction():
            journal.overlay("t")[number] = {}
    header, one, two, three = Path(path).read_bytes().splitlines(keepends=True)
    Path(path).write_bytes(b"".join([header, two, one, three]))
    for ask in (lambda journal: journal.doc("t", 1), lambda journal: dict(journal.docs("t"))):
        with pytest.raises(Corrupted):
            ask(Journal(path))
    assert given_up
    given_up.clear()


@pytest.mark.parametrize("directory", [b"[]", b"{}", b"1", b"{", b'{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7}'])
def test_an_index_of_another_edition_is_not_used(journal, path, directory):
    fill(journal, transactions=2)
    Path(f"{path}.index").write_bytes(index._head(zlib.crc32(directory), len(directory)) + directory)
    assert answers(Journal(path)) == truth(path)


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
    monkeypatch.setattr(journal_file, "_WORTH", 2000)
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
    assert answers(Journal(path)) == answers(again) == truth(path)


# -- processes

_WRITER = """if 1:
    import sys
    from registry_nb.stores import journal_file
    from registry_nb.stores.journal import Journal
    journal_file._WORTH = 1
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


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_the_index_the_journal_equals_a_plain_dictionary(path, seed, monkeypatch):
    chance = random.Random(seed)
    monkeypatch.setattr(journal_file, "_WORTH", chance.choice([1, 1500]))
    monkeypatch.setattr(tables, "_KEPT", chance.choice([2, 4096]))
    model, ids = {name: {} for name in FIELDS}, dict.fromkeys(FIELDS, 1)
    journal, reader = Journal(path, durable=False), Journal(path)

    def agrees(asked):
        assert asked.tables() == sorted(name for name in FIELDS if model[name])
        for name, field in FIELDS.items():
            docs = model[name]
            assert {number: format.decode(raw) for number, raw in asked.docs(name).items()} == docs
            assert [number for number, _ in asked.scan(name)] == sorted(asked.docs(name)) == sorted(docs)
            assert (len(asked.docs(name)), asked.next_id(name)) == (len(docs), ids[name])
            for value in ("a", "b", None, 1):
                wanted = tuple(sorted(number for number, doc in docs.items() if doc.get(field) == value))
                assert asked.index(name, field, value) == wanted
                assert asked.last(name, field, value) == max(wanted, default=None)

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
    assert b"".join(run.blocks()) == packed.data


def test_a_document_is_returned_only_from_a_line_that_verifies(journal, path):
    with journal.transaction():
        journal.overlay("t").update({1: {"f": "a"}, 2: {"f": "b"}})
        journal.overlay("t").next_id = 9
    data = Path(path).read_bytes()
    header, one, two, _ = data.splitlines(keepends=True)
    start = len(header) - format.SEAL_LENGTH
    one_head, two_head = (format.document_head(b'"t"', number) for number in (1, 2))
    assert format.document_after(data, start, one_head, 9) == b'{"f":"a"}'
    assert format.document_after(data, start + len(one), two_head, 9) == b'{"f":"b"}'
    wrong = [
        (data, start + len(one) + len(two), format.document_head(b'"t"', 9), 0),
        (data, start + 1, one_head, 9),
        (data, start, two_head, 9),
        (data, start, one_head, 8),
        (data, start, one_head, 10),
        (data[: len(header) + 30], start, one_head, 9),
        (data.replace(b"a", b"c", 1), start, one_head, 9),
    ]
    for position in range(start, len(header) + len(one)):
        flipped = bytearray(data)
        flipped[position] ^= 1
        wrong.append((bytes(flipped), start, one_head, 9))
    for given in wrong:
        with pytest.raises(format.Damage):
            format.document_after(*given)
