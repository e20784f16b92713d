"""Every failure in one tree. An error is raised with its facts, and its class writes the sentence.

::

    RegistryError
    ├── NotFound (LookupError)      ModelNotFound · VersionNotFound · StageEmpty · AliasNotFound · RunNotFound · Gone
    ├── Invalid (ValueError)        UnknownStage · BadName · BadVersion · BadURI · BadFilter · BadValue ·
    │                               NoFlavor · NotSerializable · SignatureMismatch
    ├── Refused                     AlreadyExists · HoldsStage · NothingToRollBack · PolicyFailed · ReadOnly
    ├── Conflict                    somebody else changed it first
    ├── Corrupted                   the records or the bytes are not what was written
    ├── Untrusted                   intact, but not vouched for by anybody whom you trust
    ├── LibraryMissing (ImportError)
    ├── EnvironmentMismatch         this Python cannot run the code that the model carries
    └── StorageError (OSError)      LockTimeout · CommitUncertain · NewerFormat

    RegistryWarning (UserWarning)   CrowdedStage · NetworkFolder · EnvironmentChanged · SecretFound · InputAdjusted ·
                                    BehaviourChanged · KeyProblem · ApprovalDoesNotCount

The facts are passed by keyword and stay as attributes. The sentence has what was asked, what exists, and what to do.
``code`` is the string that MLflow uses for the same failure. The helpers that write sentences are importable from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry_nb.errors.base import RegistryError as RegistryError
from registry_nb.errors.base import _revive as _revive  # pickles name it by this path
from registry_nb.errors.frames import pass_signals as pass_signals
from registry_nb.errors.frames import warn as warn
from registry_nb.errors.text import ELSEWHERE as ELSEWHERE
from registry_nb.errors.text import close as close
from registry_nb.errors.text import first_version as first_version
from registry_nb.errors.text import in_bytes as in_bytes
from registry_nb.errors.text import listed as listed
from registry_nb.errors.text import printable as printable
from registry_nb.errors.text import shown as shown


class NotFound(RegistryError, LookupError):
    """The thing does not exist."""

    code = "RESOURCE_DOES_NOT_EXIST"


class ModelNotFound(NotFound):
    """No registered model has this name."""

    name: str
    models: Sequence[str]
    place: str = ""

    def _sentence(self) -> str:
        meant = close(self.name, self.models)
        if self.models:
            there = f"models: {listed(self.models)}" + (f"; registry: {self.place}" if self.place else "")
        else:
            there = "the registry has no models yet" + (f": {self.place}" if self.place else "")
        elsewhere = f"; {ELSEWHERE}" if self.place and not meant else ""
        return f"there is no registered model {self.name!r}{meant} ({there}){elsewhere}"


class VersionNotFound(NotFound):
    """The model has no version of this number."""

    name: str
    version: int | str
    newest: int

    def _sentence(self) -> str:
        there = f"the newest is {self.newest}" if self.newest else f"it has no versions; {first_version(self.name)}"
        return f"model {self.name!r} has no version {self.version}; {there}"


class StageEmpty(NotFound):
    """No version of the model holds this stage."""

    name: str
    stage: str
    _template = "no version of {name!r} is in {stage}; move one there with promote({name!r}, <version>, {stage!r})"


class AliasNotFound(NotFound):
    """The model has no such alias."""

    name: str
    alias: str
    aliases: Sequence[str]

    def _sentence(self) -> str:
        there = f"(aliases: {listed(self.aliases)})" if self.aliases else "(it has no aliases yet)"
        return f"model {self.name!r} has no alias {self.alias!r}{close(self.alias, self.aliases)} {there}"


class RunNotFound(NotFound):
    """No run has this id, or the run logged no model under this path."""

    run_id: str
    path: str | None
    paths: Sequence[str]
    place: str = ""

    def _sentence(self) -> str:
        if self.path is None:
            there = f" (registry: {self.place})" if self.place else ""
            return f"there is no run {self.run_id!r}{there}; runs() lists those that exist"
        there = f"(models of the run: {listed(self.paths)})" if self.paths else "(it logged no model)"
        return f"run {self.run_id!r} logged no model as {self.path!r}{close(self.path, self.paths)} {there}"


class Gone(NotFound):
    """It was deleted, with its bytes."""


class Invalid(RegistryError, ValueError):
    """The argument is wrong, whatever the registry contains."""

    code = "INVALID_PARAMETER_VALUE"


class BadExample(Invalid):
    """The model raises an error on the example that it is registered with."""


class UnknownStage(Invalid):
    """Not one of the four stages."""

    given: object
    stages: Sequence[str]

    def _sentence(self) -> str:
        given = self.given if isinstance(self.given, str) else ""
        return f"{shown(self.given)} is not a stage{close(given, self.stages)} (stages: {listed(self.stages)})"


class BadName(Invalid):
    """A name of a model, alias or tag that breaks the rules."""

    what: str
    given: object
    reason: str

    def _sentence(self) -> str:
        return f"{shown(self.given)} cannot be {self.what}: {self.reason}"


class BadVersion(Invalid):
    """Not a version number."""

    given: object

    def _sentence(self) -> str:
        more = f" to {2**53 - 1}" if isinstance(self.given, int) and self.given >= 2**53 else ""
        return f"{shown(self.given)} is not a version number; versions are whole numbers from 1" + more


class BadURI(Invalid):
    """Not a model URI."""

    given: object
    reason: str

    def _sentence(self) -> str:
        return (
            f"{shown(self.given)} is not a model URI: {self.reason} (write models:/Name/Production, models:/Name/3, "
            "models:/Name@alias, models:/Name/latest or runs:/run_id/path)"
        )


class BadFilter(Invalid):
    """A filter or an ordering that does not parse, or compares different types."""

    filter: str
    position: int
    reason: str
    field: str = ""

    def _sentence(self) -> str:
        near = self.filter[self.position : self.position + 20]
        where = f"at position {self.position}" + (f", near {near!r}" if near else ", at its end")
        return f"the filter {shown(self.filter)} is wrong {where}: {self.reason}"


class BadValue(Invalid):
    """A description, tag, metric or parameter beyond the limits, or one that JSON cannot hold."""

    what: str
    reason: str
    _template = "{what} {reason}"


class NoFlavor(Invalid):
    """No flavor knows how to save this object."""

    given: str
    reason: str
    _template = "{given} cannot be registered: {reason}"


class NotSerializable(Invalid):
    """The model, or a part of it, cannot be pickled."""

    model: str
    path: str
    reason: str
    _template = (
        "{model} cannot be saved, because {path} cannot be pickled ({reason}); "
        "remove it before registering, or drop it in __getstate__"
    )


class SignatureMismatch(Invalid):
    """The input does not fit the model's signature, and cannot be converted without loss."""

    problems: Sequence[str]

    def _sentence(self) -> str:
        return f"the input does not fit the model's signature: {listed(self.problems, 5)}"


