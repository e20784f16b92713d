"""What `import registry_nb` loads, and the names that it offers."""

import registry_nb as rn

HEAVY = (
    "pandas",
    "numpy",
    "sklearn",
    "IPython",
    "ipywidgets",
    "tinydb",
    "cloudpickle",
    "psycopg",
    "fsspec",
    "s3fs",
    "botocore",
)


def test_importing_the_package_loads_nothing_heavy(python):
    script = """
        import sys
        import registry_nb
        loaded = sorted(name for name in sys.modules if name.partition(".")[0] in sys.argv[1:])
        assert not loaded, loaded
        from registry_nb import CrowdedStage, RegistryError, Stage, testing
        loaded = sorted(name for name in sys.modules if name.partition(".")[0] in (*sys.argv[1:], "pytest"))
        assert not loaded, loaded
    """
    assert python(script, *HEAVY) == ""


def test_every_public_name_is_there_and_sorted():
    assert list(rn.__all__) == sorted(rn.__all__)
    assert len(set(rn.__all__)) == len(rn.__all__)
    for name in rn.__all__:
        assert getattr(rn, name) is not None
        assert name in dir(rn)


def test_a_name_that_is_not_there_is_missed_as_python_does():
    try:
        rn.nothing_of_the_kind
    except AttributeError as error:
        message = str(error)
    assert message == "module 'registry_nb' has no attribute 'nothing_of_the_kind'"
    assert not hasattr(rn, "checks_")


def test_the_main_job_runs_twice_in_one_folder(python, tmp_path):
    job = "from registry_nb.cli import main; assert main(['demo']) == 0"
    first = python(job, cwd=tmp_path)
    assert "version 3: LogisticRegression, accuracy" in first
    assert "Production: 2 -> 1" in first
    assert first.rstrip().endswith("no problems found")
    second = python(job, cwd=tmp_path)
    assert "Production: 5 -> 4" in second
    assert second.rstrip().endswith("no problems found")
    assert [path.name for path in tmp_path.iterdir()] == [".registry_nb"]
    assert len(rn.Registry(tmp_path / ".registry_nb").versions("IrisClassifier")) == 6
