"""Four threads predict while another process promotes: no error, and no prediction of two versions at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

import registry_nb as rn
from registry_nb.operations.follow import follow

pytestmark = [pytest.mark.stress, pytest.mark.timeout(600)]

THREADS, PROMOTIONS, VERSIONS = 4, 200, 5
#: Each promotion writes faster than a model is loaded, so that one round may show only a few changes.
ENOUGH, ROUNDS = 20, 20
_PROMOTE = """
import sys, registry_nb as rn
registry = rn.Registry(sys.argv[1], user="another")
for turn in range(int(sys.argv[2])):
    registry.promote("Iris", turn % int(sys.argv[3]) + 1)
"""


def test_threads_that_predict_during_promotions_by_another_process_meet_no_error_and_no_mixture(
    tmp_path, constant, python
):
    registry = rn.Registry(tmp_path / "registry")
    for number in range(1, VERSIONS + 1):
        registry.register(constant(number), "Iris")
    registry.promote("Iris", VERSIONS)
    done, changes, rows = threading.Event(), [], range(500)

    def predict():
        served = []
        while not done.is_set():
            (number,) = set(model.predict(rows))
            current = model.current()
            assert current.predict([0]) == [current.version.version]
            served.append(number)
        return served

    with follow(registry, "models:/Iris/Production") as model, ThreadPoolExecutor(THREADS) as pool:
        model.on_change(lambda before, after: changes.append((before.version, after.version)))
        threads = [pool.submit(predict) for _ in range(THREADS)]
        try:
            for _ in range(ROUNDS):
                python(_PROMOTE, registry.uri, PROMOTIONS, VERSIONS)
                if len(changes) >= ENOUGH:
                    break
        finally:
            done.set()
        served = [thread.result(60) for thread in threads]
        last = (PROMOTIONS - 1) % VERSIONS + 1
        assert model.predict([0]) == [last]
        assert model.version.version == last
    print({"predictions": list(map(len, served)), "changes": len(changes)})
    assert all(before == after for (_, before), (after, _) in pairwise(changes)), "one at a time"
    assert len(changes) >= ENOUGH
    assert all(set(one) <= set(range(1, VERSIONS + 1)) and len(set(one)) > 1 for one in served)
    assert registry.check().ok
