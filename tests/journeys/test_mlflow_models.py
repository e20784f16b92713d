"""Models through MLflow's names: logged, registered, loaded; which options count; what an import costs."""

import pytest

import registry_nb as rn
from registry_nb.errors import BadName, NoFlavor, NotFound


def test_a_python_model_prepares_itself_and_predicts_with_its_context(mlflow, registry):
    from registry_nb.mlflow.pyfunc import PythonModel

    class Scaled(PythonModel):
        factor = None

        def load_context(self, context):
            self.factor = 10
            assert context.artifacts == {}

        def predict(self, context, model_input):
            return [self.factor * value for value in model_input]

    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model("scaled", python_model=Scaled(), registered_model_name="Scaled")
    loaded = mlflow.pyfunc.load_model("models:/Scaled/1")
    assert loaded.predict([1, 2]) == [10, 20]
    assert type(loaded.unwrap_python_model()).__name__ == "Scaled"
    assert (loaded.metadata.run_id, loaded.metadata.artifact_path) == (run.info.run_id, "scaled")
    assert loaded.version == registry.version("Scaled", 1)
    assert info.flavors == {"python_function": {"loader_module": "registry_nb.flavors.pyfunc"} | python_of(info)}
    assert repr(loaded) == (
        "registry_nb.mlflow.pyfunc.loaded_model:\n"
        f"  artifact_path: scaled\n  flavor: registry_nb.flavors.pyfunc\n  run_id: {run.info.run_id}\n"
    )
    with pytest.raises(rn.Invalid, match="no scikit-learn model"):
        mlflow.sklearn.load_model("models:/Scaled/1")
    with pytest.raises(rn.Invalid, match="params="):
        loaded.predict([1], params={"factor": 2})


def python_of(info):
    return {"python_version": info.flavors["python_function"]["python_version"]}


def test_a_base_class_without_predict_is_no_model(mlflow):
    with pytest.raises(TypeError, match="abstract"):
        mlflow.pyfunc.PythonModel()


def test_callables_and_objects_with_predict_are_logged_as_they_are(mlflow):
    class Doubling:
        def predict(self, data):
            return [2 * value for value in data]

    for model in (Doubling(), lambda data: [2 * value for value in data]):
        info = mlflow.pyfunc.log_model(python_model=model)
        assert mlflow.pyfunc.load_model(info.model_uri).predict([1, 2]) == [2, 4]
        assert info.registered_model_version is None


def test_a_model_logged_without_a_run_gets_one_that_ends(mlflow, forest):
    info = mlflow.sklearn.log_model(forest, "model")
    assert mlflow.active_run() is None
    assert mlflow.get_run(info.run_id).info.status == "FINISHED"


def test_what_a_loaded_model_knows_of_itself(mlflow, registry, forest, flowers):
    x, _ = flowers
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(forest, name="a/model/", input_example=x[:3], registered_model_name="Iris")
    assert (info.artifact_path, info.name) == ("a/model", "a/model")
    assert info.model_uri == f"runs:/{run.info.run_id}/a/model"
    assert info.signature.inputs[0].shape == (-1, 4)
    for uri in (info.model_uri, "models:/Iris/1"):
        loaded = mlflow.pyfunc.load_model(uri)
        known = loaded.metadata
        assert (known.model_uri, known.signature, known.model_uuid) == (uri, info.signature, info.model_uuid)
        assert (known.artifact_path, known.run_id) == ("a/model", run.info.run_id)
        assert known.get_input_schema() == info.signature.inputs
        assert known.get_output_schema() == info.signature.outputs
        assert set(known.flavors) == {"python_function", "sklearn"}
        assert known.utc_time_created[:2] == "20"
        assert type(loaded.get_raw_model()) is type(forest)
        with pytest.raises(rn.Invalid, match="get_raw_model"):
            loaded.unwrap_python_model()
    registry.register(forest, "Iris")
    assert mlflow.pyfunc.load_model("models:/Iris/2").metadata.artifact_path == "model"


