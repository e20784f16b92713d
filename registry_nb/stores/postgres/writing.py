"""Changes as statements: what a unit of work collects, and how it ends."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

import psycopg

from registry_nb.domain.events import Event, chained, expect_to_follow
from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import ModelVersion, RegisteredModel, Run, Stage
from registry_nb.errors import CommitUncertain, StorageError
from registry_nb.stores.format import encode
from registry_nb.stores.ports import History
from registry_nb.stores.postgres.failures import Unreachable
from registry_nb.stores.postgres.rows import aliases_of, facts_of
from registry_nb.stores.postgres.unit import Head, LastEvent, Unit, restaged

#: Seconds for which a lost server is asked what became of a commit.
PATIENCE = 20.0

_NAMED = """
    INSERT INTO {s}.names (name, next_version, history) VALUES (%s, %s, %s::uuid)
    ON CONFLICT (name) DO UPDATE SET next_version = excluded.next_version, history = excluded.history"""
_BEGUN = """
    INSERT INTO {s}.histories (model, aliases, seq, last_id, last_hash, last_at, id)
    VALUES (%s, %s, %s, %s, %s, %s, %s::uuid)"""
_CONTINUED = """
    UPDATE {s}.histories SET model = %s, aliases = %s, seq = %s, last_id = %s, last_hash = %s,
        last_at = coalesce(nullif(%s, ''), last_at)
    WHERE id = %s::uuid"""
_RECORD_ADDED = "WITH r AS (INSERT INTO {s}.records (doc, history, version) VALUES (%s, %s::uuid, %s))"
_RECORD_EDITED = "WITH r AS (UPDATE {s}.records SET doc = %s WHERE history = %s::uuid AND version = %s)"
_ADDED = f"""
    {_RECORD_ADDED} INSERT INTO {{s}}.versions (history, version, facts, updated_at, created_at)
    VALUES (%s::uuid, %s, %s::jsonb, %s, %s)"""
_ADDED_IN = f"""
    {_RECORD_ADDED} INSERT INTO {{s}}.versions (history, version, facts, updated_at, created_at, stage)
    VALUES (%s::uuid, %s, %s::jsonb, %s, %s, %s)"""
_EDITED = f"""
    {_RECORD_EDITED} UPDATE {{s}}.versions SET facts = %s::jsonb, updated_at = %s
    WHERE history = %s::uuid AND version = %s"""
_MOVED = f"""
    {_RECORD_EDITED} UPDATE {{s}}.versions SET facts = %s::jsonb, updated_at = %s, stage = %s
    WHERE history = %s::uuid AND version = %s"""
_REMOVED = """
    WITH gone AS (DELETE FROM {s}.versions WHERE history = %s::uuid AND version = ANY(%s::bigint[])
                  RETURNING history, version)
    DELETE FROM {s}.records r USING gone WHERE r.history = gone.history AND r.version = gone.version"""
_ALL_REMOVED = """
    WITH gone AS (DELETE FROM {s}.versions WHERE history = %s::uuid RETURNING history, version)
    DELETE FROM {s}.records r USING gone WHERE r.history = gone.history AND r.version = gone.version"""
_RUN = "INSERT INTO {s}.runs (run_id, doc) VALUES (%s, %s) ON CONFLICT (run_id) DO UPDATE SET doc = excluded.doc"


def apply(unit: Unit, change: Change) -> None:
    """Write a change and its events."""
    unit.expect_own_process()
    if not change.events:
        return
    old = unit.head(change.name)
    head = _moved(unit, old, change.renamed) if change.renamed else old
    events = chained(change.events, head.last)
    if change.removes_model:
        head = replace(head, model=None, aliases=None)
    elif change.model is not None:
        head = _with_model(head, change.model)
    following = max([head.next_version, *(version.version + 1 for version in change.versions)])
    head = _continue(unit, head, events, following)
    moved = {event.version for event in events if event.to_stage is not None}
    for version in change.versions:
        _put_version(unit, head, version, new=version.version >= old.next_version, moved=version.version in moved)
        unit.state.versions[head.name, version.version] = version
        head = replace(head, held=restaged(head, version.version, str(version.stage)))
    if change.removed:
        unit.pending.append((_REMOVED, (head.history, list(change.removed))))
    for number in change.removed:
        unit.state.versions[head.name, number] = None
        head = replace(head, held=restaged(head, number, ""))
    unit.state.heads[head.name] = head
    if change.model is not None:  # the aliases of the other versions may be others now
        _forget_versions(unit, head.name, {version.version for version in change.versions})


def put_run(unit: Unit, run: Run) -> None:
    """Write a run."""
    doc = encode(run.to_dict()).decode()
    unit.run_document(run.run_id)  # and lock it
    unit.pending.append((_RUN, (run.run_id, doc)))
    unit.state.runs[run.run_id] = doc


def adopt(unit: Unit, history: History) -> None:
    """Write another store's events verbatim, and its records in place of those that are there."""
    unit.expect_own_process()
    head = unit.head(history.name)
    expect_to_follow(history.events, head.last)
    head = replace(head, model=None, aliases=None) if history.model is None else _with_model(head, history.model)
    head = _continue(unit, head, history.events, max(head.next_version, history.next_version))
    unit.pending.append((_ALL_REMOVED, (head.history,)))
    head = replace(head, held={})
    for version in history.versions:
        _put_version(unit, head, version, new=True, moved=False)
        head = replace(head, held=restaged(head, version.version, str(version.stage)))
    unit.state.heads[head.name] = head
    _forget_versions(unit, head.name, ())


