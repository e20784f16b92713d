"""The client: MLflow's attributes and types, searches and pages, aliases, and what it refuses."""

import json
import pickle
import time

import pytest

import registry_nb as rn
from registry_nb.errors import (
    AliasNotFound,
    AlreadyExists,
    BadFilter,
    BadName,
    BadURI,
    BadVersion,
    HoldsStage,
    ModelNotFound,
    RunNotFound,
    StageEmpty,
    UnknownStage,
    VersionNotFound,
)

#: In memory there is no URI, which some of them open.
pytestmark = pytest.mark.every_store("folder", "postgres")


@pytest.fixture
def client(mlflow, iris):
    """A client of the registry in which Iris has three versions; 2 is in Production."""
    return mlflow.MlflowClient()


def test_a_version_has_mlflows_attributes_and_types(client):
    version = client.get_model_version("Iris", "2")
    types = {name: type(value) for name, value in version}
    assert types == {
        "aliases": list,
        "creation_timestamp": int,
        "current_stage": str,
        "description": type(None),
        "last_updated_timestamp": int,
        "metrics": list,
        "model_id": type(None),
        "name": str,
        "params": list,
        "run_id": type(None),
        "run_link": type(None),
        "source": str,
        "status": str,
        "status_message": type(None),
        "tags": dict,
        "user_id": str,
        "version": int,
    }
    assert (version.status, version.source, version.user_id) == ("READY", "models:/Iris/2", "ada")
    assert version.creation_timestamp <= version.last_updated_timestamp
    assert repr(version).startswith("<ModelVersion: aliases=[], creation_timestamp=1")
    assert "current_stage='Production'" in repr(version)
    assert version == client.get_model_version("Iris", 2)
    with pytest.raises(AttributeError):
        version.current_stage = "Staging"


def test_a_timestamp_is_the_record_s_in_whole_milliseconds(client, iris):
    at = iris.version("Iris", 1).created_at
    assert client.get_model_version("Iris", 1).creation_timestamp == int(at.timestamp()) * 1000 + at.microsecond // 1000


def test_a_model_has_mlflows_attributes_and_types(client):
    client.set_registered_model_alias("Iris", "champion", "2")
    model = client.get_registered_model("Iris")
    types = {name: type(value) for name, value in model}
    assert types == {
        "aliases": dict,
        "creation_timestamp": int,
        "description": type(None),
        "last_updated_timestamp": int,
        "latest_versions": list,
        "name": str,
        "tags": dict,
    }
    assert model.aliases == {"champion": 2}
    assert "<ModelVersion: aliases=['champion']" in repr(model)


def test_a_model_can_be_made_before_its_first_version(client, refused, iris, capfd):
    model = client.create_registered_model("Tulip", tags={"team": "a"}, description="to come")
    assert (model.tags, model.description, model.latest_versions) == ({"team": "a"}, "to come", [])
    with refused(iris, AlreadyExists, "Tulip") as caught:
        client.create_registered_model("Tulip")
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.copy_model_version("models:/Iris/Production", "Tulip")
    assert capfd.readouterr().err == (
        "Registered model 'Tulip' already exists. Creating a new version of this model...\n"
        "Copied version '2' of model 'Iris' to version '1' of model 'Tulip'.\n"
    )
    assert client.get_model_version("Tulip", 1).source == "models:/Iris/2"