def test_a_loaded_model_is_logged_again_as_what_it_wraps(mlflow, forest, flowers):
    first = mlflow.sklearn.log_model(forest)
    loaded = mlflow.pyfunc.load_model(first.model_uri)
    again = mlflow.sklearn.log_model(loaded)
    assert type(mlflow.sklearn.load_model(again.model_uri)) is type(forest)
    wrapped = mlflow.pyfunc.log_model(python_model=loaded)
    assert (mlflow.pyfunc.load_model(wrapped.model_uri).predict(flowers[0]) == forest.predict(flowers[0])).all()


def test_signatures_are_given_inferred_or_declined(mlflow, forest, flowers):
    from registry_nb.mlflow.models.signature import ModelSignature, infer_signature

    x, y = flowers
    given = infer_signature(x, y)
    assert isinstance(given, ModelSignature)
    assert mlflow.sklearn.log_model(forest, signature=given).signature == given
    assert mlflow.sklearn.log_model(forest, signature=False, input_example=x[:2]).signature is None
    bare = mlflow.sklearn.log_model(forest)
    assert (bare.signature, bare.get_input_schema(), bare.get_output_schema()) == (None, None, None)
    with pytest.raises(rn.Invalid, match="no params="):
        infer_signature(x, y, {"temperature": 1.0})


def test_requirements_can_be_given(mlflow, registry, forest):
    mlflow.sklearn.log_model(forest, pip_requirements=["scikit-learn==1.0"], registered_model_name="Iris")
    assert registry.version("Iris").requirements == ("scikit-learn==1.0",)


def test_extra_requirements_are_added_to_those_that_were_found_or_given(mlflow, registry, forest):
    mlflow.sklearn.log_model(forest, extra_pip_requirements=["extra==1"], registered_model_name="Iris")
    found = registry.version("Iris").requirements
    assert found[-1] == "extra==1"
    assert any(line.startswith("scikit-learn==") for line in found)
    both = {"pip_requirements": ["a==1", "b"], "extra_pip_requirements": ["c", "b"]}
    mlflow.sklearn.log_model(forest, **both, registered_model_name="Iris")
    assert registry.version("Iris").requirements == ("a==1", "b", "c")


def test_files_of_requirements_are_expanded_and_labels_of_builds_left_out(mlflow, registry, forest, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "all.txt").write_text("a==1+cpu  # why\n# none\n-r more/b.txt\n", encoding="utf-8")
    (tmp_path / "more" / "b.txt").write_text(
        "b[x]==2.0+cu118; python_version>'3'\n--requirement=c.txt", encoding="utf-8"
    )
    (tmp_path / "more" / "c.txt").write_text("c @ https://host/c==1+cpu.whl\nd+e", encoding="utf-8")
    right = ("a==1", "b[x]==2.0; python_version>'3'", "c @ https://host/c==1+cpu.whl", "d+e")
    for given in (tmp_path / "all.txt", str(tmp_path / "all.txt"), [f"-r {tmp_path / 'all.txt'}"]):
        mlflow.sklearn.log_model(forest, pip_requirements=given, registered_model_name="Iris")
        assert registry.version("Iris").requirements == right


def test_requirements_that_cannot_be_read_register_nothing(mlflow, registry, forest, tmp_path):
    loop = tmp_path / "loop.txt"
    loop.write_text("-r loop.txt", encoding="utf-8")
    for given, error, words in (
        (str(loop), rn.Invalid, "is in a loop of files"),
        (["-c c.txt"], rn.Invalid, "write the versions into the requirements"),
        (str(tmp_path / "no.txt"), NotFound, "there is no file"),
        ([1], rn.Invalid, "requirements are texts"),
    ):
        for option in ("pip_requirements", "extra_pip_requirements"):
            with pytest.raises(error, match=words):
                mlflow.sklearn.log_model(forest, **{option: given}, registered_model_name="Iris")
    assert [model.name for model in registry.models()] == []
    assert len(registry.runs()) == 0


