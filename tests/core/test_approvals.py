"""Four eyes without a server: requests, answers, and what they are worth."""

from dataclasses import replace

import pytest

import registry_nb as rn
from registry_nb.errors import ApprovalDoesNotCount, PolicyFailed
from registry_nb.operations.approvals import approvers, open_requests
from registry_nb.rules import approved_by


@pytest.fixture
def people(iris):
    """The registry as Grace and as Barbara see it; ada registered all versions."""
    return [rn.Registry(iris.uri, user=name) for name in ("Grace", "Barbara")]


def waiting(registry, **more):
    return [(one.version, one.stage, one.by, one.because, one.approved) for one in registry.inbox(**more)]


def test_a_request_waits_in_the_inbox_until_the_version_is_there(iris, people):
    made = iris.request("Iris", 3, because="better")
    assert (made.name, made.version, made.stage, made.by, made.approved) == ("Iris", 3, "Production", "ada", ())
    people[0].approve("Iris", 3, because="looks right")
    assert waiting(people[1]) == [(3, "Production", "ada", "better", ("Grace",))]
    assert waiting(people[1], name="Iris") == waiting(people[1])
    iris.promote("Iris", 3)
    assert iris.inbox() == []
    assert [event.action for event in iris.history("Iris")][-4:] == ["requested", "approved", "archived", "promoted"]
    assert iris.check().ok


def test_the_oldest_request_comes_first_also_of_several_models(iris, constant):
    iris.register(constant(1), "Anemone")
    iris.request("Iris", 3, "staging")
    iris.request("Anemone", 1)
    iris.request("Iris", 1)
    assert [(one.name, one.version, one.stage) for one in iris.inbox()] == [
        ("Iris", 3, "Staging"),
        ("Anemone", 1, "Production"),
        ("Iris", 1, "Production"),
    ]
    with pytest.raises(rn.NotFound):
        iris.inbox("Irs")


def test_a_no_closes_the_request_and_takes_ones_own_yes_back(iris, people):
    grace, barbara = people
    iris.request("Iris", 3)
    grace.approve("Iris", 3)
    barbara.approve("Iris", 3)
    grace.reject("Iris", 3, because="too slow")
    assert iris.inbox() == []
    assert approvers(iris.store, iris.version("Iris", 3), rn.Stage.PRODUCTION) == ("Barbara",)
    iris.request("Iris", 3, because="faster now")
    assert waiting(iris) == [(3, "Production", "ada", "faster now", ("Barbara",))]


def test_approvals_open_the_gate_one_for_each_person_and_the_authors_own_does_not_count(iris, people, refused):
    iris.policy("Iris", require=[approved_by(2, not_author=True)])
    grace, barbara = people
    with pytest.warns(ApprovalDoesNotCount, match="'ada' registered version 3 of 'Iris'.* asks for somebody else"):
        iris.approve("Iris", 3)
    grace.approve("Iris", 3)
    grace.approve("Iris", 3)
    with refused(iris, PolicyFailed, "approved by 'ada' (registered it, does not count), 'Grace'"):
        iris.promote("Iris", 3)
    barbara.approve("Iris", 3)
    assert iris.promote("Iris", 3).stage == "Production"


def test_the_list_of_requests_says_which_approvals_do_not_count(iris, people):
    iris.policy("Iris", require=[approved_by(1, not_author=True)])
    iris.request("Iris", 3)
    with pytest.warns(ApprovalDoesNotCount):
        iris.approve("Iris", 3)
    people[0].approve("Iris", 3)
    (one,) = people[1].inbox()
    assert (one.approved, one.uncounted) == (("ada", "Grace"), ("ada",))
    assert "ada (does not count), Grace" in str(people[1].inbox())
    assert "uncounted=('ada',)" in repr(one)
    iris.policy("Iris", require=[approved_by(1)])
    (one,) = people[1].inbox()
    assert (one.approved, one.uncounted) == (("ada", "Grace"), ())


def test_where_the_rule_does_not_say_so_the_authors_own_counts(iris):
    iris.policy("Iris", require=[approved_by(1)])
    iris.approve("Iris", 3)
    assert iris.promote("Iris", 3).stage == "Production"


def test_an_approval_is_for_one_stage_and_one_version(iris, people):
    iris.policy("Iris", require=[approved_by(1)])
    people[0].approve("Iris", 3, "Staging")
    people[0].approve("Iris", 1)
    assert not iris.evaluate("Iris", 3).ok
    assert iris.evaluate("Iris", 1).ok


