"""Who vouches for a model: this user, a signer whom they know, their word for a registry, or nobody; and what then.

A digest proves that bytes are *unchanged*; it says nothing about where they come from. A seal does: it binds the URI
under which a model was registered to its `essence` (files by digest, flavor, signature, environment), by a key
that is not kept in the registry. One is an HMAC (RFC 2104) with a secret of the user, as Jupyter marks the notebooks
that it trusts; the other a signature (Ed25519, RFC 8032), which colleagues can check.

======== =================================== ======== ==================================
origin   vouched for by                      data     code, every pickle among it
======== =================================== ======== ==================================
local    the user's secret                   loads    loads
known    a signer they know                  loads    loads
trusted  their word for the whole registry   loads    loads
foreign  nobody                              loads*   only with ``trust="sha256:…"``
======== =================================== ======== ==================================

``*`` after another process survived it. A list of names that a stranger's pickle may use was the alternative: names
that are harmless one by one write files and end processes once they are put together.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from enum import StrEnum

from registry_nb.domain.history import had_name
from registry_nb.domain.records import ModelVersion, SavedModel, Seal
from registry_nb.errors import Invalid, LibraryMissing, Untrusted, listed, shown
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.stores import Reader, Store
from registry_nb.trust import keys, places

#: Of a digest, and of a signer's name, at least so many digits have to be given: 64 bits are not found by trying.
_DIGITS = 16
#: Seals of a record that are looked at: one for each name that it had, and each key. A stranger may write any number.
_MOST_SEALS = 100


class Origin(StrEnum):
    """Who vouches for a model."""

    LOCAL = "local"
    KNOWN = "known"
    TRUSTED = "trusted"
    FOREIGN = "foreign"


class Sealer:
    """Seals one model: what takes time is done beforehand, so that a transaction only waits for the rest.

    Parameters
    ----------
    saved : SavedModel or ModelVersion

    Raises
    ------
    LibraryMissing, StorageError
        If this user has a signing key which cannot be used.
    """

    def __init__(self, saved: SavedModel | ModelVersion) -> None:
        self._essence = saved.essence
        secret = keys.secret(create=True)
        assert secret is not None
        self._secret = secret
        self._signer = keys.signer()

    def seals(self, uri: str) -> tuple[Seal, ...]:
        """Return this user's seals for the model under a URI."""
        message = _message(uri, self._essence)
        made = Seal(keys.secret_name(self._secret), uri, hmac.digest(self._secret, message, "sha256").hex())
        if self._signer is None:
            return (made,)
        return made, Seal(keys.signer_name(self._signer), uri, self._signer.sign(message).hex())


def origin(saved: SavedModel | ModelVersion, uri: str, store: Store) -> Origin:
    """Tell who vouches for a model.

    Parameters
    ----------
    saved : SavedModel or ModelVersion
    uri : str
        Where the registry has it: of a version by number, or of a model of a run.
    store : Store
        Its history is read if the seal is about another name: a renamed model keeps its seals.
    """
    about = _about(saved, uri, store)
    secret = keys.secret(create=False)
    if secret is not None:
        name = keys.secret_name(secret)
        for seal in about:
            expected = hmac.digest(secret, _message(seal.of, saved.essence), "sha256").hex()
            if seal.by == name and hmac.compare_digest(expected.encode(), seal.value.encode()):
                return Origin.LOCAL
    signed = [seal for seal in about if seal.by.startswith("ed25519:")]
    if signed and (known := keys.known_signers()) and _signers([s for s in signed if s.by in known], saved.essence):
        return Origin.KNOWN
    return Origin.TRUSTED if store.location is not None and places.is_trusted(store.location) else Origin.FOREIGN


def signers(saved: SavedModel | ModelVersion, uri: str, reader: Reader) -> tuple[str, ...]:
    """Return the names of the keys that really signed a model, known or not; without ``cryptography`` none."""
    try:
        return _signers(_about(saved, uri, reader), saved.essence)
    except LibraryMissing:
        return ()


