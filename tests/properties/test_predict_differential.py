"""What `predict` answers in a fresh process is what the model in memory answers, or a refusal in a sentence.

Models of every flavor are shown a table in one container, registered, and given other tables in other containers: with
columns in another order, too many or too few, in other dtypes and units, with values missing. The model in memory is
given the same values in the container that it was shown. `predict_differential` makes both, without the registry.

5,000 examples are tried; with REGISTRY_NB_STRESS=long 200,000, or as many as STRESS_EXAMPLES says.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import registry_nb as rn

for _name in (
    "keras",
    "lightgbm",
    "onnxruntime",
    "polars",
    "pyarrow",
    "skl2onnx",
    "skops",
    "tensorflow",
    "torch",
    "xgboost",
):
    if importlib.util.find_spec(_name) is None:
        if os.environ.get("REGISTRY_NB_CI"):
            pytest.fail(f"needs {_name}")
        pytest.skip(f"needs {_name}, which is not installed here", allow_module_level=True)

import predict_differential  # noqa: E402
from plain_tables import CONTAINERS, LEVELS, Column, Instant, Moment, Unfit, holding  # noqa: E402
from predict_differential import MODELS, Case, Subject, kind_of  # noqa: E402

LONG = os.environ.get("REGISTRY_NB_STRESS") == "long"
EXAMPLES = int(os.environ.get("STRESS_EXAMPLES", 200_000 if LONG else 5_000))
#: Models of each kind, for each container that it is shown.
EACH = 12 if LONG else 3
#: What is asked at once, in threads.
CROWD = 6

pytestmark = pytest.mark.timeout(36_000 if LONG else 600)

_WHOLE = ("int64", "int32", "int8", "uint8", "uint64", "float64", "float32", "decimal", "bool", "str")
_TIMES = ("ns", "us", "ms", "s", "day")
#: The types that values of a kind are given in.
GIVEN = {
    "whole": _WHOLE,
    "real": _WHOLE,
    "truth": ("bool", "int8", "int64", "float64", "str"),
    "text": ("str", "level"),
    "time": (*(f"time[{unit}]" for unit in _TIMES), "str"),
    "moment": (*(f"moment[{unit}]" for unit in _TIMES[:-1]), "str"),
    "level": ("level", "str"),
}
_SECONDS = st.integers(-(10**9), 2 * 10**9)
_DAYS = st.integers(-10_000, 20_000).map(lambda days: days * 86400 * 10**9)
_PARTS = st.sampled_from([0, 0, 0, 5 * 10**8, 123_456_000, 123_456_789])
_NANOSECONDS = _DAYS | st.tuples(_SECONDS, _PARTS).map(lambda time: time[0] * 10**9 + time[1])
VALUES = {
    "whole": st.integers(0, 100) | st.sampled_from([-1, 127, 200, 300, 2**31, 2**53 + 1]),
    "real": st.integers(-100, 100).map(lambda i: i / 4) | st.sampled_from([0.1, -0.0, 3e9, 1e300, float("inf")]),
    "truth": st.booleans(),
    "text": st.sampled_from(["a", "ü b", "", "10", "2020-01-02", "nan", "zz"]),
    "time": _NANOSECONDS.map(Instant),
    "moment": _NANOSECONDS.map(Moment),
    "level": st.sampled_from(LEVELS * 4 + ("zz", "nan")),
}


@st.composite
def cases(draw, model):
    """Return a table in a container for a model."""
    known = MODELS[model]
    one = predict_differential.subject(model, draw(st.sampled_from(known.shown)), draw(st.integers(0, EACH - 1)))
    fitting = [
        name for name, each in CONTAINERS.items() if each.width in (0, len(one.specs)) and each.least <= len(one.specs)
    ]
    name = draw(st.sampled_from(fitting) | st.just(one.shown))
    container = CONTAINERS[name]
    size = container.size or draw(st.sampled_from((1, 1, 1, 2, 2, 2, 3, 3, 3, 0 if not container.literal else 1)))
    twist = draw(st.sampled_from(("plain",) * 4 + ("permuted",) * 3 + ("extra", "lacking", "doubled", "other kind")))
    disguised, lacks = draw(st.sampled_from((False, False, True))), draw(st.sampled_from((False, False, False, True)))
    columns = []
    for place, spec in enumerate(one.specs):
        kind = kind_of(spec)
        if twist == "other kind" and place == 0:
            kind = draw(st.sampled_from(list(VALUES)))
        cell = VALUES[kind] | st.none() if lacks else VALUES[kind]
        values = draw(st.lists(cell, min_size=size, max_size=size))
        options = [] if disguised else holding(container, (spec.type,), values)
        options = options or holding(container, GIVEN[kind], values)
        columns.append((spec, options))
    if container.uniform:
        shared = set.intersection(*({dtype for _, dtype, _ in options} for _, options in columns))
        dtype = draw(st.sampled_from(sorted(shared))) if shared else ""
        columns = [(spec, [each for each in options if each[1] == dtype]) for spec, options in columns]
    made = []
    for spec, options in columns:
        if not options:  # this container holds no such values
            return None
        same = [each for each in options if each[:2] == (spec.type, spec.dtype)] if not disguised else []
        type, dtype, cells = draw(st.sampled_from(same or options))
        levels = (
            draw(st.permutations([*spec.levels] or sorted({*LEVELS, *(c for c in cells if c is not None)})))
            if type == "level"
            else ()
        )
        levels = (
            (*levels, *(cell for cell in dict.fromkeys(cells) if cell is not None and cell not in levels))
            if levels
            else ()
        )
        label = spec.name if spec.name is not None else f"c{len(made)}"
        made.append(Column(label, type, dtype, name, cells, levels))
    if twist == "permuted":
        made = draw(st.permutations(made))
    elif twist == "lacking" and len(made) > 1:
        made.pop(draw(st.integers(0, len(made) - 1)))
    elif (twist == "extra" or (twist == "doubled" and container.may_double)) and not container.width:
        label = made[0].name
        if twist == "extra":
            label = ("p", "extra") if isinstance(label, tuple) else 77 if isinstance(label, int) else "extra"
        made.insert(draw(st.integers(0, len(made))), replace(made[0], name=label))
    return Case(one, name, tuple(made))


class Arena:
    """A registry, its models in memory, and the process that answers from it."""

    def __init__(self, folder):
        self.registry = rn.Registry(folder, user="ada")
        self.models = {}
        script = (
            "import sys; sys.path.insert(0, sys.argv[1]); from predict_differential import serve; serve(sys.argv[2])"
        )
        root = Path(rn.__file__).parents[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(Path(predict_differential.__file__).parent), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def model(self, one: Subject):
        """Return the model in memory, which is registered when it is first asked for."""
        if one not in self.models:
            known = MODELS[one.model]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = known.fit(one)
                example = predict_differential.shown_table(one, CONTAINERS[one.shown].size or 5, "example")
                self.registry.register(model, one.name, example=example, flavor=known.flavor, provenance=False)
            self.models[one] = model
        return self.models[one]

    def compared(self, cases):
        """Return what each case came to in both places: ``(case, expected, found)``."""
        models = [self.model(case.subject) for case in cases]
        predict_differential.send(self.process.stdin, cases)
        try:
            expected = [self.expected(model, case) for model, case in zip(models, cases, strict=True)]
        finally:  # whatever went wrong here, the next answer is that of the next case
            found = predict_differential.receive(self.process.stdout)
        return list(zip(cases, expected, found, strict=True))

    def expected(self, model, case):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data = predict_differential.meant_table(case)
            except Unfit:
                return ("nothing",)
            return predict_differential.outcome(lambda: MODELS[case.subject.model].ask(model, data))


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """What all examples share."""
    made = Arena(tmp_path_factory.mktemp("differential") / "registry")
    yield made
    with made.process:  # closes the pipes, which ends it
        pass


def verdict(case, expected, found):
    """Return what an example counts as; anything else is the third outcome."""
    if found[0] == "refused" and "\n" not in found[1].strip():
        return "refused: " + reason(found[1])
    alike = found[0] == "answered" == expected[0]
    if alike and predict_differential.same(expected[1], found[1], MODELS[case.subject.model].tolerance):
        return "answered"
    if found[0] == "raised" and expected[:2] == found[:2]:
        return f"the model itself raises {found[1]}"
    raise AssertionError(f"{case}\nin memory: {expected}\npredict:   {found}")


#: Refusals that differ in names and values only are one.
_REASONS = {
    r"exists \d+ times": "a column exists more than once",
    r"is missing": "a column or a value is missing",
    r"exact": "a value is not exact in the type",
    r"out of range|whole number": "a value is out of range or not whole",
    r"shape|dimension|columns, and must have|must be (one column|columns|\d+ columns).*: (row|it) ": "another shape",
    r"ISO 8601|zone|offset": "a text is no time, or another zone",
    r"must be given as|must be one row|as the model was shown": "the container cannot be made",
    r"lacks values|none that are missing": "null and NaN differ",
    r"holds .*(has not seen|in their order)|levels in their order": "a level that the model has not seen",
    r"must be .*, and is|cannot become|some values of the mapping|an array of mixed|a list mixes": "another type",
}


def reason(sentence):
    found = next((told for pattern, told in _REASONS.items() if re.search(pattern, sentence)), None)
    return found or re.sub(r"'[^']*'|\"[^\"]*\"|[\[(].*|-?\d[\w.:+-]*", "…", sentence)[:90]


def straight(case):
    """Tell whether a case is what the model was shown: a refusal of that would be one outcome too many."""
    specs, columns = case.subject.specs, case.columns
    return (
        case.container == case.subject.shown
        and len(columns) == len(specs)
        and all(column.cells and None not in column.cells for column in columns)
        and all(
            (given.type, given.dtype, given.levels) == (spec.type, spec.dtype, spec.levels)
            and spec.name in (given.name, None)
            for spec, given in zip(specs, columns, strict=True)
        )
    )


def told(title, tally):
    """Say how many were refused, and why; ``-rP`` shows it."""
    print(json.dumps({title: dict(tally.most_common())}, indent=1, ensure_ascii=False))
    assert tally["answered"] > sum(tally.values()) / 8, f"{title}: too little is answered: {tally}"


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("model", MODELS)
def test_predict_answers_as_the_model_in_memory_or_refuses_in_a_sentence(arena, model):
    tally = Counter()
    share = 8 if model == "echo" else 1  # it sees most

    @settings(max_examples=share * EXAMPLES // (len(MODELS) + 8 + 1), suppress_health_check=QUIET)
    @given(cases(model).filter(bool))
    def compare(case):
        ((_, expected, found),) = arena.compared([case])
        counted = verdict(case, expected, found)
        assert counted == "answered" or not straight(case) or expected[0] != "answered", f"{case}: {found}"
        tally[counted] += 1

    compare()
    told(model, tally)


def test_predict_answers_in_threads_as_one_after_the_other(arena):
    tally = Counter()
    some = st.sampled_from(list(MODELS)).flatmap(cases).filter(bool)
    versions = st.sampled_from(["version 1", "version 2"]).flatmap(cases).filter(bool)

    @settings(max_examples=EXAMPLES // (len(MODELS) + 9) // CROWD, suppress_health_check=QUIET)
    @given(st.lists(some | versions, min_size=2, max_size=CROWD))
    def compare(crowd):
        for case, expected, found in arena.compared(crowd):
            tally[verdict(case, expected, found)] += 1

    compare()
    told("in threads", tally)
