"""Seals: who vouches for a model, and what may be loaded then.

A digest proves that bytes are *unchanged*, but not where they come from. A seal does: it binds the URI under which a
model was registered to its `essence` (files by digest, flavor, signature, environment), by a key that is not kept in
the registry. One kind is an HMAC (RFC 2104) with a secret of the user, as Jupyter marks the notebooks that it trusts;
the other is a signature (Ed25519, RFC 8032), which colleagues can check.

======== =================================== ======== ==================================
origin   vouched for by                      data     code, every pickle among it
======== =================================== ======== ==================================
local    the user's secret                   loads    loads
known    a signer they know                  loads    loads
trusted  trust in the whole registry         loads    loads
foreign  nobody                              loads*   only with ``trust="sha256:…"``
======== =================================== ======== ==================================

``*`` after another process survived it. A list of names that a foreign pickle may use was the alternative: names that
are harmless alone can write files and end processes in combination.
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

#: Digits of a digest, or of a signer's name, that a caller has to write at least: 64 bits cannot be guessed.
_DIGITS = 16
#: Seals of a record that are checked: one for each name that it had, and each key. An attacker may write any number.
_MOST_SEALS = 100


class Origin(StrEnum):
    """Who vouches for a model."""

    LOCAL = "local"
    KNOWN = "known"
    TRUSTED = "trusted"
    FOREIGN = "foreign"


class Sealer:
    """Seals one model: the slow part is done at once, so that a transaction waits only for the rest."""

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
    """Return who vouches for a model; its history is read for seals under other names: a renamed model keeps them."""
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
    """Return the names of the keys that signed a model, known or not; without ``cryptography`` none."""
    try:
        return _signers(_about(saved, uri, reader), saved.essence)
    except LibraryMissing:
        return ()


def chosen_signer(given: str, signed: Iterable[str], uri: str) -> str:
    """Return the one of a model's signers that a caller names, perhaps shortened, or raise `Untrusted`."""
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
    """Return the digest in ``trust=`` of a call to load, or raise `Invalid`."""
    if isinstance(trust, str) and re.fullmatch(rf"sha256:[0-9a-f]{{{_DIGITS},64}}", trust):
        return trust
    raise Invalid(
        f"trust={shown(trust)} does not say what to trust: give the digest of these very bytes, "
        f'"sha256:" and at least {_DIGITS} digits (registry.inspect(uri).digest)'
    )


def refusal(saved: SavedModel | ModelVersion, uri: str, audit: Audit) -> Untrusted:
    """Return the error of a foreign model that is not loaded: the reason, and what to do."""
    return Untrusted(
        what=uri,
        reason=f"nobody whom you know vouches for it{_claimed(saved)}, and {audit.objection}",
        remedy=way_out(saved, uri),
        digest=saved.digest,
        imports=audit.imports,
        problems=audit.problems,
    )


def way_out(saved: SavedModel | ModelVersion, uri: str) -> str:
    """Return how a foreign model can be loaded: by the key of its author, or by its digest."""
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
    """Return who registered a version, as the record claims: people who can write the registry can write any name."""
    return f" ({shown(saved.user, 60)} registered it, says the record)" if isinstance(saved, ModelVersion) else ""


def _message(uri: str, essence: bytes) -> bytes:
    return b"registry_nb seal 1\0" + uri.encode() + b"\0" + essence  # unlike anything else that the key may sign


def _about(saved: SavedModel | ModelVersion, uri: str, reader: Reader) -> list[Seal]:
    """Return the seals about this model: of its URI, or of the same version under an earlier name."""
    name, number = _name_in(uri), uri.rpartition("/")[2]
    seals = [seal for seal in saved.seals[:_MOST_SEALS] if seal.of == uri or _is_of_number(number, seal.of, uri)]
    # The history is long, and read at most once: most seals are about the name that the version has.
    history = tuple(reader.events(name)) if any(seal.of != uri for seal in seals) else ()
    return [seal for seal in seals if seal.of == uri or had_name(history, _name_in(seal.of))]


def _is_of_number(number: str, sealed: str, uri: str) -> bool:
    """Whether a seal is about a version with this number, of any model."""
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