def commit(unit: Unit) -> int | None:
    """Commit; return the revision that it made, or None if no model was changed.

    Raises
    ------
    CommitUncertain
        If the connection was lost meanwhile, and the server did not come back to say what became of it.
    """
    conn = unit.connection
    if conn is None:
        return None
    unit.expect_own_process()
    tells = bool(unit.state.untold)
    statements = unit.last_statements()
    try:
        cursors = unit.link.trip(conn, *statements, ("COMMIT", ()))
    except psycopg.Error as error:
        if not conn.closed:  # refused, and rolled back
            unit.roll_back()
            raise unit.link.failed(error) from error
        unit.connection = None
        unit.link.pool.clear()
        if (unit.state.told or unit.state.runs) and _happened(unit, error):
            return None
        raise unit.failed(error) from error
    unit.connection = None
    unit.link.pool.give(conn)
    if cursors[-1].statusmessage != "COMMIT":  # a statement failed before, and the error was caught
        raise StorageError(f"{unit.link.address.shown}: a part of the transaction had failed; nothing was changed")
    if not tells:
        return None
    row = cursors[-2].fetchone()
    assert row is not None
    return int(row[0])


def _happened(unit: Unit, error: psycopg.Error) -> bool:
    """Ask a new connection what became of a commit whose answer was lost: its last event, or its run, is there or not.

    The old session holds its locks until it is done. Its transaction's number was the alternative: after a fail-over
    the number may be another's.
    """
    link, state = unit.link, unit.state
    deadline = time.monotonic() + PATIENCE
    facts: Sequence[str]
    if state.told:
        question, facts = "SELECT count(*) FROM {s}.events WHERE id = %s", (state.told[-1],)
    else:
        question, facts = "SELECT count(*) FROM {s}.runs WHERE run_id = %s AND doc = %s", list(state.runs.items())[-1]
    locks = [("SELECT pg_advisory_xact_lock(%s::bigint)", (key,)) for key in sorted(state.locked)]
    while True:
        try:
            conn = link.pool.connect()
            try:
                left = f"{max(int((deadline - time.monotonic()) * 1000), 1)}ms"
                wait = ("SELECT set_config('lock_timeout', %s, true)", (left,))
                found = link.trip(conn, ("BEGIN", ()), wait, *locks, (question, facts))[-1].fetchone()
                return found is not None and found[0] > 0
            finally:
                conn.close()
        except (psycopg.Error, Unreachable) as later:
            if time.monotonic() > deadline:
                where = link.address.shown
                text = (
                    f"the connection to {where} was lost while a change was committed, and the server did not say what "
                    "became of it; look whether the change is there before you repeat it"
                )
                raise CommitUncertain(text, path=where, reason=str(later)) from error
            time.sleep(0.1)


def _moved(unit: Unit, old: Head, new: str) -> Head:
    """Give the history of a name to another one; the old name keeps its used numbers."""
    other = unit.head(new)
    unit.pending.append(("UPDATE {s}.names SET history = NULL WHERE name = %s", (old.name,)))
    unit.state.heads[old.name] = Head(old.name, old.next_version)
    _forget_versions(unit, old.name, ())
    head = replace(old, name=new, next_version=max(old.next_version, other.next_version))
    unit.pending.append((_NAMED, (new, head.next_version, head.history)))
    return head


def _with_model(head: Head, model: RegisteredModel) -> Head:
    return replace(head, model=encode(model.to_dict()).decode(), aliases=aliases_of(model))


def _continue(unit: Unit, head: Head, events: Sequence[Event], next_version: int) -> Head:
    """Add events to a history, which begins with them if there is none."""
    last = events[-1] if events else None
    link = LastEvent(last.seq, last.id, last.hash) if last else head.last or LastEvent(0, "", "")
    history = head.history or str(uuid.uuid4())
    at = last.at.isoformat() if last else ""
    facts = (head.model, head.aliases, link.seq, link.id, link.hash, at, history)
    if head.history is None:
        unit.pending += [(_BEGUN, facts), (_NAMED, (head.name, next_version, history))]
    else:
        unit.pending.append((_CONTINUED, facts))
        if next_version != head.next_version:
            query = "UPDATE {s}.names SET next_version = %s WHERE name = %s"
            unit.pending.append((query, (next_version, head.name)))
    for event in events:
        row = (history, event.seq, event.version, event.action, event.id, event.json.decode())
        unit.state.untold.append(row)
        unit.state.told.append(event.id)
    return replace(head, history=history, last=link, next_version=next_version)


def _put_version(unit: Unit, head: Head, version: ModelVersion, *, new: bool, moved: bool) -> None:
    """Write a record; only a move touches the stage, which the database may leave to approvers."""
    key = (head.history, version.version)
    record = (encode(version.to_dict()).decode(), *key)
    facts = (facts_of(version), version.updated_at)
    if new and version.stage is Stage.NONE:
        unit.pending.append((_ADDED, (*record, *key, *facts, version.created_at)))
    elif new:
        unit.pending.append((_ADDED_IN, (*record, *key, *facts, version.created_at, str(version.stage))))
    elif moved:
        unit.pending.append((_MOVED, (*record, *facts, str(version.stage), *key)))
    else:
        unit.pending.append((_EDITED, (*record, *facts, *key)))


def _forget_versions(unit: Unit, name: str, kept: Iterable[int]) -> None:
    stay = set(kept)
    for key in [key for key in unit.state.versions if key[0] == name and key[1] not in stay]:
        del unit.state.versions[key]
