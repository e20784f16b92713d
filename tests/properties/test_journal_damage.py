"""Whatever a kill or a bad disk leaves of the file: the committed prefix, or a refusal that says where."""

import os
import tempfile
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_nb.errors import BadValue, Corrupted
from registry_nb.stores import format
from registry_nb.stores.format import Operation
from registry_nb.stores.journal import Journal

names = st.sampled_from(["t", "versions:Iris", "éü🦆", 'q"uo\\te'])
docs = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=20), max_size=3
)
changes = st.lists(st.tuples(names, st.integers(1, 6), docs | st.none()), min_size=1, max_size=4)


def everything(journal):
    return {name: dict(journal.docs(name)) for name in journal.tables()}


def write(journal, group):
    with journal.transaction():
        for name, number, doc in group:
            overlay = journal.overlay(name)
            if doc is not None:
                overlay[number] = doc
            elif number in overlay:
                del overlay[number]


def empty(path):
    for name in os.listdir(os.path.dirname(path)):
        os.unlink(os.path.join(os.path.dirname(path), name))


def written(path, groups):
    """Write transactions; return the bytes of the file, and after each transaction its length and the state."""
    empty(path)
    journal = Journal(path, durable=False)
    write(journal, [("t", 1, {})])
    states = [(os.path.getsize(path), everything(journal))]
    for group in groups:
        write(journal, group)
        states.append((os.path.getsize(path), everything(journal)))
    journal.close()
    with open(path, "rb") as file:
        return file.read(), states


@pytest.fixture(scope="module")
def path():
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "registry.jsonl")


def laid(path, data):
    """Put a file where a journal is opened."""
    empty(path)
    with open(path, "wb") as file:
        file.write(data)
    return Journal(path, durable=False)


torn_ends = st.sampled_from([b"", b"\0", b"\0\0\0", b"\0" * 5000, b'{"t":"t","id":', b"}", b"\xff\xfe garbage"])


@settings(max_examples=2000)
@given(groups=st.lists(changes, min_size=1, max_size=4), cut=st.integers(0, 10**6), garbage=torn_ends)
def test_a_file_cut_anywhere_in_its_last_group_is_its_committed_prefix(path, groups, cut, garbage):
    data, states = written(path, groups)
    (start, before), (stop, _) = states[-2:]
    if start == stop:  # the last group changed nothing
        return
    at = start + cut % (stop - start)
    journal = laid(path, data[:at] + garbage)
    if len(garbage) == 1 and data[at : at + 1] == b"\n":  # a whole line, only its newline is another byte: committed?
        with pytest.raises(Corrupted):
            journal.tables()
        return
    assert everything(journal) == before
    write(journal, [("new", 1, {"after": True})])
    assert everything(journal) == everything(Journal(path)) == {**before, "new": {1: b'{"after":true}'}}
    with open(path, "rb") as file:
        assert file.read(start) == data[:start]
    whole_lines = b"\n" in data[start:at]
    assert os.path.exists(f"{path}.torn") == whole_lines, "whole lines are kept aside"


def test_a_file_cut_at_every_byte_of_its_last_group_is_its_committed_prefix(path):
    group = [("t", 1, {"a": "é" * 30}), ("versions:Iris", 2, {"b": [1, 2]}), ("t", 3, {})]
    data, states = written(path, [[("t", 2, {"z": 1})], group])
    (start, before), (stop, _) = states[-2:]
    for at in range(start, stop):
        for garbage in (b"", b"\0" * 9, b'{"t":"t","id":1'):
            journal = laid(path, data[:at] + garbage)
            assert everything(journal) == before
            write(journal, [("new", 1, {})])
            assert everything(Journal(path)) == {**before, "new": {1: b"{}"}}