def test_errors_are_mlflows_exception_with_its_code_and_change_nothing(mlflow, client, iris, refused):
    from registry_nb.mlflow.exceptions import MlflowException

    assert MlflowException is mlflow.MlflowException is rn.RegistryError
    move = client.transition_model_version_stage
    cases = [
        (UnknownStage, "did you mean 'Production'?", lambda: move("Iris", 1, "Prod")),
        (VersionNotFound, "the newest is 3", lambda: move("Iris", 9, "Production")),
        (ModelNotFound, "did you mean 'Iris'?", lambda: move("Irys", 1, "Production")),
        (BadVersion, "versions are whole numbers", lambda: move("Iris", "Production", "Archived")),
        (BadVersion, "1.0", lambda: client.get_model_version("Iris", "1.0")),
        (BadVersion, "True", lambda: client.update_model_version("Iris", True, "x")),
        (rn.Invalid, "Staging or Production", lambda: move("Iris", 1, "Archived", archive_existing_versions=True)),
        (rn.Invalid, "needs description=", lambda: client.update_model_version("Iris", 1)),
        (rn.Invalid, "either", lambda: client.set_model_version_tag("Iris", key="k", value="v")),
        (rn.Invalid, "either", lambda: client.delete_model_version_tag("Iris", 1, "k", stage="Production")),
        (BadName, "key of a tag", lambda: client.set_model_version_tag("Iris", 1)),
        (StageEmpty, "Staging", lambda: client.set_model_version_tag("Iris", key="k", value="v", stage="Staging")),
        (UnknownStage, "Prod", lambda: client.get_latest_versions("Iris", ["Prod"])),
        (ModelNotFound, "Rose", lambda: client.get_latest_versions("Rose")),
        (AliasNotFound, "champion", lambda: client.get_model_version_by_alias("Iris", "champion")),
        (BadName, "reserved", lambda: client.set_registered_model_alias("Iris", "latest", 1)),
        (HoldsStage, "Production", lambda: client.delete_model_version("Iris", 2)),
        (HoldsStage, "Production", lambda: client.delete_registered_model("Iris")),
        (ModelNotFound, "Rose", lambda: client.delete_registered_model("Rose")),
        (AlreadyExists, "Iris", lambda: client.rename_registered_model("Iris", "Iris")),
        (RunNotFound, "abc", lambda: mlflow.register_model("runs:/abc/model", "Iris")),
        (BadURI, "its scheme is missing", lambda: mlflow.register_model("Iris/2", "Iris")),
        (BadName, "not allowed", lambda: mlflow.register_model("models:/Iris/2", "a/b")),
        (BadName, "key of a tag", lambda: mlflow.register_model("models:/Iris/2", "Iris", tags={"": "x"})),
        (ModelNotFound, "Rose", lambda: client.create_model_version("Rose", "models:/Iris/2")),
        (rn.Invalid, "register_model()", lambda: client.copy_model_version("runs:/abc/model", "Rose")),
        (StageEmpty, "Staging", lambda: mlflow.pyfunc.load_model("models:/Iris/Staging")),
        (BadURI, "did you mean 'models:/Iris/Production'", lambda: mlflow.pyfunc.load_model("Iris/Production")),
    ]
    codes = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE"}
    for kind, part, call in cases:
        with refused(iris, kind, part) as caught:
            call()
        assert isinstance(caught.value, MlflowException)
        assert caught.value.error_code in codes


def test_a_refused_registration_prints_nothing(mlflow, client, capfd):
    with pytest.raises(rn.NotFound):
        mlflow.register_model("models:/Iris/9", "Copy")
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_gone_before_the_message_breaks_no_registration(client, iris, capfd):
    from registry_nb.mlflow.tracking.messages import registered

    version = iris.copy("models:/Iris/1", "Brief")
    iris.delete("Brief")
    registered(iris, version)
    assert capfd.readouterr().err.endswith("Created version '1' of model 'Brief'.\n")


def test_latest_versions_are_asked_for_by_stage(client):
    assert [v.version for v in client.get_latest_versions("Iris")] == [1, 2, 3]
    assert [v.version for v in client.get_latest_versions("Iris", stages=[])] == [1, 2, 3]
    assert [v.version for v in client.get_latest_versions("Iris", stages=["production", "None"])] == [2, 3]
    assert [v.version for v in client.get_latest_versions("Iris", stages="Archived")] == [1]
    assert client.get_model_version_stages("Iris", "1") == ["None", "Staging", "Production", "Archived"]


def test_versions_are_searched_with_mlflows_filters_and_orders(client, iris, constant):
    iris.register(constant(0), "Rose", run_id="r1", tags={"odd key": "x"})

    def numbers(*query, **how):
        return [(v.name, v.version) for v in client.search_model_versions(*query, **how)]

    assert numbers("name='Iris' AND version_number > 1", order_by=["version_number ASC"]) == [("Iris", 2), ("Iris", 3)]
    assert numbers("name LIKE 'R%'") == numbers("name ILIKE 'r%'") == [("Rose", 1)]
    assert numbers("run_id IN ('r1', 'r2')") == numbers("run_id = 'r1'") == [("Rose", 1)]
    assert numbers("tags.`odd key` = 'x'") == [("Rose", 1)]
    assert numbers("name = 'Rose' AND tags.k = 'x'") == []
    assert numbers(order_by=["name DESC", "creation_timestamp ASC"]) == [
        ("Rose", 1),
        ("Iris", 1),
        ("Iris", 2),
        ("Iris", 3),
    ]
    assert numbers(order_by="name") == [("Iris", 3), ("Iris", 2), ("Iris", 1), ("Rose", 1)]
    assert numbers(filter_string=None, max_results=2) == [("Rose", 1), ("Iris", 2)], "what changed last comes first"
    with pytest.raises(BadFilter, match="no field 'nam'; did you mean 'name'"):
        numbers("nam = 'x'")
    with pytest.raises(BadFilter, match="an order is a field"):
        numbers(order_by=["name UPWARDS"])


