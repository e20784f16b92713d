"""Reading: each question about any number of models is one statement."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from registry_nb.domain.filters import Filter
from registry_nb.domain.records import SERVING, Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.stores import used
from registry_nb.stores.ports import Crowd, Used
from registry_nb.stores.postgres.pushdown import condition
from registry_nb.stores.postgres.rows import Decoder, askable, is_number
from registry_nb.stores.postgres.unit import Unit

_MODELS = "{s}.names n JOIN {s}.histories h ON h.id = n.history AND h.model IS NOT NULL"
_LATEST = f"""
    SELECT n.name, h.model, h.last_at, h.aliases, l.version, r.doc FROM {_MODELS}
    CROSS JOIN (VALUES ('None'), ('Staging'), ('Production'), ('Archived')) s (stage)
    LEFT JOIN LATERAL (SELECT v.version FROM {{s}}.versions v WHERE v.history = h.id AND v.stage = s.stage
                       ORDER BY v.version DESC LIMIT 1) l ON true
    LEFT JOIN {{s}}.records r ON r.history = h.id AND r.version = l.version"""
_VERSIONS = f"SELECT n.name, v.version, h.aliases, v.doc FROM {_MODELS} JOIN {{s}}.records v ON v.history = h.id"
#: Judged by the narrow rows. OFFSET 0 keeps the planner from reading all records: it cannot estimate how many pass.
_CHOSEN = f"""
    SELECT n.name, v.version, h.aliases, r.doc FROM {_MODELS} JOIN {{s}}.versions v ON v.history = h.id
    CROSS JOIN LATERAL (SELECT doc FROM {{s}}.records WHERE history = v.history AND version = v.version OFFSET 0) r"""
_HIGHEST = """
    SELECT v.version FROM {s}.names n, LATERAL (
        SELECT version FROM {s}.versions WHERE history = n.history %s ORDER BY version DESC LIMIT 1) v
    WHERE n.name = %%s"""
_CROWDS = f"""
    SELECT n.name, v.stage, count(v.version), max(v.version),
           CASE WHEN v.stage IN ('Production', 'Staging') THEN array_agg(v.version ORDER BY v.version) END
    FROM {_MODELS} LEFT JOIN {{s}}.versions v ON v.history = h.id"""
#: A history that is read from its end is mostly left early: how many events are read at once, and then all.
_PAGES = (64, 4096, None)


class PostgresReader:
    """The reading half of a store, over `_rows`; inside a unit of work it asks that first."""

    _decoder: Decoder

    @property
    def _unit(self) -> Unit | None:
        """The unit of work of this thread."""
        raise NotImplementedError

    def _rows(self, text: str, params: Sequence[Any] = (), *, telling: bool = False) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; without `latest`, only its own record: a change needs no more."""
        if not askable(name):
            return None
        if latest:
            return next(self._models(self._rows(f"{_LATEST} WHERE n.name = %s", (name,))), None)
        if self._unit is not None:
            doc = self._unit.head(name).model
        else:
            rows = self._rows(f"SELECT h.model FROM {_MODELS} WHERE n.name = %s", (name,))
            doc = rows[0][0] if rows else None
        return None if doc is None else self._decoder.model(name, doc)

    def models(self, where: Filter | None = None) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        return self._models(self._rows(f"{_LATEST} ORDER BY n.name"))

    def _models(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[RegisteredModel]:
        for name, group in itertools.groupby(rows, key=itemgetter(0)):
            four = list(group)
            _, doc, last_at, aliases, _, _ = four[0]
            found = sorted((number, version) for *_, number, version in four if number is not None)
            latest = [self._decoder.version(name, number, aliases, version) for number, version in found]
            yield self._decoder.model(name, doc, last_at, latest)

    def model_names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return [name for (name,) in self._rows(f"SELECT n.name FROM {_MODELS} ORDER BY n.name")]

    def crowds(self, names: Collection[str] | None = None) -> Iterator[Crowd]:
        """Count the versions of every model, or of these, by name."""
        only, params = _among(names)
        rows = self._rows(f"{_CROWDS} {only} GROUP BY n.name, v.stage ORDER BY n.name", params)
        for name, group in itertools.groupby(rows, key=itemgetter(0)):
            stages = {Stage(stage): (count, highest, held) for _, stage, count, highest, held in group if stage}
            yield Crowd(
                name,
                {stage: stages[stage][0] for stage in Stage if stage in stages},
                {stage: tuple(stages[stage][2]) for stage in SERVING if stage in stages},
                max((highest for _, highest, _ in stages.values()), default=0),
            )

    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version."""
        if not askable(name) or not is_number(version):
            return None
        if self._unit is not None:
            return self._unit.version(name, version)
        return next(self._versions(f"{_VERSIONS} WHERE n.name = %s AND v.version = %s", (name, version)), None)

    def versions(
        self,
        name: str | None = None,
        *,
        stage: Stage | None = None,
        where: Filter | None = None,
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[ModelVersion]:
        """Return the versions of a model, or of all, or only those in a stage, by name and number."""
        conditions, params = ["true"], list[Any]()
        if name is not None:
            if not askable(name):
                return iter(())
            conditions.append("n.name = %s")
            params.append(name)
        if stage is not None:
            conditions.append("v.stage = %s")
            params.append(str(stage))
        if (pushed := condition(where)) is not None:
            conditions.append(pushed[0])
            params += pushed[1]
        # Whoever filters or sorts needs all: what a condition keeps may be too much.
        most = limit if (where is None or where.tree is None) and not order_by else None
        query = _VERSIONS if stage is None and pushed is None else _CHOSEN
        text = f"{query} WHERE {' AND '.join(conditions)} ORDER BY n.name, v.version LIMIT %s"
        return self._versions(text, (*params, most))

    def picked(self, wanted: Collection[tuple[str, int]]) -> Iterator[ModelVersion]:
        """Return the versions with these names and numbers, those that exist, by name and number."""
        pairs = sorted({pair for pair in wanted if askable(pair[0]) and is_number(pair[1])})
        names, numbers = [name for name, _ in pairs], [number for _, number in pairs]
        if not pairs:
            return iter(())
        if self._unit is not None and len(set(names)) == 1:
            return self._unit.versions(names[0], numbers)
        return self._versions(
            f"{_VERSIONS} JOIN unnest(%s::text[], %s::bigint[]) w (name, version) "
            "ON w.name = n.name AND w.version = v.version ORDER BY n.name, v.version",
            (names, numbers),
        )

    def _versions(self, text: str, params: Sequence[Any]) -> Iterator[ModelVersion]:
        return itertools.starmap(self._decoder.version, self._rows(text, params))

    def newest(self, name: str) -> int:
        """Return the highest number that exists, or 0."""
        return self._highest("", (name,))

    def next_version(self, name: str) -> int:
        """Return the number of the next version: higher than any that was ever used."""
        if self._unit is not None:
            return self._unit.head(name).next_version
        rows = self._named("SELECT next_version FROM {s}.names WHERE name = %s", (name,))
        return int(rows[0][0]) if rows else 1

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions in a stage, ascending."""
        if self._unit is not None and stage in SERVING:
            return self._unit.head(name).held.get(str(stage), ())
        query = "SELECT v.version FROM {s}.names n JOIN {s}.versions v ON v.history = n.history AND v.stage = %s"
        rows = self._named(f"{query} WHERE n.name = %s ORDER BY v.version", (str(stage), name))
        return tuple(number for (number,) in rows)

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        if self._unit is not None and stage in SERVING:
            return max(self._unit.head(name).held.get(str(stage), ()), default=0)
        return self._highest("AND stage = %s", (str(stage), name))

    def _highest(self, only: str, params: Sequence[Any]) -> int:
        rows = self._named(_HIGHEST % only, params)
        return int(rows[0][0]) if rows else 0

    def _named(self, text: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Ask about a name, the last parameter, unless it is one that PostgreSQL cannot hold."""
        return self._rows(text, params) if askable(params[-1]) else []

    def events(
        self,
        name: str | None = None,
        *,
        version: int | None = None,
        actions: Collection[str] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        before: int | None = None,
    ) -> Iterator[Event]:
        """Return a model's history, or only a version's events; without a name, those of all histories, by id."""
        conditions, params = ["true"], list[Any]()
        if name is not None:
            if not askable(name):
                return iter(())
            conditions.append("e.history = (SELECT history FROM {s}.names WHERE name = %s)")
            params.append(name)
        if version is not None:
            conditions.append("e.version = %s")
            params.append(version)
        if before is not None:
            conditions.append("e.seq < %s")
            params.append(before)
        if actions is not None:
            conditions.append("e.action = ANY(%s::text[])")
            params.append(list(actions))
        query = f"SELECT e.id, e.doc FROM {{s}}.events e WHERE {' AND '.join(conditions)}"
        place = "e.id" if name is None else "e.seq"
        if newest_first and limit is None:
            return self._backwards(query, params, place)
        order = f"ORDER BY {place} {'DESC' if newest_first else 'ASC'} LIMIT %s"
        return self._events(self._rows(f"{query} {order}", (*params, limit), telling=True))

    def _backwards(self, query: str, params: Sequence[Any], place: str) -> Iterator[Event]:
        """Read a history from its end, in three round trips at most."""
        before: list[str] = []
        for size in _PAGES:
            older = "AND e.id < %s" if before else ""
            text = f"{query} {older} ORDER BY {place} DESC LIMIT %s"
            rows = self._rows(text, (*params, *before, size), telling=True)
            yield from self._events(rows)
            if size is None or len(rows) < size:
                return
            before = [rows[-1][0]]

    def _events(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Event]:
        return (self._decoder.decoded(f"event {id}", doc, Event.from_dict) for id, doc in rows)

    def chronicles(self, actions: Collection[str] | None = None) -> Iterator[tuple[str, Iterator[Event]]]:
        """Return every history with the name that it has now, by name; read each before the next one."""
        only = "" if actions is None else "AND e.action = ANY(%s::text[])"
        query = f"LEFT JOIN {{s}}.events e ON e.history = n.history {only} WHERE n.history IS NOT NULL"
        rows = self._rows(
            f"SELECT n.name, e.id, e.doc FROM {{s}}.names n {query} ORDER BY n.name, e.seq",
            () if actions is None else (list(actions),),
            telling=True,
        )
        for name, group in itertools.groupby(rows, key=itemgetter(0)):
            yield name, self._events((id, doc) for _, id, doc in group if doc is not None)

    def histories(self) -> list[str]:
        """Return the names that have a history, also those of deleted models, sorted."""
        return [name for (name,) in self._rows("SELECT name FROM {s}.names WHERE history IS NOT NULL ORDER BY name")]

    def files(self) -> Iterator[Used]:
        """Return every file that a version or a model of a run uses."""
        return used.by_all(self.versions(), self.runs())

    def run(self, run_id: str) -> Run | None:
        """Return a run."""
        if not askable(run_id):
            return None
        if self._unit is not None:
            doc = self._unit.run_document(run_id)
        else:
            rows = self._rows("SELECT doc FROM {s}.runs WHERE run_id = %s", (run_id,))
            doc = rows[0][0] if rows else None
        return None if doc is None else self._run(run_id, doc)

    def runs(self, where: Filter | None = None) -> Iterator[Run]:
        """Return every run, in the order in which they started."""
        return itertools.starmap(self._run, self._rows("SELECT run_id, doc FROM {s}.runs ORDER BY place"))

    def _run(self, run_id: str, doc: str) -> Run:
        return self._decoder.decoded(f"run {run_id}", doc, Run.from_dict)


def _among(names: Collection[str] | None) -> tuple[str, tuple[Any, ...]]:
    if names is None:
        return "", ()
    return "WHERE n.name = ANY(%s::text[])", ([name for name in names if askable(name)],)
