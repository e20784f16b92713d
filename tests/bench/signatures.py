"""What it costs to hold an input against the model's signature."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from statistics import median

from registry_nb.schema.enforcement import enforce
from registry_nb.schema.inference import infer_signature
from tests.bench.fixtures import Bench
from tests.bench.measure import Row, alternately, duration, summary, timed

_COLUMNS = 22


def signatures(bench: Bench) -> Iterator[Row]:
    """Hold a frame that fits against its signature, and let a small model predict on it, in turn; then one to cast."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    names = [f"column {i}" for i in range(_COLUMNS)]
    small = pd.DataFrame(random.random((10, _COLUMNS)), columns=names)
    signature = infer_signature(small)
    model = LogisticRegression().fit(small, [0, 1] * 5)
    hold = timed(functools.partial(enforce, signature, small))
    ours, other = alternately(bench.times(2000), hold, timed(functools.partial(model.predict, small)), warm_up=20)
    value, bar = median(ours), max(50e-6, median(other) / 10)
    what = "enforce a signature on 10 rows that fit (≤ 50 µs or 10 % of LogisticRegression.predict)"
    facts = {"enforce": summary(ours), "predict": summary(other)}
    yield Row(what, bar * 1e6, value * 1e6, f"{duration(value)} : {duration(median(other))}", "µs", facts=facts)

    rows = 100_000
    large = pd.DataFrame(random.random((rows, _COLUMNS)), columns=names)
    for i in range(0, _COLUMNS, 4):
        large[names[i]] = random.integers(0, 1000, rows)  # whole numbers where the model takes floats
    large[names[1]] = large[names[1]].astype("float32")
    (times,) = alternately(bench.times(50), timed(functools.partial(enforce, signature, large)))
    value = median(times)
    what = f"enforce a signature on {rows:,} × {_COLUMNS}, 7 columns of it cast"
    yield Row(what, 30, value * 1e3, duration(value), "ms", facts={"enforce": summary(times)})