def test_an_approval_is_for_what_the_version_was(iris, people):
    iris.policy("Iris", require=[approved_by(1)])
    iris.request("Iris", 3)
    people[0].approve("Iris", 3)
    assert iris.evaluate("Iris", 3).ok
    record = iris.version("Iris", 3)
    other = replace(record, files=iris.version("Iris", 2).files)
    assert approvers(iris.store, record, rn.Stage.PRODUCTION) == ("Grace",)
    assert approvers(iris.store, other, rn.Stage.PRODUCTION) == ()
    db = rn.Registry(iris.uri).store.db  # whoever changes the record behind the registry's back
    db.table("versions:Iris").update({"files": other.to_dict()["files"]}, doc_ids=[3])
    assert not rn.Registry(iris.uri).evaluate("Iris", 3).ok
    assert rn.Registry(iris.uri).inbox() == []


def test_a_copy_has_to_be_approved_itself(iris, people):
    people[0].approve("Iris", 3)
    copied = iris.copy("models:/Iris/3", "Iris")
    assert approvers(iris.store, copied, rn.Stage.PRODUCTION) == ()


def test_a_deleted_version_waits_for_nobody(iris):
    iris.request("Iris", 3)
    iris.delete("Iris", version=3)
    assert iris.inbox() == []


@pytest.mark.parametrize("verb", ["request", "approve", "reject"])
@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (("Irs", 3), rn.NotFound, "no registered model 'Irs'"),
        (("Iris", 9), rn.NotFound, "has no version 9"),
        (("Iris", 3, "Archived"), rn.Invalid, "only for Staging and Production, not for Archived"),
        (("Iris", 3, "Producton"), rn.Invalid, "Producton"),
        (("Iris", 2), rn.Invalid, "is in Production already"),
        (("Iris", "@nobody"), rn.NotFound, "nobody"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(iris, refused, verb, arguments, kind, told):
    with refused(iris, kind, told):
        getattr(iris, verb)(*arguments)


def test_hostile_names_are_only_names(iris):
    hostile = rn.Registry(iris.uri, user="<b>Grace</b>\u202e")
    hostile.approve("Iris", 3, because="<script>")
    assert approvers(iris.store, iris.version("Iris", 3), rn.Stage.PRODUCTION) == (hostile.user,)


@pytest.mark.parametrize("typed", ["B\u00f3b", "Bo\u0301b", " Bo\u0301b "])
def test_one_person_is_one_name_however_it_is_typed(iris, typed):
    iris.policy("Iris", require=[approved_by(2)])
    rn.Registry(iris.uri, user="B\u00f3b").approve("Iris", 3)
    rn.Registry(iris.uri, user=typed).approve("Iris", 3)
    assert not iris.evaluate("Iris", 3).ok


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_nobody_is_no_user(iris, blank):
    with pytest.raises(rn.Invalid, match="not blank"):
        rn.Registry(iris.uri, user=blank)


def test_a_rejection_needs_a_request_or_an_approval_of_ones_own(iris):
    grace = rn.Registry(iris.uri, user="grace")
    grace.approve("Iris", 3)
    before = iris.history()
    with pytest.raises(rn.Refused, match=r"nobody asked for version 3 of 'Iris' to go to Production.*inbox\(\)"):
        iris.reject("Iris", 3)  # it would take back nothing: the approval is another's
    assert iris.history() == before
    grace.reject("Iris", 3)
    with pytest.raises(rn.Refused):
        grace.reject("Iris", 3)
    iris.request("Iris", 3)
    with pytest.raises(rn.Refused, match="Staging"):
        grace.reject("Iris", 3, to="Staging")
    grace.reject("Iris", 3)
    assert list(iris.inbox()) == []


class Counted(dict):
    """Documents that count how often one of them is looked at."""

    looks = 0

    def get(self, number, default=None):
        self.looks += 1
        return super().get(number, default)

    def __iter__(self):
        self.looks += len(self)
        return super().__iter__()


def test_what_waits_for_a_version_is_found_without_a_look_at_what_happened_to_the_others(iris):
    iris.request("Iris", 3, because="better")
    table, looks = iris.store._journal._contents.tables["events:Iris"], []
    for _ in range(2):
        for n in range(50):
            iris.tag("Iris", {"n": str(n)}, version=2)
        (one,) = open_requests(iris.store, iris.version("Iris", 3))
        assert one.because == "better"
        whole, table.docs = table.docs, Counted(table.docs)
        open_requests(iris.store, iris.version("Iris", 3))
        looks.append(table.docs.looks)
        table.docs = whole
    assert looks[0] == looks[1] <= 4
