"""`--json` against a schema that is written here: a field that is renamed or removed fails a test."""

import json
import math

import jsonschema
import pytest

import registry_nb as rn
from registry_nb.cli.answers import lines
from registry_nb.domain.listing import Listing

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$"}
SHA = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
STAGE = {"enum": ["None", "Staging", "Production", "Archived"]}
TEXT, NUMBER, WHOLE, LIST, OBJECT = ({"type": kind} for kind in ("string", "number", "integer", "array", "object"))
TEXTS = {"type": "array", "items": TEXT}


def maybe(schema):
    return {"anyOf": [schema, {"type": "null"}]}


def record(**fields):
    """A schema of an object that has these fields."""
    return {"type": "object", "required": list(fields), "properties": fields}


VERSION = record(
    name=TEXT,
    version=WHOLE,
    stage=STAGE,
    description=TEXT,
    tags=OBJECT,
    aliases=TEXTS,
    metrics=OBJECT,
    params=OBJECT,
    signature=maybe(record(inputs=LIST, outputs=LIST)),
    flavor=TEXT,
    digest=SHA,
    size=WHOLE,
    requirements=TEXTS,
    python_version=TEXT,
    run_id=maybe(TEXT),
    user=TEXT,
    created_at=TIME,
    updated_at=TIME,
    provenance=OBJECT,
)
MODEL = record(
    name=TEXT,
    description=TEXT,
    tags=OBJECT,
    aliases=OBJECT,
    policies=OBJECT,
    created_at=TIME,
    updated_at=TIME,
    latest_versions={"type": "array", "items": VERSION},
)
EVENT = record(
    id=TEXT,
    seq=WHOLE,
    at=TIME,
    user=TEXT,
    action=TEXT,
    name=TEXT,
    version=maybe(WHOLE),
    before=maybe(OBJECT),
    after=maybe(OBJECT),
    because=TEXT,
    host=TEXT,
    previous=TEXT,
)
RUN = record(
    run_id=TEXT,
    name=TEXT,
    experiment=TEXT,
    status={"enum": ["RUNNING", "FINISHED", "FAILED", "KILLED"]},
    params=OBJECT,
    metrics=OBJECT,
    tags=OBJECT,
    started_at=TIME,
    ended_at=maybe(TIME),
)
VERDICT = record(rule=TEXT, found=TEXT, verdict={"enum": ["passed", "failed", "unknown"]})
EVALUATION = record(name=TEXT, version=WHOLE, to=STAGE, rows={"type": "array", "items": VERDICT})
REQUEST = record(name=TEXT, version=WHOLE, stage=STAGE, at=TIME, by=TEXT, because=TEXT, approved=TEXTS)
SUBSCRIPTION = record(
    id={"type": "string", "pattern": "^[0-9a-f]{16}$"},
    target={"anyOf": [TEXT, TEXTS]},
    on=TEXTS,
    model=maybe(TEXT),
    format={"enum": ["json", "slack", "teams"]},
    by=TEXT,
    created_at=TIME,
    own={"type": "boolean"},
    delivered=WHOLE,
    failures=WHOLE,
    due=maybe(TIME),
    problem=TEXT,
    ended=TEXT,
    dead=TEXTS,
)
STINT = record(stage=STAGE, version=WHOLE, start=TIME, end=maybe(TIME), by=TEXT, because=TEXT)
MESSAGE = record(message=TEXT)