def chosen_signer(given: str, signed: Iterable[str], uri: str) -> str:
    """Return the one of a model's signers that a caller means, who may shorten its name.

    Raises
    ------
    Untrusted
        If that key did not sign it.
    """
    there = tuple(signed)
    digits = given.removeprefix("ed25519:") if isinstance(given, str) else ""
    if not re.fullmatch(rf"[0-9a-f]{{{_DIGITS},64}}", digits):
        raise Invalid(f"{shown(given)} is no signer's name; that is ed25519: and at least {_DIGITS} hexadecimal digits")
    for name in there:
        if name.removeprefix("ed25519:").startswith(digits):
            return name
    reason = f"it is signed by {listed(there)}" if there else "nobody signed it"
    raise Untrusted(
        f"{uri} was not signed by {given} ({reason}); nothing was changed",
        what=uri,
        reason=reason,
        remedy="ask its author for registry_nb.signing_key()",
    )


def checked_digest(trust: object) -> str:
    """Return what `trust` of a call to load says, or complain that it is no digest.

    Raises
    ------
    Invalid
    """
    if isinstance(trust, str) and re.fullmatch(rf"sha256:[0-9a-f]{{{_DIGITS},64}}", trust):
        return trust
    raise Invalid(
        f"trust={shown(trust)} does not say what to trust: give the digest of these very bytes, "
        f'"sha256:" and at least {_DIGITS} digits (registry.inspect(uri).digest)'
    )


def refusal(saved: SavedModel | ModelVersion, uri: str, audit: Audit) -> Untrusted:
    """Say why a stranger's model is not loaded, and what to do if it shall be."""
    return Untrusted(
        what=uri,
        reason=f"nobody whom you know vouches for it{_claimed(saved)}, and {audit.objection}",
        remedy=way_out(saved, uri),
        digest=saved.digest,
        imports=audit.imports,
        problems=audit.problems,
    )


def way_out(saved: SavedModel | ModelVersion, uri: str) -> str:
    """Say how a stranger's model can be loaded: by a key of whoever made it, or by its digest."""
    digest = f'if you are sure of these very bytes, load("{uri}", trust="{saved.digest[:39]}")'
    if not isinstance(saved, ModelVersion):
        return digest
    who = shown(saved.user, 60)
    try:
        signed = _signers([seal for seal in saved.seals if seal.of == uri], saved.essence)
    except LibraryMissing:
        signed = ()
    if signed:
        name = signed[0][: len("ed25519:") + _DIGITS]
        key = f"ask {who} whether registry_nb.signing_key() is {signed[0]}, then registry.trust"
    else:
        name = "ed25519:…"
        key = f'have {who} call registry_nb.signing_key() and registry.trust("{uri}"), then registry.trust'
    return f'{key}("{uri}", signer="{name}"); or, {digest}'


def _claimed(saved: SavedModel | ModelVersion) -> str:
    """Tell who registered a version: whoever can write the registry can write any name there."""
    return f" ({shown(saved.user, 60)} registered it, says the record)" if isinstance(saved, ModelVersion) else ""


def _message(uri: str, essence: bytes) -> bytes:
    return b"registry_nb seal 1\0" + uri.encode() + b"\0" + essence  # of nothing else that such a key may ever sign


def _about(saved: SavedModel | ModelVersion, uri: str, reader: Reader) -> list[Seal]:
    """Return the seals that are about this model: its URI, or that of the same version under an earlier name."""
    name, number = _name_in(uri), uri.rpartition("/")[2]
    seals = [seal for seal in saved.seals[:_MOST_SEALS] if seal.of == uri or _is_of_number(number, seal.of, uri)]
    # The history is long, and read at most once: most seals are about the name that the version has.
    history = tuple(reader.events(name)) if any(seal.of != uri for seal in seals) else ()
    return [seal for seal in seals if seal.of == uri or had_name(history, _name_in(seal.of))]


def _is_of_number(number: str, sealed: str, uri: str) -> bool:
    """Tell whether a seal is about a version of this number, of whatever model."""
    return all(text.startswith("models:/") for text in (uri, sealed)) and sealed.rpartition("/")[2] == number


def _name_in(uri: str) -> str:
    return uri.removeprefix("models:/").rpartition("/")[0]


def _signers(seals: Iterable[Seal], essence: bytes) -> tuple[str, ...]:
    return tuple(
        seal.by
        for seal in seals
        if seal.by.startswith("ed25519:") and keys.signed_by(seal.by, _message(seal.of, essence), _unhex(seal.value))
    )


def _unhex(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        return b""
