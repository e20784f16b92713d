"""How much memory it takes to let two models answer a million rows, and how much time beyond their own."""

from __future__ import annotations

import functools
import gc
import tracemalloc
from collections.abc import Iterator
from statistics import median

from registry_nb.operations.shadow.run import shadow
from tests.bench.fixtures import NAME, Bench
from tests.bench.measure import Row, alternately, duration, summary, timed

_ROWS, _COLUMNS, _BATCH = 1_000_000, 20, 10_000
#: Times what one batch and its predictions weigh.
_BEYOND = 1.5


def shadowing(bench: Bench) -> Iterator[Row]:
    """Compare classifiers, with the truth and in slices, then regressors; each on rows that are there already."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LinearRegression, LogisticRegression

    rows = _ROWS // 10 if bench.quick else _ROWS
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.random((rows, _COLUMNS)), columns=[f"column {i}" for i in range(_COLUMNS)])
    score = X.to_numpy() @ np.arange(_COLUMNS)
    by = pd.Series(random.integers(0, 5, rows), name="region")
    cases = {
        "classifiers": ((score > score.mean()).astype(int), lambda: LogisticRegression(C=random.random() / 100)),
        "regressors": (score + random.normal(size=rows), LinearRegression),
    }
    for kind, (y, make) in cases.items():
        registry = bench.new(f"shadow-{kind}")
        for _ in range(2):
            sample = random.choice(rows, 500, replace=False)
            registry.register(make().fit(X.iloc[sample], y[sample]), NAME, example=X[:5])
        compare = functools.partial(shadow, registry, NAME, 1, 2, X, y, by=by, batch=_BATCH)
        compare_few = functools.partial(shadow, registry, NAME, 1, 2, X[:100], y[:100], by=by[:100])
        compare_few()  # what is imported does not count
        gc.collect()
        tracemalloc.start()
        found = compare()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        one = _BATCH * (X.memory_usage(index=False).sum() // rows + 2 * y.itemsize)
        measured = f"{peak / 1e6:.2f} MB : {one / 1e6:.2f} MB"
        facts = {"rows": rows, "batch": _BATCH, "peak": peak, "one batch": int(one), "found": found.sentence}
        yield Row(
            f"shadow of {rows:,} rows ({kind}): peak beyond them : one batch",
            _BEYOND,
            peak / one,
            measured,
            facts=facts,
        )
        models = [registry.load(f"models:/{NAME}/{version}") for version in (1, 2)]

        def predict(models: list = models) -> None:
            for model in models:
                for start in range(0, rows, _BATCH):
                    model.predict(X.iloc[start : start + _BATCH])

        ours, other = alternately(3, timed(compare), timed(predict), warm_up=0)
        took = f"{duration(median(ours))} : {duration(median(other))}"
        facts = {"shadow": summary(ours), "predictions": summary(other)}
        what = f"shadow of {rows:,} rows ({kind}), µs a row"
        yield Row(what, 10, median(ours) / rows * 1e6, took, "µs", facts=facts)