class Refused(RegistryError):
    """Well-formed, but against the registry's rules."""

    code = "INVALID_STATE"


class PolicyFailed(Refused):
    """A version does not meet the policy of the stage; `evaluation` has every rule."""

    name: str
    version: int
    stage: str
    evaluation: Any

    def _sentence(self) -> str:
        failed = (row for row in self.evaluation.rows if row.verdict != "passed")
        rules = listed(f"{row.rule} ({row.found or row.verdict})" for row in failed)
        to = "" if self.stage == "Production" else f", {self.stage!r}"
        ask = f"registry.request({self.name!r}, {self.version}{to}) asks for approval; "
        return (
            f"version {self.version} of {self.name!r} does not meet the policy for {self.stage}: {rules}; "
            f"{ask if self.evaluation.lacks_approval else ''}"
            "promote(…, force=True, because=…) overrides the policy, and the history says so"
        )


class ReadOnly(Refused):
    """The past can be read, not changed."""


class AlreadyExists(Refused):
    """The name is taken."""

    code = "RESOURCE_ALREADY_EXISTS"
    name: str
    reason: str
    what: str = "a registered model"

    def _sentence(self) -> str:
        return f"{self.what} {self.name!r} {self.reason}"


class HoldsStage(Refused):
    """A version in Production or Staging is not deleted: people may be using it."""

    name: str
    version: int
    stage: str
    _template = (
        "version {version} of {name!r} is in {stage}, so it is not deleted; archive({name!r}, {version}) it first"
    )


class NothingToRollBack(Refused):
    """The history has no earlier holder of the stage."""

    name: str
    stage: str
    to: int | None
    holder: int | None
    earlier: Sequence[int]

    def _sentence(self) -> str:
        now = f"{self.holder} holds it now" if self.holder else "nothing holds it now"
        before = f"before it came {listed(map(str, self.earlier))}" if self.earlier else "nothing held it before"
        if self.to is None:
            return f"{self.name!r} cannot be rolled back in {self.stage}: {now}, and {before}"
        return f"{self.name!r} cannot be rolled back to {self.to} in {self.stage}: {now}, and {before}"


