"""Locks, savepoints, snapshots, and the first write."""

import dataclasses
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Stamp
from registry_nb.domain.records import File, Run, SavedModel
from registry_nb.errors import Conflict, Invalid, LockTimeout, NewerFormat, Refused, StorageError
from registry_nb.stores.ports import History
from registry_nb.stores.postgres import connection, reader, rows
from registry_nb.stores.postgres import store as store_module
from registry_nb.stores.postgres.address import parsed
from registry_nb.stores.postgres.store import PostgresStore

_SAVED = SavedModel(flavor="pyfunc", files=(File("m", f"sha256:{'0' * 64}", 7),))


def stamp():
    return Stamp(datetime.now(UTC), "ada", "here")


def add(tx, name, **facts):
    number = tx.next_version(name)
    tx.apply(lifecycle.registered(tx.model(name, latest=False), number, name, _SAVED, stamp(), **facts))
    return number


def write(store, name, **facts):
    with store.transaction(name) as tx:
        return add(tx, name, **facts)


def run(name, **facts):
    return Run(run_id=name, name=name, experiment="E", started_at=datetime.now(UTC), **facts)


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def aside():
    """Call something in another thread."""
    with ThreadPoolExecutor(4) as threads:
        yield lambda call, *arguments: threads.submit(call, *arguments)


def impatient(uri):
    return PostgresStore(parsed(uri), lock_timeout=0.05)


def test_two_models_are_changed_at_the_same_time_and_one_model_is_not(uri, store, aside):
    write(store, "A")
    with store.transaction("A") as tx:
        add(tx, "A")
        assert aside(write, store, "B").result(60) == 1
        with pytest.raises(LockTimeout, match="another process has been writing to postgresql://"):
            aside(write, impatient(uri), "A").result(60)
        with pytest.raises(LockTimeout):
            aside(whole, impatient(uri)).result(60)
    assert aside(write, store, "A").result(60) == 3


def whole(store):
    with store.transaction() as tx:
        return list(tx.model_names())


def test_without_names_the_registry_is_locked(uri, store, aside):
    write(store, "A")
    with store.transaction() as tx:
        assert tx.model_names() == ["A"]
        with pytest.raises(LockTimeout):
            aside(write, impatient(uri), "B").result(60)
        add(tx, "A")
    assert store.newest("A") == 2


def test_runs_wait_for_nobody_but_their_own_run(uri, store, aside):
    def put(store, run):
        with store.transaction() as tx:
            assert tx.run(run.run_id) in (None, run, one)
            tx.put_run(run)

    one = run("one")
    put(store, one)
    revision = store.revision
    with store.transaction() as tx:
        assert tx.run("one") == one
        aside(put, store, run("two")).result(60)
        aside(write, store, "A").result(60)
        with pytest.raises(LockTimeout):
            aside(put, impatient(uri), one).result(60)
        tx.put_run(dataclasses.replace(one, name="changed"))
        assert tx.run("one").name == "changed"
    assert [each.name for each in store.runs()] == ["changed", "two"]
    assert store.revision == revision + 1, "runs are no change of a model"


def test_two_that_name_the_same_models_in_another_order_do_not_meet(store, make_store, aside):
    def both(store, *names):
        for _ in range(10):
            with store.transaction(*names) as tx:
                for name in names:
                    add(tx, name)

    work = [aside(both, make_store(), "A", "B"), aside(both, make_store(), "B", "A")]
    for each in work:
        each.result(60)
    assert (store.newest("A"), store.newest("B")) == (20, 20)


def test_two_that_touch_models_that_they_did_not_name_may_be_refused_and_nothing_is_changed(store, make_store, aside):
    met = threading.Barrier(2)

    def crossing(store, first, second):
        with store.transaction(first) as tx:
            add(tx, first)
            met.wait(30)
            add(tx, second)

    work = [aside(crossing, make_store(), "A", "B"), aside(crossing, make_store(), "B", "A")]
    failed = [error for each in work if (error := each.exception(60)) is not None]
    assert [type(error) for error in failed] == [Conflict]
    assert (store.newest("A"), store.newest("B")) == (1, 1)