#: A line, and the schema of each line of its answer; they run one after the other.
ANSWERS = [
    ("models", MODEL),
    ("versions Iris", VERSION),
    ("search \"stage = 'Production'\"", VERSION),
    ("show Iris", MODEL),
    ("show Iris Production", VERSION),
    ("history Iris", EVENT),
    ("events", EVENT),
    ("deliver", record(delivered=WHOLE)),
    ("subscribe https://example.org --on promoted --model Iris --format slack", SUBSCRIPTION),
    ("subscribe notify-send promoted", SUBSCRIPTION),
    ("subscriptions", SUBSCRIPTION),
    ("comment Iris 1 'the first'", EVENT),
    ("runs", RUN),
    ("compare Iris 1 2", record(section=TEXT, name=TEXT, a={}, b={}, compared={"type": "boolean"})),
    ("plot Iris accuracy", record(svg=TEXT, text=TEXT)),
    ("inspect Iris/2", record(uri=TEXT, flavor=TEXT, digest=SHA, size=WHOLE, kind=TEXT, imports=TEXTS, origin=TEXT)),
    ("check", record(problems=TEXTS, models=WHOLE, versions=WHOLE, events=WHOLE, files=WHOLE, reclaimable=WHOLE)),
    ("usage Iris", record(uri=TEXT, versions=WHOLE, files=WHOLE, size=WHOLE, own=WHOLE)),
    ("cells Iris 1", MESSAGE),
    ("asof now", MODEL),
    ("timeline Iris", STINT),
    ("policy Iris 'approved_by(1)' --to Staging", record(rule={"const": "approved_by(1, not_author=False)"})),
    ("evaluate Iris 3 --to Staging", EVALUATION),
    ("retention Iris --keep-last 10", record(name=TEXT, keep_last=maybe(WHOLE), keep_days=maybe(NUMBER))),
    ("request Iris 3 --to Staging", REQUEST),
    ("inbox", REQUEST),
    ("approve Iris 3 --to Staging", VERSION),
    ("promote Iris 3 --to Staging", VERSION),
    ("rollback Iris", VERSION),
    ("stage Iris 2 None", VERSION),
    ("archive Iris 2", VERSION),
    ("describe Iris/2 old", VERSION),
    ("describe Iris flowers", MODEL),
    ("tag Iris reviewed=yes", MODEL),
    ("untag Iris reviewed", MODEL),
    ("alias Iris 3 champion", MODEL),
    ("unalias Iris champion", MODEL),
    ("copy Iris/3 Flower", VERSION),
    ("rename Flower Rose", MODEL),
    ("load Iris/3", VERSION),
    ("trust Iris 3", VERSION),
    ("download Iris/3 files", MESSAGE),
    ("reproduce Iris 3", MESSAGE),
    ("prune Iris", record(name=TEXT, version=WHOLE, stage=STAGE, kept=TEXT, size=WHOLE)),
    ("use", record(uri=TEXT, user=TEXT)),
    ("delete Iris/2 --yes", MESSAGE),
    ("help promote", MESSAGE),
]


def test_each_line_of_each_answer_has_its_schema(terminal, iris, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_URI", iris.uri)
    rn.set_registry(iris)
    try:
        with rn.start_run(run_name="fit"):
            pass
    finally:
        rn.set_registry(None)
    told = {}
    for line, schema in ANSWERS:
        answer = terminal(f"{line} --json")
        assert (line, answer.err) == (line, "")
        assert answer.out.isascii()
        told[line] = answer.records
        for one in answer.records:
            jsonschema.validate(one, schema)
    assert [line for line, records in told.items() if not records] == []
    assert [each["version"] for each in told["versions Iris"]] == [3, 2, 1]
    assert len(told["show Iris"]) == 1
    assert told["show Iris Production"][0]["metrics"] == {"accuracy": 0.92}


def test_the_keys_are_the_fields_of_the_record(terminal, iris):
    answer = terminal("show Iris 2", "--json", "--registry", iris.uri)
    assert set(answer.records[0]) == set(rn.ModelVersion.__dataclass_fields__)
    answer = terminal("history Iris", "--json", "--registry", iris.uri)
    assert set(answer.records[0]) == set(rn.Event.__dataclass_fields__)


def test_what_json_lacks_is_a_text(registry, terminal):
    registry.register(lambda X: X, "Häuser", metrics={"auc": math.nan, "loss": math.inf}, description="\ud7ff ☃")
    answer = terminal("show Häuser 1", "--json", "--registry", registry.uri)
    assert answer.out.isascii()
    (found,) = answer.records
    assert found["metrics"] == {"auc": "NaN", "loss": "Infinity"}
    assert (found["name"], found["description"]) == ("Häuser", "\ud7ff ☃")


def test_an_object_that_json_does_not_know_is_its_text():
    assert [json.loads(line) for line in lines(Listing([{1: object}, [None, True, 1.5]]))] == [
        {"1": "<class 'object'>"},
        [None, True, 1.5],
    ]
    assert list(lines(None)) == []


@pytest.mark.parametrize("line", ["show Iris 9 --json", "--json show Iris 9"])
def test_an_error_is_one_object_on_stderr(terminal, iris, line):
    answer = terminal(line, "--registry", iris.uri)
    assert (answer.code, answer.out) == (1, "")
    assert (answer.error["type"], answer.error["code"]) == ("VersionNotFound", "RESOURCE_DOES_NOT_EXIST")
    assert answer.error["message"].startswith("model 'Iris' has no version 9")
