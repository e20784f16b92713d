"""Small journals of every kind of table, and all that can be asked of one."""

import random

from registry_nb.stores.journal import Journal

FIELDS = {"models": "name", "versions:A": "stage", "events:A": "version", "runs": "run_id", "t": "f"}
VALUES = ("a", "b", "c", None, 1, 2, True, 1.0, 2.5, "absent", "\ud800", 1 << 70)


def document(name, chance):
    if name == "events:A":
        version = chance.choice([None, 1, 2, 3])
        return {"action": chance.choice("abc"), "at": "x" * chance.randrange(30), "version": version}
    return {FIELDS[name]: chance.choice("abc"), "x": "é" * chance.randrange(30)}


def fill(journal, seed=1, transactions=12):
    """Write at random, and return the documents."""
    chance, model = random.Random(seed), {name: {} for name in FIELDS}
    for _ in range(transactions):
        with journal.transaction():
            for _ in range(3):
                name = chance.choice(list(FIELDS))
                number = chance.randrange(1, 9)
                journal.overlay(name)[number] = model[name][number] = document(name, chance)
    return model


def answers(journal):
    """Everything that can be asked of a journal."""
    return [
        journal.tables(),
        {name: dict(journal.docs(name)) for name in FIELDS},
        {name: list(journal.scan(name)) for name in FIELDS},
        {name: (sorted(journal.docs(name)), len(journal.docs(name)), journal.next_id(name)) for name in FIELDS},
        [[journal.doc(name, number) for number in range(-1, 12)] for name in FIELDS],
        [[journal.index(name, field, value) for value in VALUES] for name, field in FIELDS.items()],
        [[journal.last(name, field, value) for value in VALUES] for name, field in FIELDS.items()],
        [sorted(journal.indexed(name, field, "a")) for name, field in FIELDS.items()],
        [journal.index("events:A", "action", value) for value in VALUES],
        [
            journal.last(name, field, value, below)
            for name, field in [*FIELDS.items(), ("events:A", "action")]
            for value in VALUES
            for below in (-1, 0, 1, 2, 5, 9, 1 << 32)
        ],
    ]


def truth(path):
    """Return the answers without an index."""
    return answers(Journal(path, indexed=False))


def used(journal):
    journal.refresh()
    return journal._contents.base is not None