def test_a_name_is_locked_in_any_spelling(uri, store, aside):
    write(store, "Caf\u00e9")
    with store.transaction("Cafe\u0301") as tx:
        assert tx.model("Cafe\u0301", latest=False) is None
        with pytest.raises(LockTimeout):
            aside(write, impatient(uri), "Caf\u00e9").result(60)
        assert tx.model("Caf\u00e9", latest=False) is not None


def test_a_savepoint_is_undone_alone_with_its_events_and_locks(uri, store, aside):
    with store.transaction("A") as tx:
        add(tx, "A")
        with pytest.raises(ZeroDivisionError), store.transaction("B") as inner:
            add(inner, "A")
            add(inner, "B")
            assert len(list(inner.events("A"))) == 3, "what was written is read"
            _ = 1 / 0
        assert (tx.newest("A"), tx.newest("B"), tx.next_version("A")) == (1, 0, 2)
        assert aside(write, store, "B").result(60) == 1
        with store.transaction() as inner:
            add(inner, "A")
            inner.put_run(run("r"))
    assert [event.version for event in store.events("A")] == [None, 1, 2]
    assert store.run("r") is not None


def test_an_empty_savepoint_and_an_empty_transaction_are_nothing(store):
    write(store, "A")
    revision = store.revision
    with store.transaction():
        pass
    with pytest.raises(ZeroDivisionError), store.transaction():
        _ = 1 / 0
    with store.transaction(), store.transaction():
        pass
    with store.transaction("A") as tx:
        tx.apply(lifecycle.Change("A"))
    assert store.revision == revision


def test_a_failure_that_was_caught_inside_still_undoes_the_whole(store, sql, schema):
    write(store, "A")
    with pytest.raises(StorageError, match="nothing was changed"), store.transaction("A") as tx:
        add(tx, "A")
        tx._unit.pending.append(("SELECT 1/0", ()))
        with pytest.raises(StorageError, match="division by zero"):
            list(tx.events("A"))
    assert store.newest("A") == 1
    with pytest.raises(StorageError, match="division by zero"), store.transaction("A") as tx:
        add(tx, "A")
        tx._unit.pending.append(("SELECT 1/0", ()))
    assert store.newest("A") == 1


def test_one_state_is_read_whatever_is_committed_meanwhile(store, make_store, aside):
    write(store, "A")

    def read():
        first = store.newest("A")
        aside(write, make_store(), "A").result(60)
        aside(write, make_store(), "B").result(60)
        again = store.consistent(lambda: store.newest("A"))
        return first, again, store.newest("A"), store.model_names(), len(list(store.events("A")))

    assert store.consistent(read) == (1, 1, 1, ["A"], 2)
    assert (store.newest("A"), store.model_names()) == (2, ["A", "B"])
    with pytest.raises(AssertionError, match="nothing is written"):
        store.consistent(lambda: store.transaction("A").__enter__())
    with store.transaction("A") as tx:
        add(tx, "A")
        assert store.consistent(lambda: store.newest("A")) == 3


def test_nothing_is_written_outside_a_transaction(store):
    for writing in (lambda: store.put_run(run("r")), lambda: store.apply(lifecycle.created("A", stamp()))):
        with pytest.raises(StorageError, match="outside a transaction"):
            writing()
    assert not store.exists


def test_reading_makes_nothing(store, sql, schema):
    assert (store.model_names(), store.revision, store.glance(), store.writable) == ([], 0, 0, True)
    assert store.since(0, 10).events == ()
    assert store.consistent(store.model_names) == []
    assert store.now().tzinfo is not None
    assert not store.exists
    assert sql("SELECT count(*) FROM pg_namespace WHERE nspname = %s", schema).fetchone() == (0,)


def test_eight_processes_begin_a_registry_at_once(uri, make_store):
    children = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child = PostgresStore(parsed(uri))
                for _ in range(5):
                    write(child, "Iris")
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    store = make_store()
    assert [version.version for version in store.versions("Iris")] == list(range(1, 41))
    assert store.revision == 40
    assert store.problems(repair=False) == []


