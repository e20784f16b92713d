"""The keys of one user: the secret that marks what they registered, a signing key, and the signers that they know.

They are in ``$REGISTRY_NB_HOME``, or else in the folder of the user's configuration, never in a registry: people who
can write a registry must not be able to vouch for its content. A list that others may write is ignored.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import stat
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from registry_nb.errors import KeyProblem, LibraryMissing, StorageError, warn
from registry_nb.stores import disk

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SECRET, _SIGNING, _KNOWN = "key", "signing_key.pem", "known_signers"
#: The name of a signer is the public key itself, so that there is nothing else to compare.
_SIGNER = re.compile(r"^ed25519:[0-9a-f]{64}(?=\s|$)", re.MULTILINE)
#: A home that this user cannot read has none of their keys: a container may have such a HOME.
_NONE = (FileNotFoundError, NotADirectoryError, PermissionError)
#: The secrets of this process, by ``$REGISTRY_NB_HOME``: also those that could not be kept.
_secrets: dict[str | None, bytes] = {}


def home() -> str:
    """Return the folder of this user's keys: ``$REGISTRY_NB_HOME``, or ``registry_nb`` in the user's configuration."""
    given = os.environ.get("REGISTRY_NB_HOME")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    import platformdirs

    return platformdirs.user_config_dir("registry_nb", appauthor=False)


def secret(*, create: bool) -> bytes | None:
    """Return the 32 secret bytes that mark this user's models; None if there are none, unless `create` is true.

    If they cannot be kept, they last as long as this process, with a warning: the next one does not know its models.
    """
    where = os.environ.get("REGISTRY_NB_HOME")  # not home(): every load comes here
    if where not in _secrets:
        path = os.path.join(home(), _SECRET)
        try:
            kept = _kept(path)
            if kept is None:
                if not create:
                    return None
                kept = _keep(path, secrets.token_hex(32).encode())
            _secrets[where] = _bytes(kept, path)
        except (OSError, ValueError) as error:
            if not create:
                return None
            reason = getattr(error, "strerror", None) or str(error)
            warn(
                KeyProblem,
                f"{path}, which marks your models as yours, cannot be used ({reason}): what you register now will be a "
                "stranger's to your next process; set REGISTRY_NB_HOME to a folder of your own",
            )
            _secrets[where] = secrets.token_bytes(32)
    return _secrets[where]


@functools.cache
def secret_name(key: bytes) -> str:
    """Return the name of a secret in records, which reveals nothing of it."""
    return f"hmac-sha256:{hashlib.sha256(b'registry_nb: the name of a key' + key).hexdigest()[:16]}"


def signing_key() -> str:
    """Return the name of this user's signing key, for colleagues; create the key if there is none.

    Models that are registered from then on are signed as well. A colleague who has the name loads them like their own,
    after ``registry.trust("models:/Iris/3", signer="ed25519:…")``.

    Returns
    -------
    str
        ``ed25519:`` and the public key (RFC 8032) in 64 hexadecimal digits.

    Raises
    ------
    LibraryMissing
        If ``cryptography`` is not installed.
    StorageError
        If the key cannot be kept, or is damaged.
    """
    key = signer()
    if key is None:
        _, serialization = _ed25519()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = os.path.join(home(), _SIGNING)
        with disk.storage_errors(path, "keeping a key in"):
            _keep(path, made)
        key = signer()
        assert key is not None
    return signer_name(key)


def signer() -> Ed25519PrivateKey | None:
    """Return this user's signing key, or None."""
    path = os.path.join(home(), _SIGNING)
    with disk.storage_errors(path, "reading"):
        kept = _kept(path)
    if kept is None:
        return None
    kind, serialization = _ed25519()
    try:
        key = serialization.load_pem_private_key(kept, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, kind):
        raise StorageError(f"{path} holds no Ed25519 key; remove it, and registry_nb.signing_key() makes another")
    return key


def signer_name(key: Ed25519PrivateKey) -> str:
    """Return the name of a signing key in records: its public key."""
    return f"ed25519:{key.public_key().public_bytes_raw().hex()}"


def signed_by(name: str, message: bytes, signature: bytes) -> bool:
    """Whether the key of this name signed a message."""
    _ed25519()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(name.removeprefix("ed25519:"))).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def known_signers() -> frozenset[str]:
    """Return the names of the signers that this user knows; the file has one in each line, perhaps with a remark."""
    return frozenset(_SIGNER.findall(read_list(_KNOWN)))