def test_options_that_say_how_mlflow_packs_a_model_are_accepted(mlflow, forest, constant):
    packed = {"conda_env": {"name": "x"}, "await_registration_for": 60}
    assert mlflow.sklearn.log_model(forest, "m", serialization_format="cloudpickle", **packed).name == "m"
    assert mlflow.pyfunc.log_model("m", python_model=constant(1), infer_code_paths=True, **packed).name == "m"


def test_options_that_are_not_kept_warn_at_the_callers_line(mlflow, forest, constant):
    with pytest.warns(rn.RegistryWarning, match=r"^metadata=, step= of") as warned:
        mlflow.sklearn.log_model(forest, metadata={"a": 1}, step=3)
    assert [warning.filename for warning in warned] == [__file__]
    with pytest.warns(rn.RegistryWarning, match=r"^tags= of"):
        mlflow.pyfunc.log_model(python_model=constant(1), tags={"a": 1})


def test_what_cannot_be_logged_is_refused_before_anything_is_written(mlflow, registry, forest, constant, refused):
    sk, py = mlflow.sklearn.log_model, mlflow.pyfunc.log_model
    cases = [
        (NoFlavor, "pyfunc", lambda: sk(constant(1), "m")),
        (NoFlavor, "no predict(X)", lambda: sk("not a model", "m")),
        (NoFlavor, "it is a class", lambda: py(python_model=type(forest))),
        (NotFound, "which is not there", lambda: py(python_model="model.py")),
        (rn.Invalid, "python_model=", lambda: py("m")),
        (NotFound, "does not exist", lambda: py("m", python_model=constant(1), artifacts={"a": "file"})),
        (rn.Invalid, "loader_module=, data_path=", lambda: py("m", loader_module="x", data_path="y")),
        (rn.Invalid, "pyfunc_predict_fn=", lambda: sk(forest, pyfunc_predict_fn="predict_proba")),
        (rn.Invalid, "extra_files=", lambda: sk(forest, extra_files=["a"])),
        (rn.Invalid, "give one of them", lambda: sk(forest, "m", name="n")),
        (BadName, "not allowed", lambda: sk(forest, "m", registered_model_name="a/b")),
        (BadName, "it is empty", lambda: sk(forest, "m", registered_model_name="")),
    ]
    for kind, part, call in cases:
        with refused(registry, kind, part):
            call()
    assert mlflow.active_run() is None


def test_importing_mlflows_names_loads_nothing_heavy(python):
    heavy = "pandas numpy sklearn IPython ipywidgets tinydb cloudpickle"
    loaded = python(
        f"""
        import sys
        import registry_nb.mlflow as mlflow
        from registry_nb.mlflow.tracking import MlflowClient
        from registry_nb.mlflow.models.signature import infer_signature
        import registry_nb.mlflow.sklearn, registry_nb.mlflow.pyfunc, registry_nb.mlflow.entities
        mlflow.start_run, mlflow.MlflowException
        print([name for name in "{heavy}".split() if name in sys.modules])
        """
    )
    assert loaded == "[]\n"


def test_one_import_reaches_everything(python):
    assert (
        python(
            """
            import registry_nb.mlflow as mlflow
            for name in mlflow.__all__:
                assert getattr(mlflow, name) is not None
            assert mlflow.client.MlflowClient is mlflow.tracking.MlflowClient is mlflow.MlflowClient
            assert set(mlflow.__all__) <= set(dir(mlflow))
            print(mlflow.pyfunc.load_model.__name__)
            """
        )
        == "load_model\n"
    )


def test_a_name_of_mlflow_that_is_not_here_says_so(mlflow):
    with pytest.raises(AttributeError, match=r"'log_all'; it translates MLflow's model registry and runs"):
        mlflow.log_all()
    with pytest.raises(AttributeError, match="did you mean 'log_param'"):
        mlflow.log_parm
    assert not hasattr(mlflow, "__wrapped__")
