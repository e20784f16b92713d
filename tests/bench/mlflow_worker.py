"""Run by the Python that has MLflow: one order a line on stdin, the seconds that it took on stdout.

Orders: ``fill N`` makes a model of N versions; ``create N``, ``promote N`` and ``tag N`` write to it, ``stage N`` reads
who is in Production. ``log_model 0`` logs a small model in a run, ``fit 0`` trains it, and ``autolog 0`` and
``autolog_model 0`` do so with autologging. Its argument is the URI of a database; without one it makes one of SQLite.
"""

import functools
import itertools
import logging
import sys
import time
import warnings
from pathlib import Path

import mlflow
import mlflow.sklearn
import sqlalchemy
from mlflow.tracking import MlflowClient

DATABASE = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path('mlflow.db').resolve()}"
SOURCE = Path("model").resolve().as_uri()
TURN = itertools.count()


def name(versions):
    return f"Iris {versions}"


def fill(client, versions):
    """Make a model by MLflow's own call, and repeat its record in the database: 10,000 calls would take an hour."""
    client.create_registered_model(name(versions))
    client.create_model_version(name(versions), SOURCE)
    engine = sqlalchemy.create_engine(DATABASE)
    columns = [column["name"] for column in sqlalchemy.inspect(engine).get_columns("model_versions")]
    values = ", ".join("n" if column == "version" else f'"{column}"' for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    text = (
        "WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < :versions) "
        f"INSERT INTO model_versions ({names}) SELECT {values} FROM model_versions, numbers "
        "WHERE name = :name AND version = 1"
    )
    with engine.begin() as database:
        database.execute(sqlalchemy.text(text), {"versions": versions, "name": name(versions)})
    engine.dispose()
    newest = max(int(version.version) for version in client.get_latest_versions(name(versions)))
    assert newest == versions, newest


def create(client, versions):
    client.create_model_version(name(versions), SOURCE)


def promote(client, versions):
    number = next(TURN) * 7 % versions + 1
    client.transition_model_version_stage(name(versions), number, "Production", archive_existing_versions=True)


def tag(client, versions):
    turn = next(TURN)
    client.set_model_version_tag(name(versions), turn * 7 % versions + 1, "turn", str(turn))


def stage(client, versions):
    assert client.get_latest_versions(name(versions), ["Production"])


@functools.cache
def training():
    from sklearn.datasets import load_iris
    from sklearn.naive_bayes import GaussianNB

    X, y = load_iris(return_X_y=True)
    return GaussianNB().fit(X, y), X, y


def log_model(*_):
    mlflow.sklearn.log_model(training()[0], name="model")


def fit(*_):
    model, X, y = training()
    model.fit(X, y)


@functools.cache
def switched(order):
    """Switch autologging as an order wants it: once for many calls, which are what is measured."""
    training()
    mlflow.end_run()
    switched.cache_clear()
    mlflow.sklearn.autolog(disable=order in {"fit", "log_model"}, log_models=order == "autolog_model")
    if order == "log_model":
        mlflow.start_run()


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    answers = sys.stdout
    sys.stdout = sys.stderr  # nothing that MLflow prints may look like an answer
    mlflow.set_tracking_uri(DATABASE)
    client = MlflowClient(tracking_uri=DATABASE, registry_uri=DATABASE)
    client.search_registered_models()  # makes the database
    print(mlflow.__version__, file=answers, flush=True)
    for line in sys.stdin:
        order, versions = line.split()
        call = ORDERS[order]
        if call in {log_model, fit}:
            switched(order)
        start = time.perf_counter()
        call(client, int(versions))
        print(time.perf_counter() - start, file=answers, flush=True)


ORDERS = {"fill": fill, "create": create, "promote": promote, "tag": tag, "stage": stage}
ORDERS |= {"log_model": log_model, "fit": fit, "autolog": fit, "autolog_model": fit}

if __name__ == "__main__":
    main()
