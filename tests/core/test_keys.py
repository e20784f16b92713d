"""The keys of a user: made once, read by nobody else, and never in the way of work."""

import os
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import registry_nb as rn
from registry_nb.trust import keys

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without keys, as a process sees it that has just begun."""
    monkeypatch.setenv("REGISTRY_NB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(keys, "_secrets", {})
    return tmp_path / "home"


def anew(monkeypatch):
    monkeypatch.setattr(keys, "_secrets", {})


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@posix
def test_the_key_is_made_on_first_use_for_its_owner_alone(home, monkeypatch):
    assert keys.secret(create=False) is None
    assert not home.exists()
    made = keys.secret(create=True)
    assert len(made) == 32
    assert (mode(home), mode(home / "key")) == (0o700, 0o600)
    assert os.listdir(home) == ["key"]
    anew(monkeypatch)
    assert keys.secret(create=False) == made
    assert made.hex() not in keys.secret_name(made)


def test_the_home_is_the_users_configuration_unless_it_is_said(home, monkeypatch):
    monkeypatch.delenv("REGISTRY_NB_HOME")
    assert os.path.basename(keys.home()) == "registry_nb"
    monkeypatch.setenv("REGISTRY_NB_HOME", os.path.join("~", "keys"))
    assert keys.home() == os.path.join(os.path.expanduser("~"), "keys")


@posix
def test_a_key_that_others_could_read_is_closed_and_told(home, monkeypatch):
    made = keys.secret(create=True)
    os.chmod(home / "key", 0o644)
    anew(monkeypatch)
    with pytest.warns(rn.KeyProblem, match="others could read"):
        assert keys.secret(create=False) == made
    assert mode(home / "key") == 0o600
    anew(monkeypatch)
    assert keys.secret(create=False) == made  # and once it is closed, nothing more is said


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"zz" * 32, b"ab" * 33])
def test_a_damaged_key_is_neither_used_nor_replaced(home, monkeypatch, registry, constant, content):
    home.mkdir()
    (home / "key").write_bytes(content)
    os.chmod(home / "key", 0o600)
    assert keys.secret(create=False) is None
    with pytest.warns(rn.KeyProblem, match="damaged; remove key"):
        registry.register(constant(1), "Iris")
    assert (home / "key").read_bytes() == content
    assert registry.load("models:/Iris/1").origin == "local"  # by the key of this process
    anew(monkeypatch)
    assert registry.inspect("models:/Iris/1").origin == "foreign"


def unusable(home, kind):
    home.mkdir()
    if kind == "folder":
        (home / "key").mkdir()
    elif kind == "pipe":
        os.mkfifo(home / "key")
    elif kind == "link":
        (home / "elsewhere").write_text("ab" * 32)
        (home / "key").symlink_to(home / "elsewhere")
    elif kind == "another user's":
        (home / "key").write_text("ab" * 32)


@posix
@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "another user's"])
def test_what_is_no_file_of_ones_own_is_no_key(home, monkeypatch, kind):
    unusable(home, kind)
    if kind == "another user's":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(rn.KeyProblem, match="cannot be used"):
        assert len(keys.secret(create=True)) == 32


def test_a_home_that_cannot_be_written_costs_a_warning_and_no_work(home, registry, constant, python):
    home.write_text("a file where the folder should be")
    with pytest.warns(rn.KeyProblem, match="set REGISTRY_NB_HOME to a folder of your own"):
        registry.register(constant(1), "Iris")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.register(constant(2), "Iris")  # said once
        assert registry.load("models:/Iris/1").predict([0]) == [1]
    script = 'import sys, registry_nb as rn; print(rn.Registry(sys.argv[1]).inspect("models:/Iris/1").origin)'
    assert python(script, registry.uri) == "foreign\n"


def test_of_many_who_make_the_first_key_at_once_all_have_the_same(home, monkeypatch):
    path = str(home / "key")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda number: keys._keep(path, b"%064x" % number), range(32)))
    assert len(made) == 1
    assert os.listdir(home) == ["key"]


def test_a_file_system_without_links_keeps_a_key_too(home, monkeypatch):
    def no_links(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    made = keys.secret(create=True)
    assert os.listdir(home) == ["key"]
    anew(monkeypatch)
    assert keys.secret(create=False) == made


def test_a_disk_that_is_full_leaves_no_half_of_a_key(home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys.disk, "write_all", full)
    with pytest.warns(rn.KeyProblem, match="No space left"):
        keys.secret(create=True)
    assert os.listdir(home) == []


def test_where_there_are_no_owners_the_key_is_read_all_the_same(home, monkeypatch):
    made = keys.secret(create=True)
    monkeypatch.delattr(os, "geteuid")
    anew(monkeypatch)
    assert keys.secret(create=False) == made


def test_a_signing_key_is_made_once_and_kept_for_its_owner(home):
    pytest.importorskip("cryptography")
    name = rn.signing_key()
    assert name.startswith("ed25519:")
    assert len(name) == len("ed25519:") + 64
    assert rn.signing_key() == name
    assert os.listdir(home) == ["signing_key.pem"]
    assert os.name == "nt" or mode(home / "signing_key.pem") == 0o600


@pytest.mark.parametrize("content", ["", "no key", "another kind"])
def test_a_damaged_signing_key_is_told_and_nothing_is_registered_unsigned(home, registry, refused, constant, content):
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    if content == "another kind":
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        content = X25519PrivateKey.generate().private_bytes(pem, form, serialization.NoEncryption()).decode()
    home.mkdir()
    (home / "signing_key.pem").write_text(content)
    os.chmod(home / "signing_key.pem", 0o600)
    with refused(registry, rn.StorageError, "holds no Ed25519 key", "signing_key()"):
        registry.register(constant(1), "Iris")


def test_a_signing_key_that_cannot_be_kept_is_an_error(home):
    pytest.importorskip("cryptography")
    home.write_text("a file where the folder should be")
    with pytest.raises(rn.StorageError, match="signing_key"):
        rn.signing_key()


def test_the_list_of_known_signers_may_hold_words_and_nonsense(home):
    assert keys.known_signers() == frozenset()
    name = "ed25519:" + "ab" * 32
    keys.know(name)
    with open(home / "known_signers", "ab") as file:
        file.write(b"# colleagues\n\xff\xfe nonsense\nxed25519:" + b"cd" * 32 + b"\ned25519:" + b"ef" * 32 + b" Bob\n")
    assert keys.known_signers() == {name, "ed25519:" + "ef" * 32}


def test_a_list_of_known_signers_that_cannot_be_read_or_written_is_an_error(home):
    (home / "known_signers").mkdir(parents=True)
    for act in (keys.known_signers, lambda: keys.know("ed25519:" + "ab" * 32)):
        with pytest.raises(rn.StorageError, match="known_signers"):
            act()


def doubtful(home, kind, name="known_signers"):
    """Make a list that others may have written."""
    path = home / name
    if kind == "a link":
        path.rename(home / "elsewhere")
        path.symlink_to(home / "elsewhere")
    elif kind == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif kind == "others may write it":
        path.chmod(0o666)
    elif kind == "a group may write it":
        path.chmod(0o660)
    elif kind == "others may write the folder":
        home.chmod(0o777)


@posix
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("a link", "it is a link"),
        ("a pipe", "it is no file"),
        ("others may write it", "others may write it"),
        ("a group may write it", "others may write it"),
        ("others may write the folder", "others may write the folder in which it lies"),
        ("another user's", "it belongs to another user"),
    ],
)
def test_a_list_that_others_may_have_written_is_told_and_not_believed(home, monkeypatch, kind, why):
    name = "ed25519:" + "ab" * 32
    keys.know(name)
    doubtful(home, kind)
    if kind == "another user's":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(rn.KeyProblem, match=f"known_signers counts for nothing, because {why}: look at what it says"):
        assert keys.known_signers() == frozenset()
    if kind not in {"a link", "a pipe"}:
        before = (home / "known_signers").read_bytes()
        with pytest.raises(rn.StorageError, match=f"counts for nothing, because {why}"):
            keys.know("ed25519:" + "cd" * 32)
        assert (home / "known_signers").read_bytes() == before
    if kind == "a link":
        with pytest.raises(rn.StorageError):
            keys.know("ed25519:" + "cd" * 32)


@posix
def test_a_list_is_believed_again_once_it_is_closed_and_a_sticky_folder_is_no_danger(home):
    name = "ed25519:" + "ab" * 32
    keys.know(name)
    (home / "known_signers").chmod(0o644)
    home.chmod(0o1777)
    assert keys.known_signers() == {name}
    doubtful(home, "others may write it")
    with pytest.warns(rn.KeyProblem):
        keys.known_signers()
    (home / "known_signers").chmod(0o600)
    assert keys.known_signers() == {name}


@posix
def test_a_key_in_a_folder_that_others_may_write_is_used_and_told(home, monkeypatch):
    made = keys.secret(create=True)
    home.chmod(0o777)
    anew(monkeypatch)
    with pytest.warns(rn.KeyProblem, match="others may write the folder of .*key, and replace it: chmod 700"):
        assert keys.secret(create=False) == made


def test_where_there_are_no_owners_a_list_is_believed(home, monkeypatch):
    name = "ed25519:" + "ab" * 32
    keys.know(name)
    monkeypatch.delattr(os, "geteuid")
    assert keys.known_signers() == {name}
