"""A damaged or foreign index changes no answer; a damaged line under an index is refused."""

import os
import zlib
from pathlib import Path

import pytest
from indexes import answers, fill, truth, used

import registry_nb as rn
from registry_nb.errors import Corrupted
from registry_nb.stores import format, index
from registry_nb.stores.journal import Journal

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="without an index on Windows"),
    pytest.mark.usefixtures("index_small"),
]


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


def test_a_flipped_bit_changes_no_search_for_what_was_before(journal, path, given_up):
    fill(journal, transactions=5)
    whole = Path(f"{path}.index").read_bytes()
    plain = Journal(path, indexed=False)
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        Path(f"{path}.index").write_bytes(flipped)
        reader = Journal(path)
        for field, value in (("action", "a"), ("version", 2)):
            wanted = [number for number in plain.index("events:A", field, value) if number < 5]
            assert reader.last("events:A", field, value, 5) == max(wanted, default=None), position
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


@pytest.mark.parametrize("place", ["the same file", "another file"])
@pytest.mark.parametrize("what", ["older", "another registry's"])
@pytest.mark.parametrize("left", ["the newer index", "its own index", "no index"])
def test_a_backup_that_is_put_back_under_a_running_process_is_what_it_reads_and_extends(
    journal, path, tmp_path, place, what, left
):
    other = str(tmp_path / "other.jsonl")
    fill(Journal(other, durable=False), seed=3, transactions=30)
    fill(journal, transactions=3)
    source = path if what == "older" else other
    data, its_index = Path(source).read_bytes(), Path(f"{source}.index").read_bytes()
    fill(journal, seed=2, transactions=6)
    reader = Journal(path, durable=False)
    answers(reader)
    revision = reader.revision
    if place == "another file":
        os.unlink(path)
    Path(path).write_bytes(data)
    if left == "its own index":
        Path(f"{path}.index").write_bytes(its_index)
    elif left == "no index":
        os.unlink(f"{path}.index")
    assert answers(reader) == answers(journal) == truth(path)
    assert reader.revision > revision
    assert reader.written_since(revision) is None
    for one in (reader, journal):
        fill(one, seed=4, transactions=1)
        assert answers(reader) == answers(journal) == answers(Journal(path)) == truth(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_an_index_that_another_account_laid_into_a_sticky_folder_is_not_used(journal, path):
    fill(journal)
    os.chown(f"{path}.index", 54321, -1)
    assert used(Journal(path)), "in a folder of a team anybody may make it"
    Path(path).parent.chmod(0o1777)
    again = Journal(path)
    assert answers(again) == truth(path)
    assert os.stat(f"{path}.index").st_uid == os.geteuid(), "it was made anew"


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