def test_models_are_searched_by_name(mlflow, client):
    for name in ("Aster", "Rose"):
        client.create_registered_model(name, tags={"kind": name.lower()})
    assert [m.name for m in client.search_registered_models()] == ["Aster", "Iris", "Rose"]
    assert [m.name for m in client.search_registered_models("tags.kind = 'rose'")] == ["Rose"]
    assert [m.name for m in mlflow.search_registered_models(order_by=["name DESC"], max_results=2)] == ["Rose", "Iris"]
    assert [v.version for v in mlflow.search_model_versions(filter_string="name = 'Iris'", order_by=["version"])] == [
        1,
        2,
        3,
    ]


def test_pages_are_followed_by_their_tokens_to_the_end(client, iris, constant):
    for number in range(4, 8):
        iris.register(constant(number), "Iris")
    found, token, sizes = [], None, []
    while token is not None or not sizes:
        page = client.search_model_versions("name = 'Iris'", 3, ["version_number"], page_token=token)
        assert isinstance(page, list)
        found += [v.version for v in page]
        sizes.append(len(page))
        token = page.token
    assert (found, sizes) == ([1, 2, 3, 4, 5, 6, 7], [3, 3, 1])
    exactly = client.search_model_versions("name = 'Iris'", 7)
    assert (len(exactly), exactly.token) == (7, None)
    assert client.search_registered_models(max_results=0) == []
    models = client.search_registered_models(max_results=1)
    assert ([m.name for m in models], models.token) == (["Iris"], None)


@pytest.mark.parametrize("token", ["zzz", "é", "bnVsbA==", "eyJvZmZzZXQiOiAtMX0=", "eyJvZmZzZXQiOiB0cnVlfQ=="])
def test_a_token_that_no_page_gave_is_refused(client, token):
    with pytest.raises(rn.Invalid, match="not a page token"):
        client.search_registered_models(page_token=token)


@pytest.mark.parametrize("many", [-1, "3", True, 1.5])
def test_a_number_of_results_is_a_whole_number(client, many):
    with pytest.raises(rn.Invalid, match="max_results"):
        client.search_model_versions(max_results=many)


def test_aliases_point_move_and_go(mlflow, client, iris):
    client.set_registered_model_alias("Iris", "champion", 1)
    client.set_registered_model_alias("Iris", "champion", "3")
    assert client.get_model_version_by_alias("Iris", "champion").version == 3
    assert client.get_model_version("Iris", 3).aliases == ["champion"]
    assert mlflow.pyfunc.load_model("models:/Iris@champion").predict([0]) == [3]
    client.delete_registered_model_alias("Iris", "champion")
    before = iris.history()
    client.delete_registered_model_alias("Iris", "champion")
    assert iris.history() == before, "one that is not there is no error and no event"
    assert client.get_registered_model("Iris").aliases == {}


def test_tags_are_set_and_removed_by_number_and_by_stage(mlflow, client):
    client.set_registered_model_tag("Iris", "team", "a")
    client.set_model_version_tag("Iris", "2", "k", 5)
    client.set_model_version_tag("Iris", key="live", value="yes", stage="Production")
    mlflow.set_model_version_tag("Iris", 2, "m", "n")
    assert client.get_model_version("Iris", 2).tags == {"k": "5", "live": "yes", "m": "n"}
    client.delete_model_version_tag("Iris", 2, "k")
    client.delete_model_version_tag("Iris", key="live", stage="Production")
    client.delete_registered_model_tag("Iris", "team")
    assert client.get_model_version("Iris", 2).tags == {"m": "n"}
    assert client.get_registered_model("Iris").tags == {}


def test_what_is_handed_out_is_a_copy_that_nobody_else_sees(client):
    client.get_model_version("Iris", 2).tags["k"] = "v"
    client.get_registered_model("Iris").latest_versions.clear()
    assert client.get_model_version("Iris", 2).tags == {}
    assert len(client.get_registered_model("Iris").latest_versions) == 3


