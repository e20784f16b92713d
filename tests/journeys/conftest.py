"""What the journeys through MLflow's names share."""

import pytest

import registry_nb as rn


@pytest.fixture
def mlflow(registry):
    """MLflow's names, acting on the test's own registry."""
    from registry_nb import mlflow

    rn.set_registry(registry)
    yield mlflow
    while mlflow.active_run() is not None:
        mlflow.end_run()
    rn.set_registry(None)
