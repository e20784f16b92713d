"""The language of policies: written as Python, kept as text, read back as it was written, and never run."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import registry_nb as rn
from registry_nb import rules
from registry_nb.rules import (
    approved_by,
    check,
    from_stage,
    has_description,
    incumbent,
    metric,
    parsed,
    probe_passes,
    requirements_satisfied,
    shadowed,
    signature_compatible,
    tag,
)


def no_smaller_than_a_byte(version, registry):
    return version.size >= 1


WRITTEN = {
    'metric("accuracy") >= 0.9': metric("accuracy") >= 0.9,
    'metric("loss") < 1': metric("loss") < 1,
    'metric("accuracy") >= incumbent': metric("accuracy") >= incumbent,
    'metric("accuracy") >= incumbent - 0.005': metric("accuracy") >= incumbent - 0.005,
    'metric("loss") <= incumbent + 0.5': metric("loss") <= incumbent + 1 - 0.5,
    'metric("n") != 3': metric("n") != 3,
    'metric("n") > -3': metric("n") > -3,
    'tag("tested") == "true"': tag("tested") == "true",
    'tag("a \\"b\\"") != "ü\\n"': tag('a "b"') != "ü\n",
    "has_description()": has_description(),
    "signature_compatible()": signature_compatible(),
    "requirements_satisfied()": requirements_satisfied(),
    "probe_passes()": probe_passes(),
    "approved_by(2, not_author=True)": approved_by(2, not_author=True),
    "approved_by(1, not_author=False)": approved_by(),
    'from_stage("Staging")': from_stage("staging"),
    "shadowed(min_agreement=0.95)": shadowed(min_agreement=0.95),
    'check("fair", digest="sha256:ab")': check("fair", digest="sha256:ab"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_rule_reads_as_it_was_written_and_back(text):
    assert str(WRITTEN[text]) == text
    assert parsed(text) == WRITTEN[text]
    assert parsed(WRITTEN[text]) == WRITTEN[text]


@given(
    st.text(min_size=1),
    st.sampled_from(sorted(rules.OPERATORS)),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9),
)
def test_any_metric_any_number_and_any_offset_come_back(name, sign, value):
    for right in (value, incumbent + value):
        rule = metric(name)._rule(sign, right)
        assert parsed(str(rule)) == rule


@given(st.text(min_size=1), st.text())
def test_any_tag_comes_back(name, value):
    assert parsed(str(tag(name) == value)) == (tag(name) == value)


@given(st.text(max_size=60))
def test_no_text_does_anything_but_to_be_read_or_refused(text):
    try:
        rule = parsed(text)
    except rn.Invalid:
        return
    assert parsed(str(rule)) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "metric('accuracy')",
        "metric('accuracy') >= 0.9 and True",
        "0.8 <= metric('accuracy') <= 0.9",
        "metric('accuracy') >= float('nan')",
        "metric('accuracy') >= '0.9'",
        "metric('accuracy') >= 1e999",
        "metric('accuracy') >= True",
        "metric('accuracy') >= 0.5 + incumbent",
        "metric('accuracy') >= incumbent * 2",
        "metric('accuracy') in (1, 2)",
        "metric(5) > 1",
        "metric('') > 1",
        "tag('a') > 'b'",
        "tag('a') == 1",
        "approved_by(0)",
        "approved_by(True)",
        "approved_by(1, not_author='yes')",
        "approved_by(1, 2, 3)",
        "from_stage('Producton')",
        "shadowed(min_agreement=2)",
        "check()",
        "check('nobody knows it')",
        "__import__('os').system('echo')",
        "has_description().__class__",
        "has_description(*[])  # x\nimport os",
        "open('/etc/passwd')",
        "(" * 500,
        "has_description()" + " " * 1000,
        "has_description(**{'a': 1})",
        "metric('accuracy') >= incumbent + 1e308 + 1e308",
        pytest.param("metric('accuracy') >= " + "9" * 400, id="a number that no float holds"),
        "tag('\ud800') == 'a'",
        rules.Rule("nonsense"),
        rules.Rule("metric", ("accuracy",)),
        rules.Rule("metric", ("accuracy", ">=", "high")),
        rules.Rule("metric", ("accuracy", ">=", rules.Incumbent(math.nan))),
        None,
        5,
        b"has_description()",
    ],
)
def test_what_is_not_a_rule_is_refused_in_a_sentence(text):
    with pytest.raises(rn.Invalid) as caught:
        parsed(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "0.9", None, True, metric("a")])
def test_a_metric_is_compared_with_a_finite_number(wrong):
    with pytest.raises(rn.Invalid, match="a rule can only compare with a finite number"):
        metric("accuracy") >= wrong  # noqa: B015
    with pytest.raises(rn.Invalid):
        incumbent - wrong


def test_a_check_is_its_name_and_its_source():
    rule = check(no_smaller_than_a_byte)
    assert rule.args == ("no_smaller_than_a_byte", rules.source_digest(no_smaller_than_a_byte))
    assert check("no_smaller_than_a_byte") == rule
    with pytest.raises(rn.Invalid, match=r"no check 'no_smaler.*did you mean 'no_smaller_than_a_byte'"):
        check("no_smaler_than_a_byte")


def test_a_function_without_source_is_known_by_what_it_does():
    names = {}
    exec("def one(version, registry): return True\ndef two(version, registry): return False", names)
    assert rules.source_digest(names["one"]) != rules.source_digest(names["two"])
    assert rules.source_digest(len) == rules.source_digest(max)


def test_bytecode_is_the_same_in_every_process(python):
    script = """
        from registry_nb import rules
        def one(version, registry):
            return version.flavor in {"sklearn", "xgboost", "keras"} and (lambda: registry)()
        print(rules.source_digest(one))
        """
    assert python(script, PYTHONHASHSEED="1") == python(script, PYTHONHASHSEED="2")


@pytest.mark.parametrize("nameless", [lambda version, registry: True, functools.partial(no_smaller_than_a_byte)])
def test_a_function_without_a_name_is_refused_as_two_of_them_would_be_one_rule(nameless):
    known = dict(rules.KNOWN)
    with pytest.raises(rn.Invalid, match="a check has the name of its function"):
        check(nameless)
    assert known == rules.KNOWN


@pytest.mark.parametrize(
    ("number", "written"), [(np.float64(0.9), "0.9"), (np.float32(0.5), "0.5"), (np.int64(2), "2")]
)
def test_numbers_of_numpy_are_written_as_any_other(number, written):
    assert str(metric("accuracy") >= number) == f'metric("accuracy") >= {written}'
    rule = metric("accuracy") >= incumbent - number
    assert str(rule) == f'metric("accuracy") >= incumbent - {float(written)}'
    assert parsed(str(rule)) == rule


def test_a_comparison_is_no_value():
    with pytest.raises(TypeError, match="unhashable"):
        hash(metric("accuracy"))