def test_models_are_renamed_copied_and_deleted(mlflow, client, capfd):
    renamed = client.rename_registered_model("Iris", "Flags")
    assert (renamed.name, [v.name for v in renamed.latest_versions]) == ("Flags", ["Flags"] * 3)
    with pytest.raises(ModelNotFound):
        client.get_registered_model("Iris")
    copied = client.copy_model_version("models:/Flags/2", "Garden")
    assert (copied.version, copied.current_stage, copied.source) == (1, "None", "models:/Flags/2")
    again = mlflow.register_model("models:/Flags/1", "Garden", tags={"k": 1})
    assert (again.version, again.tags) == (2, {"k": "1"})
    client.delete_model_version("Garden", "1")
    assert [v.version for v in client.search_model_versions("name = 'Garden'")] == [2]
    client.delete_registered_model("Garden")
    assert [m.name for m in client.search_registered_models()] == ["Flags"]
    assert capfd.readouterr().err == (
        "Successfully registered model 'Garden'.\n"
        "Copied version '2' of model 'Flags' to version '1' of model 'Garden'.\n"
        "Registered model 'Garden' already exists. Creating a new version of this model...\n"
        "Created version '2' of model 'Garden'.\n"
    )


def test_the_client_creates_versions_quietly(mlflow, client, iris, refused, capfd, constant):
    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model("m", python_model=constant(7))
    version = client.create_model_version("Iris", info.model_uri, run.info.run_id, {"k": 1}, description="seven")
    assert (version.version, version.run_id, version.tags, version.description) == (
        4,
        run.info.run_id,
        {"k": "1"},
        "seven",
    )
    assert client.get_model_version_download_uri("Iris", 4) == "models:/Iris/4"
    assert capfd.readouterr() == ("", "")
    with refused(iris, rn.Invalid, "leave it out"):
        client.create_model_version("Iris", info.model_uri, run_id="another")


def test_a_description_is_emptied_by_none(client):
    client.update_registered_model("Iris", "words")
    assert client.update_registered_model("Iris", None).description is None


def test_a_client_keeps_the_registry_that_it_was_made_for(mlflow, client, tmp_path):
    assert repr(client) == f"MlflowClient({client.tracking_uri!r})"
    elsewhere = mlflow.MlflowClient(tracking_uri=str(tmp_path / "other"))
    assert elsewhere.search_registered_models() == []
    mlflow.set_tracking_uri(tmp_path / "other")
    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == elsewhere.tracking_uri
    assert mlflow.search_registered_models() == []
    assert [m.name for m in client.search_registered_models()] == ["Iris"]
    assert mlflow.MlflowClient("ignored", registry_uri=client.tracking_uri).get_model_version("Iris", 1).version == 1
    mlflow.set_registry_uri(client.tracking_uri)
    assert [m.name for m in mlflow.search_registered_models()] == ["Iris"]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "HTTPS://models.example", "databricks"])
def test_a_server_is_refused_where_it_is_named(mlflow, registry, uri):
    for name in (mlflow.set_tracking_uri, mlflow.set_registry_uri, mlflow.MlflowClient):
        with pytest.raises(rn.Invalid, match=r"give a folder, (or )?a file: URL"):
            name(uri)
    assert rn.get_registry() is registry, "the registry stays the one that it was"


def test_naming_the_registry_again_keeps_its_active_run(mlflow, tmp_path):
    mlflow.set_tracking_uri(tmp_path / "other")
    with mlflow.start_run() as run:
        mlflow.set_tracking_uri(str(tmp_path / "other"))
        assert mlflow.active_run().info.run_id == run.info.run_id


