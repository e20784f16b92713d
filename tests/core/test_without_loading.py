"""A registry for a server: it shows and moves versions, and loads no model."""

import pytest

from registry_nb.errors import PolicyFailed, Refused
from registry_nb.rules import has_description, probe_passes

SAID = "this server loads no model"


@pytest.fixture
def there(registry, constant):
    for number in (1, 2):
        registry.register(constant(number), "Iris", example=[0])
    return registry.without_loading()


@pytest.mark.parametrize(
    "call",
    [
        lambda registry: registry.load("models:/Iris/1"),
        lambda registry: registry.follow("models:/Iris/1"),
        lambda registry: registry.check(deep=True),
        lambda registry: registry.shadow("Iris", 1, 2, [0]),
    ],
)
def test_what_would_load_a_model_is_refused(there, call):
    with pytest.raises(Refused, match=SAID):
        call(there)


def test_a_rule_that_loads_the_model_is_not_judged_and_not_met(registry, there):
    registry.policy("Iris", require=[probe_passes()])
    (verdict,) = there.evaluate("Iris", 1).rows
    assert (verdict.verdict, there.evaluate("Iris", 1).ok) == ("unknown", False)
    assert "this server loads none" in verdict.found
    with pytest.raises(PolicyFailed):
        there.promote("Iris", 1)
    assert registry.evaluate("Iris", 1).ok


def test_everything_else_is_as_in_a_notebook(registry, there):
    registry.policy("Iris", require=[has_description()])
    there.describe("Iris", "fine", version=1)
    assert there.promote("Iris", 1).stage == "Production"
    assert there.check().ok
    assert (there.may_load, registry.may_load) == (False, True)
    assert registry.load("models:/Iris/Production").predict([0]) == [1]
