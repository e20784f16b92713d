"""A password opens the database, and is shown nowhere."""

import os
import re

import pytest

import registry_nb as rn
from registry_nb import session
from registry_nb.errors import Invalid, StorageError
from registry_nb.stores.postgres.address import parsed, without_secrets

SECRET = "tops3cret"


@pytest.mark.parametrize(
    ("uri", "visible"),
    [
        ("postgresql://ada:tops3cret@db/models", "postgresql://ada@db/models"),
        ("postgres://ada:tops3cret@db:5432,db2:5433/models", "postgres://ada@db:5432,db2:5433/models"),
        ("postgresql://:tops3cret@db", "postgresql://@db"),
        ("postgresql://db/models?password=tops3cret&schema=a", "postgresql://db/models?schema=a"),
        ("postgresql://db/models?sslpassword=tops3cret", "postgresql://db/models"),
        ("postgresql://db/models?pass%77ord=tops3cret", "postgresql://db/models"),
        ("postgresql:///models?host=/tmp&artifacts=s3://b/p@q", "postgresql:///models?host=/tmp&artifacts=s3://b/p@q"),
        ("postgresql://[::1]:5432/models?artifacts=s3://b@q", "postgresql://[::1]:5432/models?artifacts=s3://b@q"),
        ("postgresql://ada:tops3cret/x@db/models", "postgresql://…@db/models"),
        ("postgresql://ada:tops3cret?x@db/models", "postgresql://…@db/models"),
        ("postgresql://ada:x@tops3cret@db/models", "postgresql://ada@db/models"),
        ("mysql://ada:tops3cret@db/models", "mysql://ada@db/models"),
        ("/folders/a@b", "/folders/a@b"),
        ("file:///folders/a", "file:///folders/a"),
        ("postgresql://db", "postgresql://db"),
    ],
)
def test_a_uri_is_shown_without_its_password(uri, visible):
    assert without_secrets(uri) == visible


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("postgresql://ada:tops3cret@db/m?schema=A", "cannot be the schema"),
        ("postgresql://ada:tops3cret@db/m?schema=pg_catalog", "cannot be the schema"),
        ("postgresql://ada:tops3cret@db/m?prepare=never", "neither on nor off"),
        ("postgresql://ada@db/m?artifacts=https://ada:tops3cret@files/m", "artifacts= has a password"),
        ("postgresql://ada:tops3cret%zz@db/m", "not a URI that PostgreSQL's library understands"),
        ("postgresql://ada:tops3cret@db/m?no_such_option=1", "not a URI that PostgreSQL's library understands"),
        ("mysql://ada:tops3cret@db/m", "not a registry that this version opens"),
        ("mysql://ada:tops3cret@db/m\0", "not where a registry can live"),
    ],
)
def test_a_wrong_uri_is_refused_without_its_password(uri, part, tmp_path):
    with pytest.raises(Invalid, match=part) as caught:
        rn.Registry(uri).models()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(vars(caught.value))


def test_the_key_is_that_of_the_database_and_not_of_the_user():
    first = parsed("postgresql://ada:x@db/m?artifacts=s3://b&schema=team")
    assert first.key == parsed("postgres://bob@db/m?schema=team&prepare=off").key
    assert first.key != parsed("postgresql://ada@db/m").key
    assert SECRET not in repr(parsed("postgresql://ada:tops3cret@db/m"))