def test_an_empty_uri_goes_back_to_the_default(mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_URI", str(tmp_path / "default"))
    mlflow.set_tracking_uri("")
    assert mlflow.get_tracking_uri() == str(tmp_path / "default")


# -- what MLflow's own exceptions and searches can ---------------------------------------------------------------------


def test_an_exception_is_made_and_asked_as_mlflows(mlflow):
    made = mlflow.MlflowException("m", error_code=mlflow.exceptions.INVALID_PARAMETER_VALUE, a=1)
    assert (made.message, made.error_code, made.get_http_status_code()) == ("m", "INVALID_PARAMETER_VALUE", 400)
    assert json.loads(made.serialize_as_json()) == {
        "error_code": "INVALID_PARAMETER_VALUE", "message": "m", "a": 1, "code": "INVALID_PARAMETER_VALUE",
    }  # fmt: skip
    assert mlflow.MlflowException("m", 1000).error_code == "INVALID_PARAMETER_VALUE"
    assert [mlflow.MlflowException("m", code).error_code for code in (None, 77, "NOT_FOUND", [])] == [
        "INTERNAL_ERROR", "INTERNAL_ERROR", "NOT_FOUND", "INTERNAL_ERROR",
    ]  # fmt: skip
    assert mlflow.MlflowException(ValueError("q")).message == "q"
    wrong = mlflow.MlflowException.invalid_parameter_value("m", given="x")
    assert (type(wrong), wrong.error_code, wrong.given) == (mlflow.MlflowException, "INVALID_PARAMETER_VALUE", "x")
    again = pickle.loads(pickle.dumps(made))
    assert (str(again), again.error_code, again.a) == ("m", "INVALID_PARAMETER_VALUE", 1)
    assert mlflow.exceptions.RestException is mlflow.MlflowException


def test_our_errors_answer_as_mlflows(mlflow, client):
    with pytest.raises(mlflow.MlflowException) as raised:
        client.get_registered_model("Nope")
    assert raised.value.message == str(raised.value)
    assert (raised.value.error_code, raised.value.get_http_status_code()) == ("RESOURCE_DOES_NOT_EXIST", 404)
    assert json.loads(raised.value.serialize_as_json())["message"] == str(raised.value)


def test_what_already_exists_says_so_in_mlflows_words(mlflow, client):
    client.create_registered_model("Other")
    for twice in (
        lambda: client.create_registered_model("Iris"),
        lambda: client.rename_registered_model("Iris", "Other"),
    ):
        with pytest.raises(mlflow.MlflowException, match="already exists") as raised:
            twice()
        assert raised.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_a_tag_without_a_key_is_refused_and_one_that_is_not_there_is_not(client, iris):
    for wrong in (
        lambda: client.delete_registered_model_tag("Iris", None),
        lambda: client.delete_model_version_tag("Iris", 1, None),
        lambda: client.set_registered_model_tag("Iris", None, "v"),
        lambda: iris.untag("Iris", None),
    ):
        with pytest.raises(BadName, match="the key of a tag"):
            wrong()
    client.delete_registered_model_tag("Iris", "nope")
    client.delete_model_version_tag("Iris", 1, "nope")


def test_an_experiment_may_be_a_number(mlflow, client):
    with mlflow.start_run():
        pass
    assert [len(client.search_runs(which)) for which in (0, "0", ["0"], [0])] == [1] * 4
    assert len(mlflow.search_runs(0)) == len(mlflow.search_runs("0")) == 1
    with pytest.raises(rn.Invalid, match="needs experiment_ids="):
        client.search_runs(None)


def test_a_link_that_nothing_keeps_is_refused(client):
    with pytest.raises(rn.Invalid, match="run_link= is not kept here"):
        client.create_model_version("Iris", "models:/Iris/1", run_link="https://ci.example/1")


@pytest.mark.parametrize(
    ("noun", "filter", "count"),
    [
        ("versions", "source_path = 'models:/Iris/2'", 1),
        ("versions", "source_path LIKE 'models:/Iris/%'", 3),
        ("runs", "attributes.created > 0", 1),
        ("runs", "attributes.Created > 0", 1),
        ("runs", "attributes.start_time > 0", 1),
        ("runs", "attributes.`run name` = 'first'", 1),
        ("runs", "attributes.`Run Name` = 'first'", 1),
        ("runs", "attributes.artifact_uri LIKE 'runs:/%'", 1),
    ],
)
def test_filters_know_mlflows_fields(mlflow, client, noun, filter, count):
    with mlflow.start_run(run_name="first"):
        pass
    found = client.search_model_versions(filter) if noun == "versions" else client.search_runs(["0"], filter)
    assert len(found) == count


def test_orders_know_mlflows_fields(mlflow, client):
    client.create_registered_model("Later")
    assert [one.name for one in client.search_registered_models(order_by=["timestamp DESC"])] == ["Later", "Iris"]
    assert [one.name for one in client.search_registered_models(order_by=["last_updated_timestamp"])] == [
        "Iris", "Later",
    ]  # fmt: skip
    names = []
    for name in ("one", "two"):
        with mlflow.start_run(run_name=name):
            names.append(name)
        ended = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == ended:
            pass  # runs of one millisecond are equal in MLflow's order
    for order in ("attributes.created", "created", "attributes.start_time", "start_time"):
        assert [run.info.run_name for run in client.search_runs(["0"], order_by=[order])] == names


def test_a_signature_of_nothing_is_not_inferred(mlflow):
    with pytest.raises(rn.Invalid, match="neither was given"):
        mlflow.models.infer_signature()
    assert not mlflow.models.infer_signature([[1.0]]).outputs