def know(name: str) -> None:
    """Add a signer to those that this user knows."""
    add_to_list(_KNOWN, name)


def read_list(name: str) -> str:
    """Return the text of a list in the home; nothing if there is none or, with a warning, if others may write it."""
    path = os.path.join(home(), name)
    with disk.storage_errors(path, "reading"):
        try:
            if os.path.islink(path):
                raise _Doubtful(path, "it is a link")
            with open(path, encoding="utf-8", errors="replace", opener=_without_waiting) as file:
                _check_list(path, os.fstat(file.fileno()))
                return file.read()
        except _NONE:
            return ""
        except _Doubtful as error:
            warn(KeyProblem, str(error))
            return ""


def add_to_list(name: str, line: str) -> None:
    """Add a line to a list in the home; a list that would be ignored is refused."""
    path = os.path.join(home(), name)
    with disk.storage_errors(path, "adding a line to"):
        os.makedirs(home(), mode=0o700, exist_ok=True)
        # One write: two processes cannot mix.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            _check_list(path, os.fstat(fd))
            begun = "\n" * _ends_within_a_line(fd)
            disk.write_all(fd, f"{begun}{line}\n".encode())
            disk.sync(fd)
        except _Doubtful as error:
            raise StorageError(str(error)) from None
        finally:
            os.close(fd)


def _ends_within_a_line(fd: int) -> bool:
    """Whether a file's last line has no end, as an editor or a killed process leaves it."""
    if not os.lseek(fd, 0, os.SEEK_END):
        return False
    os.lseek(fd, -1, os.SEEK_END)
    return os.read(fd, 1) != b"\n"


class _Doubtful(Exception):
    """A list that others may have written."""

    def __init__(self, path: str, reason: str) -> None:
        remedy = f"look at what it says, then make it a file that only you can write (chmod 600 {path!r})"
        super().__init__(f"{path} counts for nothing, because {reason}: {remedy}")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _check_list(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _Doubtful(path, "it is no file")
    if not hasattr(os, "geteuid"):
        return
    if found.st_uid != os.geteuid():
        raise _Doubtful(path, "it belongs to another user")
    if found.st_mode & 0o022:
        raise _Doubtful(path, "others may write it")
    if _is_open(os.path.dirname(path)):
        raise _Doubtful(path, "others may write the folder in which it lies")


def _is_open(folder: str) -> bool:
    """Whether others could replace a file in a folder."""
    found = os.stat(folder)
    others = found.st_uid not in {os.geteuid(), 0}
    return others or (bool(found.st_mode & 0o022) and not found.st_mode & stat.S_ISVTX)


def _bytes(kept: bytes, path: str) -> bytes:
    if not re.fullmatch(rb"[0-9a-f]{64}\s*", kept):
        raise ValueError(f"it is damaged; remove {os.path.basename(path)}, and a new one is made")
    return bytes.fromhex(kept.decode())


def _kept(path: str) -> bytes | None:
    """Read a key from a file of this user, and make it unreadable for others."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except _NONE:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is not a file")
        if hasattr(os, "geteuid"):
            if found.st_uid != os.geteuid():
                raise OSError(0, "it belongs to another user")
            if found.st_mode & 0o077:
                os.fchmod(fd, 0o600)
                warn(
                    KeyProblem,
                    f"others could read or change {path}; now they cannot, but if one did, models of theirs may pass "
                    "for yours: remove it if you are not sure, and trust your models again",
                )
            if _is_open(os.path.dirname(path)):
                warn(KeyProblem, f"others may write the folder of {path}, and replace it: chmod 700 that folder")
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _keep(path: str, key: bytes) -> bytes:
    """Keep a new key, whole or not at all, and return the one that is there: another process may have been faster."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    drafted = f"{path}.{uuid.uuid4().hex}"
    fd = os.open(drafted, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            disk.write_all(fd, key)
            disk.sync(fd)
        finally:
            os.close(fd)
        try:
            os.link(drafted, path)  # unlike a rename, it fails where there is a key already
        except FileExistsError:
            pass
        except (OSError, AttributeError):  # a file system, or a platform, without links
            os.replace(drafted, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(drafted)
    kept = _kept(path)
    assert kept is not None
    return kept


def _ed25519() -> tuple[type[Ed25519PrivateKey], Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        remedy = "pip install 'registry-nb[signing]'"
        raise LibraryMissing(library="cryptography", remedy=remedy, name="cryptography") from error
    return Ed25519PrivateKey, serialization
