"""Any sequence of transactions, aborted ones among them, compactions and reopenings, against a plain dict."""

import copy
import tempfile

from amounts import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from registry_nb.stores import format
from registry_nb.stores.journal import Journal

tables = st.sampled_from(["t", "versions:é"])
stages = st.sampled_from(["None", "Staging", "Production"])
step = st.one_of(
    st.tuples(st.just("put"), tables, st.integers(1, 5), stages),
    st.tuples(st.just("new"), tables, st.none(), stages),
    st.tuples(st.just("edit"), tables, st.integers(1, 5), stages),
    st.tuples(st.just("del"), tables, st.integers(1, 5), st.none()),
    st.tuples(st.just("clear"), tables, st.none(), st.none()),
    st.tuples(st.just("reserve"), tables, st.integers(1, 3), st.none()),
    st.tuples(st.just("ask"), tables, st.none(), stages),
)


class AbortError(Exception):
    pass


class JournalModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/registry.jsonl"
        self.journal = Journal(self.path, durable=False)
        self.reader = Journal(self.path)
        self.docs = {}
        self.ids = {}

    def teardown(self):
        self.journal.close()
        self.folder.cleanup()

    def do(self, what, table, number, stage):
        overlay = self.journal.overlay(table)
        docs = self.docs.setdefault(table, {})
        if what == "new":
            number = overlay.next_id
            assert number == self.ids.get(table, 1)
        if what in {"put", "new"}:
            overlay[number] = {"stage": stage, "more": [1]}
            docs[number] = {"stage": stage, "more": [1]}
            self.ids[table] = max(self.ids.get(table, 1), number + 1)
        elif what == "edit" and number in docs:
            overlay[number]["stage"] = docs[number]["stage"] = stage
            overlay[number]["more"].append(2)
            docs[number]["more"].append(2)
        elif what == "del" and number in docs:
            del overlay[number], docs[number]
        elif what == "clear":
            overlay.clear()
            docs.clear()
            self.ids[table] = 1
        elif what == "reserve":
            self.ids[table] = overlay.next_id = max(overlay.next_id, number)
        assert dict(overlay.items()) == docs
        assert len(overlay) == len(docs)

    @rule(steps=st.lists(step, max_size=6))
    def commit(self, steps):
        with self.journal.transaction():
            for each in steps:
                self.do(*each)

    @rule(steps=st.lists(step, max_size=4), inner=st.lists(step, max_size=4))
    def commit_without_a_part_that_failed(self, steps, inner):
        with self.journal.transaction():
            for each in steps:
                self.do(*each)
            before = copy.deepcopy((self.docs, self.ids))
            try:
                with self.journal.transaction():
                    for each in inner:
                        self.do(*each)
                    raise AbortError
            except AbortError:
                self.docs, self.ids = before

    @rule(steps=st.lists(step, max_size=6))
    def abort(self, steps):
        before = copy.deepcopy((self.docs, self.ids))
        try:
            with self.journal.transaction():
                for each in steps:
                    self.do(*each)
                raise AbortError
        except AbortError:
            self.docs, self.ids = before

    @rule()
    def compact(self):
        self.journal.compact()

    @rule()
    def reopen(self):
        self.journal.close()
        self.journal = Journal(self.path, durable=False)

    @rule()
    def let_the_other_write(self):
        self.journal, self.reader = self.reader, self.journal

    @rule(garbage=st.sampled_from([b"\0" * 100, b'{"t":"t","id":7,"n":0,"doc":{']))
    def tear_the_end(self, garbage):
        if self.journal.refresh() or self.journal.revision > 1:
            with open(self.path, "ab") as file:
                file.write(garbage)

    @invariant()
    def everybody_reads_the_same(self):
        wanted = {table: docs for table, docs in self.docs.items() if docs}
        for journal in (self.journal, self.reader, Journal(self.path)):
            assert journal.tables() == sorted(wanted)
            for table in ("t", "versions:é"):
                docs = wanted.get(table, {})
                assert {n: format.decode(raw) for n, raw in journal.docs(table).items()} == docs
                assert journal.next_id(table) == self.ids.get(table, 1)
                for stage in ("None", "Staging", "Production"):
                    held = tuple(sorted(number for number, doc in docs.items() if doc["stage"] == stage))
                    assert journal.index(table, "stage", stage) == held
                    assert journal.last(table, "stage", stage) == (held[-1] if held else None)


TestJournalModel = JournalModel.TestCase
TestJournalModel.settings = settings(max_examples=examples(500), stateful_step_count=8, deadline=None)