class Conflict(RegistryError):
    """Somebody else changed it first; this call changed nothing.

    `found` are the holders of `stage`. If a version moved, `expected` is None, `stage` is its stage now, and `found` is
    its number. If a description changed, there is only the name.
    """

    code = "RESOURCE_CONFLICT"
    name: str
    stage: str
    expected: int | None
    found: Sequence[int]

    def _sentence(self) -> str:
        expected = f"version {self.expected}" if self.expected else "nobody"
        found = listed(map(str, self.found)) if self.found else "nobody"
        return (
            f"{self.stage} of {self.name!r} was expected to be held by {expected}, but {found} holds it now; "
            "look at its history, then decide again"
        )


class Corrupted(RegistryError):
    """The records or the bytes are not what was written; nothing was touched."""

    code = "DATA_LOSS"
    path: str
    position: int | None
    reason: str
    remedy: str

    def _sentence(self) -> str:
        where = f" at byte {self.position}" if self.position is not None else ""
        return f"{self.path} is damaged{where}: {self.reason}; {self.remedy}"


class Untrusted(RegistryError):
    """The bytes are intact, but nobody whom this user trusts vouches for them, and loading could run any code."""

    code = "PERMISSION_DENIED"
    what: str
    reason: str
    remedy: str
    _template = "{what} was not loaded: {reason}; {remedy}"


class LibraryMissing(RegistryError, ImportError):
    """The model needs a library that this environment lacks."""

    code = "LIBRARY_MISSING"
    library: str
    remedy: str
    _template = "this model needs {library!r}, which is not installed here; {remedy}"


class EnvironmentMismatch(RegistryError):
    """The model carries code that this version of Python would run differently."""

    code = "INVALID_STATE"
    what: str
    written: str
    running: str

    def _sentence(self) -> str:
        written = printable(self.written)
        return (
            f"{self.what} carries code that Python {written} compiled, and this is Python {self.running}, which "
            f"would not run it as it was meant; load it with Python {written}, or register the model again here"
        )


class StorageError(RegistryError, OSError):
    """The disk, the folder or the database failed; the registry is unchanged."""

    code = "TEMPORARILY_UNAVAILABLE"


class LockTimeout(StorageError, TimeoutError):
    """Another process has held the write lock for too long."""

    path: str
    seconds: float
    _template = (
        "another process has been writing to {path} for {seconds:g} s; "
        "try again, or end the kernel that hangs (reading still works)"
    )


class CommitUncertain(StorageError):
    """The change is written, but the disk did not confirm that it would survive a power failure."""

    path: str
    reason: str
    _template = (
        "the change was written to {path}, but the disk did not confirm it ({reason}); "
        "look whether it is there before you repeat it"
    )


class NewerFormat(StorageError):
    """The folder was written by a newer release."""

    path: str
    found: int
    known: int
    _template = (
        "{path} has format {found}, and this registry_nb knows formats up to {known}; "
        "upgrade it: pip install -U registry-nb"
    )


class RegistryWarning(UserWarning):
    """The root of this package's warnings."""


class ApprovalDoesNotCount(RegistryWarning):
    """The policy does not count this approval."""


class CrowdedStage(RegistryWarning):
    """Several versions are in one stage, so the stage's URI means the highest number among them."""


class NetworkFolder(RegistryWarning):
    """The folder is on a network or user-space file system, whose guarantees are weaker."""


class EnvironmentChanged(RegistryWarning):
    """The libraries here differ from those that the model was registered with."""


class SecretFound(RegistryWarning):
    """The record or the model contains something that looks like a secret."""


class InputAdjusted(RegistryWarning):
    """The input was adjusted to the form that the signature describes."""


class KeyProblem(RegistryWarning):
    """The key that signs this user's models could not be stored, or somebody else could have read it."""


class BehaviourChanged(RegistryWarning):
    """The model predicts something else than when it was registered, or something else the second time."""


def sentence_of(error: BaseException, most: int = 1000) -> str:
    """Return an error on one line. An error that is not this package's own begins with its type."""
    text = printable(" ".join(str(error).split()))[:most]
    return text if isinstance(error, RegistryError) else f"{type(error).__name__}: {text}".removesuffix(": ")