@pytest.fixture
def walled(own, sql, monkeypatch):
    """The server asks this role for its password."""
    role = f"walled_{os.getpid()}"
    rules = own.pgdata / "pg_hba.conf"
    before = rules.read_text()
    sql(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    sql(f"GRANT CREATE ON DATABASE postgres TO {role}")
    rules.write_text(f"local all {role} scram-sha-256\n{before}")
    sql("SELECT pg_reload_conf()")
    # Until the server has read it.
    while not sql(f"SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{{{role}}}'").fetchone()[0]:
        pass
    for name in ("PGPASSWORD", "PGSERVICE", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)
    yield role
    rules.write_text(before)
    sql("SELECT pg_reload_conf()")
    sql(f"DROP OWNED BY {role} CASCADE")
    sql(f"DROP ROLE {role}")


@pytest.fixture
def bare(server):
    """The URI of the database without user and password: user and password go between its halves."""
    return re.sub(r"//[^/@]*@", "//", server.get_uri())


def test_the_password_is_in_nothing_that_a_notebook_keeps(walled, bare, schema, tmp_path, constant):
    uri = bare.replace("//", f"//{walled}:{SECRET}@", 1) + f"&schema={schema}&artifacts={tmp_path / 'bytes'}"
    registry = rn.Registry(uri, user="ada")
    registry.register(constant(1), "Iris")
    assert registry.load("models:/Iris/1").predict([0]) == [1]
    panel = registry.panel()
    seen = [
        repr(registry),
        registry._repr_html_(),
        repr(registry.store),
        repr(vars(registry)),
        registry.uri,
        registry.store.address,
        registry.store.key,
        repr(panel.get_state()),
        repr(panel._repr_mimebundle_()),
        repr(registry.history()),
        repr(registry.check()),
        *(event.json.decode() for event in registry.history()),
    ]
    import threading

    seen += [thread.name for thread in threading.enumerate()]
    panel.close()
    assert [text for text in seen if SECRET in text] == []
    assert f"//{walled}@" in registry.uri
    registry.store.close()


def test_a_wrong_password_is_told_and_not_shown_and_the_right_one_is_another_object(walled, bare, schema, tmp_path):
    tail = f"&schema={schema}&artifacts={tmp_path / 'bytes'}"
    wrong = bare.replace("//", f"//{walled}:{SECRET}no@", 1) + tail
    with pytest.raises(StorageError, match="password authentication failed") as caught:
        session.registry_at(wrong).models()
    assert SECRET not in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    right = session.registry_at(wrong.replace(f"{SECRET}no", SECRET))
    assert list(right.models()) == []
    right.store.close()


@pytest.mark.parametrize("way", ["PGPASSWORD", "service", "REGISTRY_NB_URI"])
def test_the_password_may_come_from_the_environment(way, walled, bare, schema, tmp_path, monkeypatch):
    uri = bare.replace("//", f"//{walled}@", 1) + f"&schema={schema}&artifacts={tmp_path / 'bytes'}"
    if way == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", SECRET)
    elif way == "service":
        services = tmp_path / "services"
        services.write_text(f"[team]\nuser={walled}\npassword={SECRET}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(services))
        uri = f"{bare}&service=team&schema={schema}&artifacts={tmp_path / 'bytes'}"
    else:
        monkeypatch.setenv("REGISTRY_NB_URI", uri.replace(walled, f"{walled}:{SECRET}", 1))
        uri = None
    registry = rn.Registry(uri)
    registry.create_model("Iris")
    assert [model.name for model in registry.models()] == ["Iris"]
    assert SECRET not in repr(registry) + registry.uri
    registry.store.close()


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (lambda uri: uri.replace("/postgres?", "/no_such_database?"), 'database "no_such_database" does not exist'),
        (lambda uri: "postgresql://ada:tops3cret@127.0.0.1:1/models", "cannot be reached"),
        (lambda uri: uri.replace("//postgres:@", "//nobody_here:tops3cret@"), 'role "nobody_here" does not exist'),
    ],
)
def test_a_server_that_cannot_be_used_is_named_without_the_password(wrong, part, server, tmp_path):
    with pytest.raises(StorageError, match=part) as caught:
        rn.Registry(
            wrong(server.get_uri()) + f"{'?' if '?' not in wrong(server.get_uri()) else '&'}artifacts=/x"
        ).models()
    assert SECRET not in str(caught.value)
    assert "nothing was changed" in str(caught.value)