def test_the_first_user_says_where_the_bytes_are(uri, tmp_path, constant):
    bare = uri.rpartition("&artifacts=")[0]
    with pytest.raises(Invalid, match=r"its first user says where the bytes of models go: add \?artifacts="):
        rn.Registry(bare).models()
    first = rn.Registry(uri)
    first.register(constant(1), "Iris")
    assert rn.Registry(bare).load("models:/Iris/1").predict([0]) == [1]
    assert rn.Registry(f"{bare}&artifacts={(tmp_path / 'bytes').as_uri()}").versions()
    with pytest.raises(Refused, match=r"keeps its bytes in .* leave artifacts= out"):
        rn.Registry(f"{bare}&artifacts={tmp_path}/other").register(constant(1), "Iris")
    assert not (tmp_path / "other").exists()
    first.store.close()


def test_a_newer_registry_and_an_older_server_are_refused(store, uri, sql, schema, monkeypatch):
    write(store, "A")
    sql(f"UPDATE {schema}.registry SET format = 99")
    with pytest.raises(NewerFormat, match=r"has format 99, and this registry_nb knows formats up to 2"):
        PostgresStore(parsed(uri)).model_names()
    sql(f"DELETE FROM {schema}.registry")
    assert not PostgresStore(parsed(uri)).exists
    monkeypatch.setattr(connection, "_OLDEST", 990000)
    store.close()
    with pytest.raises(StorageError, match="a registry needs 14 or later"):
        PostgresStore(parsed(uri)).model_names()


@pytest.fixture
def of_format_1(uri, sql, schema, constant):
    """A registry as the first edition made it: a version's record lies in its row."""
    first = rn.Registry(uri, user="ada")
    for number in range(3):
        first.register(constant(number), "Iris", tags={"n": str(number)})
    first.promote("Iris", 2)
    first.store.close()
    sql(f"ALTER TABLE {schema}.versions ADD COLUMN doc text")
    sql(
        f"UPDATE {schema}.versions v SET doc = (SELECT doc FROM {schema}.records r "
        "WHERE (r.history, r.version) = (v.history, v.version))"
    )
    sql(f"DROP TABLE {schema}.records")
    sql(f"UPDATE {schema}.registry SET format = 1")
    return uri