@settings(max_examples=2000)
@given(groups=st.lists(changes, max_size=4), where=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused_with_its_line_and_touches_nothing(path, groups, where, flip):
    data, _ = written(path, groups)
    where %= len(data)
    damaged = data[:where] + bytes([data[where] ^ flip]) + data[where + 1 :]
    journal = laid(path, damaged)
    with pytest.raises(Corrupted) as reading:
        journal.tables()
    with pytest.raises(Corrupted), journal.transaction():
        pytest.fail("no writer gets in")
    line = data.rfind(b"\n", 0, where) + 1
    assert reading.value.position == line
    with open(path, "rb") as file:
        assert file.read() == damaged


@settings(max_examples=2000)
@given(groups=st.lists(changes, min_size=1, max_size=5), where=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_repair_keeps_the_transactions_that_the_damage_did_not_touch_and_no_half_of_any(path, groups, where, flip):
    data, states = written(path, groups)
    where %= len(data)
    damaged = data[:where] + bytes([data[where] ^ flip]) + data[where + 1 :]
    operations, _, _ = format.salvage(damaged)
    found = [operation for operation in operations if operation.kind != b"next"]
    whole = [
        [operation for operation, _, _ in format.read_lines(data, start, stop) if operation.kind != b"next"]
        for start, stop in pairwise([data.index(b"\n") + 1, *(end for end, _ in states)])
        if start != stop
    ]
    touched = touched_by(data, where, [end for end, _ in states])
    unsure = {max(touched, default=-1) + 1}  # where nothing tells that a transaction had ended
    may_be_lost = sorted((touched | unsure) & set(range(len(whole))))
    possible = [
        [operation for index, group in enumerate(whole) if index not in gone for operation in group]
        for count in range(len(may_be_lost) + 1)
        for gone in combinations(may_be_lost, count)
    ]
    assert found in possible, "whole transactions, in order, and only those at the damage are missing"

    journal = laid(path, damaged)
    before = os.stat(path).st_mode
    journal.repair()
    everything(journal)
    write(journal, [("new", 1, {})])
    assert Journal(path).tables() == journal.tables()
    assert os.stat(path).st_mode == before
    aside = [name for name in os.listdir(os.path.dirname(path)) if ".damaged-" in name]
    with open(os.path.join(os.path.dirname(path), aside[0]), "rb") as file:
        assert file.read() == damaged


def touched_by(data, where, ends):
    """The transactions that share a line with a byte; a lost newline joins two lines."""
    starts = [data.index(b"\n") + 1, *ends]
    spans = [(start, stop) for start, stop in pairwise(starts) if start != stop]
    line_start = data.rfind(b"\n", 0, where) + 1
    line_stop = data.find(b"\n", where) + 1
    if data[where] == ord("\n"):
        line_stop = data.find(b"\n", where + 1) + 1 or len(data)
    return {index for index, (start, stop) in enumerate(spans) if start < line_stop and line_start < stop}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def holds_half_a_character(value):
    if isinstance(value, str):
        return any(0xD800 <= ord(character) < 0xE000 for character in value)
    if isinstance(value, dict):
        return any(map(holds_half_a_character, [*value, *value.values()]))
    return isinstance(value, list) and any(map(holds_half_a_character, value))


@settings(max_examples=2000)
@given(st.dictionaries(st.text(st.characters(codec=None)), json_values, max_size=4))
def test_what_json_holds_comes_back_equal_in_one_line_and_the_rest_is_refused(value):
    if holds_half_a_character(value):
        with pytest.raises((BadValue, UnicodeEncodeError)):
            format.encode(value)
        return
    raw = format.encode(value)
    assert b"\n" not in raw
    assert b"\0" not in raw
    assert format.decode(raw) == value
    assert format.encode(format.decode(raw)) == raw


@settings(max_examples=2000)
@given(st.lists(st.tuples(names, st.integers(1, 10**6), json_values), min_size=1, max_size=5))
def test_lines_come_back_as_they_were_written(entries):
    crc, data = 0, b""
    operations = [Operation(format.encode(name), number, b"doc", format.encode(doc)) for name, number, doc in entries]
    for remaining, operation in enumerate(operations):
        body = format.operation_body(operation, remaining)
        end, crc = format.sealed(body, crc)
        data += body + end
    assert format.intact_end(data, 0, 0) == len(data)
    assert [(operation, n) for operation, n, _ in format.read_lines(data, 0, len(data))] == [
        (operation, n) for n, operation in enumerate(operations)
    ]


@settings(max_examples=2000)
@given(st.dictionaries(st.sampled_from(["a", "stage", "é", "zz"]), json_values, min_size=1, max_size=4))
def test_a_field_read_without_decoding_is_the_field(value):
    raw = format.encode(value)
    for name in ("a", "stage", "é", "zz", "absent"):
        wanted = value.get(name)
        found = format.field_of(raw, name)
        assert found == (wanted if isinstance(wanted, (str, int, float)) else None)
        assert type(found) is type(wanted) or found is None
