"""A team: two people and a job that serves, on a database and a bucket, each on a machine of its own."""

import re

import boto3
import pytest
from moto.server import ThreadedMotoServer

import registry_nb as rn
from registry_nb.stores.objects import Objects


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def machine(s3, tmp_path, monkeypatch):
    """Be on another machine: with the same keys of the service, and a folder of its own for what was downloaded."""
    given = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    for name, value in {**given, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    return lambda name: monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / name))


def test_two_people_and_a_job_work_on_one_registry(uri, machine, constant):
    machine("ada's")
    boto3.client("s3").create_bucket(Bucket="models")
    database = re.sub("&artifacts=[^&]*", "", uri)  # which says where the bytes are, after the first use
    ada = rn.Registry(f"{database}&artifacts=s3://models/team", user="ada")
    ada.register(constant(1), "Churn", example=[[0.0]], metrics={"auc": 0.9}, because="first fit")
    ada.policy("Churn", require=["approved_by(1, not_author=True)"])
    ada.request("Churn", 1, because="0.9 on the holdout")

    machine("grace's")
    grace = rn.Registry(database, user="grace")
    assert isinstance(grace.artifacts, Objects)
    assert [(one.name, one.version, one.by) for one in grace.inbox()] == [("Churn", 1, "ada")]
    with pytest.raises(rn.PolicyFailed):
        grace.promote("Churn", 1)
    grace.approve("Churn", 1)
    grace.promote("Churn", 1, because="looks right")

    machine("the job's")
    job = rn.Registry(database, user="serving")
    job.trust("models:/Churn/1", because="our team's")
    with job.follow("models:/Churn/Production") as model:
        assert list(model.predict([[0.0]])) == [1]
        ada.register(constant(2), "Churn", example=[[0.0]], metrics={"auc": 0.95})
        grace.approve("Churn", 2)
        grace.promote("Churn", 2)
        job.trust("models:/Churn/2", because="our team's")
        assert list(model.predict([[0.0]])) == [2]
        grace.rollback("Churn", because="complaints")
        assert list(model.predict([[0.0]])) == [1]
    with ada.atomically(because="both or none") as batch:
        batch.tag("Churn", {"reviewed": "yes"})
        batch.alias("Churn", "champion", 1)
    assert [event.user for event in job.history("Churn", limit=2)] == ["ada", "ada"]
    assert job.at(job.history("Churn")[-1].at).version("Churn", "@champion").version == 1
    assert job.check(deep=True).ok


def test_what_another_process_promotes_is_served_within_a_moment(uri, constant, python):
    job = rn.Registry(uri, user="serving")
    for number in (1, 2):
        job.register(constant(number), "Churn")
    job.promote("Churn", 1)
    with job.follow("models:/Churn/Production") as model:
        assert list(model.predict([0])) == [1]
        promote = "import sys, registry_nb as rn\nrn.Registry(sys.argv[1], user='grace').promote('Churn', 2)"
        python(promote, uri)
        while list(model.predict([0])) != [2]:
            pass
        assert job.history("Churn", limit=1)[0].user == "grace"
    job.store.close()
