"""The tables, as numbered steps, and what each of three roles may do with them.

Records are ``text``, not ``jsonb``: that gives some floats back as other numbers, refuses U+0000, and sorts keys, so
that hashes would break. ``facts`` is derived from them for filters, and never read back.

A version is two rows: the record lies in ``records``, since a filter reads all rows of ``versions``, and those with
records are six times as many pages. An index that covers ``facts`` was the alternative: it refuses long ones.
"""

from __future__ import annotations

from registry_nb.stores.postgres.address import SCHEMA

_FIRST = """
CREATE SCHEMA IF NOT EXISTS {s};
CREATE TABLE {s}.registry (                       -- one row
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    format     integer NOT NULL,
    artifacts  text    NOT NULL,                  -- where the bytes are
    revision   bigint  NOT NULL                   -- of changes to models: no gaps, in the order in which they are seen
) WITH (fillfactor = 10);
CREATE TABLE {s}.histories (                      -- outlives its model
    id         uuid PRIMARY KEY,                  -- made by the client: no round trip
    model      text,                              -- the model's own record; NULL once it is deleted
    aliases    text,                              -- of that record, for every version that is read
    seq        bigint NOT NULL,
    last_id    text NOT NULL,
    last_hash  text NOT NULL,
    last_at    text NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE {s}.names (
    name         text COLLATE "C" PRIMARY KEY,
    next_version bigint NOT NULL,                 -- stays when a rename takes the history away
    history      uuid UNIQUE REFERENCES {s}.histories
);
CREATE TABLE {s}.versions (
    history    uuid NOT NULL REFERENCES {s}.histories,
    version    bigint NOT NULL,
    stage      text COLLATE "C" NOT NULL DEFAULT 'None',
    doc        text NOT NULL,                     -- the record, exactly
    facts      jsonb NOT NULL,                    -- what filters ask
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (history, version)
) WITH (fillfactor = 90);
CREATE INDEX versions_by_stage ON {s}.versions (history, stage, version);
CREATE TABLE {s}.events (
    history    uuid NOT NULL REFERENCES {s}.histories,
    seq        bigint NOT NULL,
    revision   bigint NOT NULL,
    version    bigint,
    action     text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    doc        text NOT NULL,                     -- the canonical JSON that is hashed
    by_role    text NOT NULL DEFAULT session_user, -- whom the database knows; outside of the hash
    PRIMARY KEY (history, seq)
);
CREATE INDEX events_by_id ON {s}.events (id);
CREATE INDEX events_by_revision ON {s}.events (revision);
CREATE INDEX events_by_version ON {s}.events (history, version, seq);
CREATE TABLE {s}.runs (
    place      bigint GENERATED ALWAYS AS IDENTITY,
    run_id     text COLLATE "C" PRIMARY KEY,
    doc        text NOT NULL
);
"""

#: The records of versions move to a table of their own.
_SECOND = """
CREATE TABLE {s}.records (
    history    uuid NOT NULL,
    version    bigint NOT NULL,
    doc        text NOT NULL,                     -- the record, exactly
    PRIMARY KEY (history, version)
) WITH (fillfactor = 90);
INSERT INTO {s}.records SELECT history, version, doc FROM {s}.versions;
ALTER TABLE {s}.versions DROP COLUMN doc;
"""

#: Step N makes format N of format N - 1. A release knows all formats up to its own, and refuses a higher one.
STEPS = (_FIRST, _SECOND)
FORMAT = len(STEPS)

_ROLES = """
CREATE ROLE {s}_reader;
CREATE ROLE {s}_contributor IN ROLE {s}_reader;
CREATE ROLE {s}_approver IN ROLE {s}_contributor;

-- A reader looks and loads.
GRANT USAGE ON SCHEMA {s} TO {s}_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {s}_reader;

-- A contributor registers, edits and deletes; the history can be added to, and nothing else, by nobody.
GRANT INSERT ON {s}.names, {s}.histories, {s}.events, {s}.runs TO {s}_contributor;
GRANT INSERT (history, version, facts, created_at, updated_at) ON {s}.versions TO {s}_contributor;
GRANT INSERT, DELETE, UPDATE (doc) ON {s}.records TO {s}_contributor;
GRANT UPDATE ON {s}.names, {s}.histories, {s}.runs TO {s}_contributor;
GRANT UPDATE (revision) ON {s}.registry TO {s}_contributor;
GRANT UPDATE (facts, updated_at) ON {s}.versions TO {s}_contributor;
GRANT DELETE ON {s}.versions TO {s}_contributor;

-- An approver moves versions between stages.
GRANT INSERT (stage), UPDATE (stage) ON {s}.versions TO {s}_approver;

-- Then give people one of the three: GRANT {s}_contributor TO ada;
"""


def script(schema: str = SCHEMA, artifacts: str = "s3://bucket/prefix") -> str:
    """Return SQL that makes the tables and three roles, for an administrator whose users may not create them."""
    first = f"INSERT INTO {schema}.registry (format, artifacts, revision) VALUES ({FORMAT}, '{artifacts}', 0);\n"
    return f"BEGIN;{''.join(STEPS)}{first}{_ROLES}COMMIT;\n".replace("{s}", schema)