def test_a_registry_of_the_first_edition_is_brought_up_by_whoever_opens_it_first(of_format_1, sql, schema, constant):
    opened = [rn.Registry(of_format_1, user=f"user {number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: [(v.version, v.stage, v.tags) for v in one.versions("Iris")], opened))
    assert found == [[(n, "Production" if n == 2 else "None", {"n": str(n - 1)}) for n in (1, 2, 3)]] * 4
    assert sql(f"SELECT format FROM {schema}.registry").fetchone() == (2,)
    assert opened[0].register(constant(3), "Iris").version == 4
    assert opened[1].rename("Iris", "Flower").name == "Flower"
    assert opened[2].check().ok
    for one in opened:
        one.store.close()


def test_who_may_only_read_a_registry_of_the_first_edition_is_told_who_brings_it_up(of_format_1, monkeypatch):
    asked = store_module._REGISTRY.replace("has_table_privilege('{s}.events', 'INSERT')", "false")
    monkeypatch.setattr(store_module, "_REGISTRY", asked)
    with pytest.raises(Refused, match="has format 1, of an earlier release; whoever owns its tables opens it"):
        rn.Registry(of_format_1).versions()


def test_a_database_that_cannot_hold_every_name_is_refused(server, sql, uri):
    name = f"latin_{os.getpid()}"
    sql(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        other = PostgresStore(parsed(uri.replace("/postgres?", f"/{name}?")))
        with pytest.raises(StorageError, match="is not in UTF8"):
            write(other, "A")
        other.close()
    finally:
        sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("name", ["a\0b", "half \ud800", "\udfff"])
def test_a_name_that_the_database_cannot_hold_has_nothing(store, name):
    write(store, "A")

    def ask(reader):
        nothing = reader.model(name), reader.model(name, latest=False), reader.version(name, 1), reader.run(name)
        lists = (
            [*reader.versions(name)],
            [*reader.events(name)],
            [*reader.picked([(name, 1)])],
            [*reader.crowds([name])],
        )
        numbers = reader.newest(name), reader.next_version(name), reader.latest(name, rn.Stage.NONE)
        return nothing == (None,) * 4, lists == ([],) * 4, numbers == (0, 1, 0), reader.holders(name, rn.Stage.NONE)

    assert ask(store) == (True, True, True, ())
    with store.transaction(name) as tx:
        assert ask(tx) == (True, True, True, ())


@pytest.mark.parametrize("number", [0, -1, 1 << 63, True, "1"])
def test_what_is_no_number_has_no_version(store, number):
    write(store, "A")
    assert store.version("A", number) is None
    with store.transaction("A") as tx:
        assert tx.version("A", number) is None


def test_histories_are_adopted_as_they_are(store, uri, sql, schema, make_store):
    for _ in range(3):
        write(store, "A", aliases=("live",), description="U+0000 \0 stays")
    with store.transaction("A") as tx:
        tx.apply(lifecycle.moved(tx.version("A", 2), rn.Stage.PRODUCTION, (), stamp(), action="promoted", alone=True))
    events = tuple(store.events("A"))
    records = tuple(store.versions("A"))
    history = History("B", events, store.model("A", latest=False), records, 7)
    with store.transaction("B") as tx:
        tx.adopt(history)
        assert [version.stage for version in tx.versions("B")] == [version.stage for version in records]
        assert tx.holders("B", rn.Stage.PRODUCTION) == (2,)
    assert tuple(store.events("B")) == events
    assert store.next_version("B") == 7
    with pytest.raises(Refused, match="the histories have diverged"), store.transaction("B") as tx:
        tx.adopt(history)
    with store.transaction("B") as tx:  # only the records
        tx.adopt(History("B", (), None, (), 1))
    assert (store.model("B"), list(store.versions("B")), store.next_version("B")) == (None, [], 7)
    with store.transaction("C") as tx:
        tx.adopt(History("C", (), store.model("A", latest=False), (), 1))
    assert store.model("C").updated_at == store.model("A").created_at


def test_a_long_history_is_read_from_its_end_in_three_questions(store, monkeypatch):
    for name in ("A", "B", "A", "B", "A", "A"):
        write(store, name)
    monkeypatch.setattr(reader, "_PAGES", (2, 3, None))
    for name in ("A", None):
        forwards = list(store.events(name))
        trips = store.trips
        assert list(store.events(name, newest_first=True)) == forwards[::-1]
        assert store.trips == trips + 3
        assert list(store.events(name, newest_first=True, limit=4)) == forwards[:-5:-1]
        assert list(store.events(name, actions=["created"], newest_first=True)) == [
            event for event in forwards[::-1] if event.action == "created"
        ]
    names = [(name, [event.action for event in events]) for name, events in store.chronicles(["created"])]
    assert names == [("A", ["created"]), ("B", ["created"])]
    with store.transaction("A") as tx:
        add(tx, "A")
        assert next(tx.events("A", newest_first=True)).version == 5


def test_what_is_new_is_told_with_its_limit(store):
    for _ in range(3):
        write(store, "A")
    news = store.since(1, 10)
    assert (news.revision, [event.version for event in news.events], news.complete) == (3, [2, 3], True)
    few = store.since(0, 2)
    assert ([event.version for event in few.events], few.complete) == ([2, 3], False)
    assert not store.since(9, 10).complete, "a backup was restored"


def test_few_records_are_remembered(store, monkeypatch):
    monkeypatch.setattr(rows, "_REMEMBERED", 2)
    for _ in range(5):
        write(store, "A")
    assert [version.version for version in store.versions()] == [1, 2, 3, 4, 5]
    assert len(store._decoder._remembered) <= 2


def test_the_servers_clock_counts(store, monkeypatch):
    write(store, "A")

    class Behind(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(hours=1)

    store.close()
    monkeypatch.setattr(connection, "datetime", Behind)
    monkeypatch.setattr("registry_nb.stores.postgres.store.datetime", Behind)
    store._link.pool._offset = None
    assert abs(store.now() - datetime.now(UTC)) < timedelta(minutes=1)
    store._link.pool._offset = None
