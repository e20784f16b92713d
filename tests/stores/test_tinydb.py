"""TinyDB's own words over the journal: several kernels, transactions, indexes, and a stock table."""

import pytest
from tinydb import Query, TinyDB, where
from tinydb.operations import increment
from tinydb.table import Document, Table

from registry_nb.errors import BadValue
from registry_nb.stores import format
from registry_nb.stores import tinydb as adapter
from registry_nb.stores.tinydb import JournalDB, JournalStorage


@pytest.fixture
def db(path):
    with JournalDB(path, durable=False) as db:
        yield db


@pytest.fixture
def decoded(monkeypatch):
    """The documents that were decoded, as bytes."""
    seen = []
    monkeypatch.setattr(adapter, "decode", lambda raw: (seen.append(raw), format.decode(raw))[1])
    return seen


def test_two_databases_on_one_file_share_everything_at_once(db, path):
    other = JournalDB(path)
    assert db.table("t").insert({"a": 1}) == 1
    assert other.table("t").insert({"a": 2}) == 2, "ids are given out by the file, not by the object"
    assert db.table("t").all() == other.table("t").all() == [{"a": 1}, {"a": 2}]
    assert [document.doc_id for document in db.table("t")] == [1, 2]
    other.table("t").update({"a": 9}, where("a") == 1)
    assert db.table("t").get(doc_id=1) == {"a": 9}, "no query cache serves what is no more"
    assert db.table("t").search(where("a") == 1) == []


def test_several_operations_commit_together_or_not_at_all(db, path):
    db.table("t").insert({"n": 0})
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.table("t").update(increment("n"))
        db.table("u").insert({})
        1 / 0
    assert JournalDB(path).table("t").all() == [{"n": 0}]
    assert JournalDB(path).tables() == {"t"}
    with db.transaction():
        db.table("t").update(increment("n"))
        assert db.table("t").all() == [{"n": 1}], "it reads its own writes"
        db.table("t").update(increment("n"), where("n") == 1)
        db.table("t").upsert({"n": 5}, where("n") == 7)
        with pytest.raises(BadValue):
            db.table("t").insert({"n": object()})
    assert JournalDB(path).table("t").all() == [{"n": 2}, {"n": 5}]


def test_an_operation_that_fails_half_way_changes_nothing(db, path):
    db.table("t").insert_multiple({"n": n} for n in range(3))

    def bump(document):
        if document["n"] == 2:
            raise ValueError
        document["n"] += 100

    with pytest.raises(ValueError):
        db.table("t").update(bump)
    with pytest.raises(ValueError):
        db.table("t").update_multiple([({"x": 1}, where("n") == 0), (bump, where("n") == 2)])
    assert JournalDB(path).table("t").all() == db.table("t").all() == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_an_index_finds_what_a_scan_finds_and_decodes_only_that(db, decoded):
    table = db.table("t")
    table.insert_multiple({"stage": "abc"[n % 3], "n": n} for n in range(30))
    stage = Query().stage
    for query in (stage == "a", (stage == "a") & (where("n") > 10), (stage == "zz"), ~(stage == "a"), stage.any(["a"])):
        scanned = [document for document in table.all() if query(document)]
        decoded.clear()
        assert table.search(query) == scanned
        assert table.count(query) == len(scanned)
        assert table.contains(query) == bool(scanned)
        assert table.get(query) == (scanned[0] if scanned else None)
    decoded.clear()
    assert len(table.search(stage == "a")) == 10
    assert len(decoded) == 10
    assert table.search((stage == "a") | (stage == "b")) == [d for d in table.all() if d["stage"] in "ab"]
    assert table.search(where("stage").one_of(["c"])) == [d for d in table.all() if d["stage"] == "c"]


def test_values_that_python_finds_equal_are_told_apart_by_the_query_not_the_index(db):
    db.table("t").insert_multiple([{"x": 1}, {"x": True}, {"x": 1.0}, {"x": "1"}, {"x": None}, {}])
    assert len(db.table("t").search(where("x") == 1)) == 3, "as TinyDB's own tables answer"
    assert db.table("t").search(where("x") == "1") == [{"x": "1"}]


def test_explicit_ids_are_kept_and_raise_the_next_one(db, path):
    table = db.table("t")
    table.insert(Document({"a": 1}, doc_id=17))
    assert table.insert({"a": 2}) == 18
    with pytest.raises(ValueError, match="17"):
        table.insert(Document({"a": 3}, doc_id=17))
    assert JournalDB(path).table("t").get(doc_ids=[17, 18]) == [{"a": 1}, {"a": 2}]
    table.remove(doc_ids=[18])
    assert JournalDB(path).table("t").insert({}) == 19, "a number is not used again"


def test_what_was_read_can_be_changed_without_changing_the_database(db):
    db.table("t").insert({"list": [1]})
    db.table("t").get(doc_id=1)["list"].append(2)
    db.table("t").all()[0]["list"].append(3)
    assert db.table("t").get(doc_id=1) == {"list": [1]}


def test_dropping_a_table_leaves_one_that_somebody_made_meanwhile(db, path, monkeypatch):
    db.table("t").insert({})
    other = JournalDB(path)
    transaction = JournalDB.transaction

    def late(self):  # at the last moment before the lock
        other.table("u").insert({})
        return transaction(self)

    with monkeypatch.context() as patch:
        patch.setattr(JournalDB, "transaction", late)
        db.drop_table("t")
    assert db.tables() == {"u"}
    db.drop_table("never there")
    db.drop_tables()
    assert other.tables() == set()
    assert other.table("u").insert({}) == 1


def test_a_scan_outlives_a_removal_by_another_thread(db):
    table = db.table("t")
    table.insert_multiple({"n": n} for n in range(5))
    for loop in (iter(table), iter(table._read_table().items())):
        next(loop)
        table.remove(where("n") == 3)
        assert len(list(loop)) >= 3
        table.insert({"n": 3})


def test_a_stock_table_works_on_the_storage_and_appends_only_what_changed(path):
    class Stock(TinyDB):
        default_storage_class = JournalStorage
        table_class = Table

    db = Stock(path)
    db.table("t").insert_multiple({"n": n, "text": "x" * 100} for n in range(20))
    db.table("u").insert({"other": 1})
    with open(path, "rb") as file:
        before = len(file.read().splitlines())
    db.table("t").update({"n": -1}, where("n") == 7)
    db.table("t").remove(where("n") == 8)
    with open(path, "rb") as file:
        assert len(file.read().splitlines()) == before + 2
    again = Stock(path)
    assert again.table("t").count(where("n") == -1) == 1
    assert len(again.table("t")) == 19
    assert again.table("u").all() == [{"other": 1}]
    again.drop_table("u")
    assert JournalDB(path).tables() == {"t"}
    db.drop_tables()
    assert JournalDB(path).tables() == set()
    db.close()
