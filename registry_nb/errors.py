"""Every failure in one tree: facts in, one sentence out.

::

    RegistryError
    ├── NotFound (LookupError)      ModelNotFound · VersionNotFound · StageEmpty · AliasNotFound · RunNotFound · Gone
    ├── Invalid (ValueError)        UnknownStage · BadName · BadVersion · BadURI · BadFilter · BadValue ·
    │                               NoFlavor · NotSerializable · SignatureMismatch
    ├── Refused                     AlreadyExists · HoldsStage · NothingToRollBack · PolicyFailed · ReadOnly
    ├── Conflict                    somebody else changed it first
    ├── Corrupted                   the records or the bytes are not what was written
    ├── Untrusted                   intact, but nobody that you know vouches for it
    ├── LibraryMissing (ImportError)
    ├── EnvironmentMismatch         this Python cannot run the code that the model carries
    └── StorageError (OSError)      LockTimeout · CommitUncertain · NewerFormat

    RegistryWarning (UserWarning)   CrowdedStage · NetworkFolder · EnvironmentChanged · SecretFound · InputAdjusted ·
                                    BehaviourChanged · KeyProblem · ApprovalDoesNotCount

An error is raised with its facts by keyword. They stay as attributes, and the class writes the sentence: what was
asked, what exists, what to do. ``code`` is the string that MLflow uses for the same failure.
"""

from __future__ import annotations

import difflib
import signal
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from registry_nb.codes import Coded, code_named

#: What to do where the thing that was asked for may be in another registry.
ELSEWHERE = 'registry_nb.set_registry("FOLDER") or Registry("FOLDER") opens another registry'


class RegistryError(Coded):
    """The root of everything that this package raises on purpose.

    Parameters
    ----------
    message : str, optional
        The sentence, where the class does not write it.
    error_code : int or str, optional
        One of MLflow's codes, if it is not that of the class.
    **facts
        What the sentence is about; each becomes an attribute.

    Examples
    --------
    >>> error = UnknownStage(given="Prod", stages=("None", "Staging", "Production", "Archived"))
    >>> print(error)
    'Prod' is not a stage; did you mean 'Production'? (stages: None, Staging, Production, Archived)
    >>> error.code, isinstance(error, ValueError)
    ('INVALID_PARAMETER_VALUE', True)
    """

    def __init__(self, message: object = "", /, error_code: int | str | None = None, **facts: Any) -> None:
        if error_code is not None:
            facts["code"] = code_named(error_code)
        self.__dict__.update(facts)
        super().__init__(str(message) or self.sentence())
        for fact, value in facts.items():  # ImportError's own `name` and `path` hide what is only in the dict
            setattr(self, fact, value)

    def sentence(self) -> str:
        """Write the message from the facts."""
        return type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders (joblib, multiprocessing); the default would call __init__ without the facts.
        return _revive, (type(self), str(self), self.__dict__)


def _revive(kind: type[RegistryError], message: str, facts: dict[str, Any]) -> RegistryError:
    return kind(message, **facts)


class NotFound(RegistryError, LookupError):
    """What was asked for does not exist."""

    code = "RESOURCE_DOES_NOT_EXIST"


class ModelNotFound(NotFound):
    """No registered model has this name."""

    name: str
    models: Sequence[str]
    place: str = ""

    def sentence(self) -> str:
        """Write the message from the facts."""
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

    def sentence(self) -> str:
        """Write the message from the facts."""
        there = f"the newest is {self.newest}" if self.newest else f"it has no versions; {first_version(self.name)}"
        return f"model {self.name!r} has no version {self.version}; {there}"


class StageEmpty(NotFound):
    """No version of the model holds this stage."""

    name: str
    stage: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"no version of {self.name!r} is in {self.stage}; "
            f"move one there with promote({self.name!r}, <version>, {str(self.stage)!r})"
        )


class AliasNotFound(NotFound):
    """The model has no such alias."""

    name: str
    alias: str
    aliases: Sequence[str]

    def sentence(self) -> str:
        """Write the message from the facts."""
        there = f"(aliases: {listed(self.aliases)})" if self.aliases else "(it has no aliases yet)"
        return f"model {self.name!r} has no alias {self.alias!r}{close(self.alias, self.aliases)} {there}"


class RunNotFound(NotFound):
    """No run has this id, or the run logged no model under this path."""

    run_id: str
    path: str | None
    paths: Sequence[str]
    place: str = ""

    def sentence(self) -> str:
        """Write the message from the facts."""
        if self.path is None:
            there = f" (registry: {self.place})" if self.place else ""
            return f"there is no run {self.run_id!r}{there}; runs() lists those that exist"
        there = f"(models of the run: {listed(self.paths)})" if self.paths else "(it logged no model)"
        return f"run {self.run_id!r} logged no model as {self.path!r}{close(self.path, self.paths)} {there}"


class Gone(NotFound):
    """It was deleted, and its bytes are no more."""


class Invalid(RegistryError, ValueError):
    """The argument can never be right, whatever the registry holds."""

    code = "INVALID_PARAMETER_VALUE"


class BadExample(Invalid):
    """The model raises on the example that it is registered with."""


class UnknownStage(Invalid):
    """Not one of the four stages."""

    given: object
    stages: Sequence[str]

    def sentence(self) -> str:
        """Write the message from the facts."""
        given = self.given if isinstance(self.given, str) else ""
        return f"{shown(self.given)} is not a stage{close(given, self.stages)} (stages: {listed(self.stages)})"


class BadName(Invalid):
    """A model, alias or tag name that the rules refuse."""

    what: str
    given: object
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"{shown(self.given)} cannot be {self.what}: {self.reason}"


class BadVersion(Invalid):
    """Not a version number."""

    given: object

    def sentence(self) -> str:
        """Write the message from the facts."""
        more = f" to {2**53 - 1}" if isinstance(self.given, int) and self.given >= 2**53 else ""
        return f"{shown(self.given)} is not a version number; versions are whole numbers from 1" + more


class BadURI(Invalid):
    """Not a model URI."""

    given: object
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"{shown(self.given)} is not a model URI: {self.reason} (write models:/Name/Production, models:/Name/3, "
            "models:/Name@alias, models:/Name/latest or runs:/run_id/path)"
        )


class BadFilter(Invalid):
    """A filter or an ordering that does not parse, or that compares what cannot be compared."""

    filter: str
    position: int
    reason: str
    field: str = ""

    def sentence(self) -> str:
        """Write the message from the facts."""
        near = self.filter[self.position : self.position + 20]
        where = f"at position {self.position}" + (f", near {near!r}" if near else ", at its end")
        return f"the filter {shown(self.filter)} is wrong {where}: {self.reason}"


class BadValue(Invalid):
    """A description, tag, metric or parameter that the limits or JSON refuse."""

    what: str
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"{self.what} {self.reason}"


class NoFlavor(Invalid):
    """No flavor knows how to save this object."""

    given: str
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"{self.given} cannot be registered: {self.reason}"


class NotSerializable(Invalid):
    """The model, or a part of it, cannot be pickled."""

    model: str
    path: str
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"{self.model} cannot be saved, because {self.path} cannot be pickled ({self.reason}); "
            "remove it before registering, or drop it in __getstate__"
        )


class SignatureMismatch(Invalid):
    """The input is not what the model's signature says, and cannot become so without loss."""

    problems: Sequence[str]

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"the input does not fit the model's signature: {listed(self.problems, 5)}"


class Refused(RegistryError):
    """Well-formed, but the registry's rules say no."""

    code = "INVALID_STATE"


class PolicyFailed(Refused):
    """A version does not meet the policy of the stage; `evaluation` has every rule."""

    name: str
    version: int
    stage: str
    evaluation: Any

    def sentence(self) -> str:
        """Write the message from the facts."""
        open_rules = (row for row in self.evaluation.rows if row.verdict != "passed")
        told = listed(f"{row.rule} ({row.found or row.verdict})" for row in open_rules)
        to = "" if self.stage == "Production" else f", {self.stage!r}"
        return (
            f"version {self.version} of {self.name!r} does not meet the policy for {self.stage}: {told}; "
            f"registry.request({self.name!r}, {self.version}{to}) asks for approval; "
            "promote(…, force=True, because=…) overrides the policy, and the history says so"
        )


class ReadOnly(Refused):
    """It is the past, which can be read, not changed."""


class AlreadyExists(Refused):
    """The name is taken."""

    code = "RESOURCE_ALREADY_EXISTS"
    name: str
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"a registered model {self.name!r} {self.reason}"


class HoldsStage(Refused):
    """A version that people may be using is not deleted."""

    name: str
    version: int
    stage: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"version {self.version} of {self.name!r} is in {self.stage}, so it is not deleted; "
            f"archive({self.name!r}, {self.version}) it first"
        )


class NothingToRollBack(Refused):
    """The history knows no earlier holder of the stage."""

    name: str
    stage: str
    to: int | None
    holder: int | None
    earlier: Sequence[int]

    def sentence(self) -> str:
        """Write the message from the facts."""
        now = f"{self.holder} holds it now" if self.holder else "nothing holds it now"
        before = f"before it came {listed(map(str, self.earlier))}" if self.earlier else "nothing held it before"
        if self.to is None:
            return f"{self.name!r} cannot be rolled back in {self.stage}: {now}, and {before}"
        return f"{self.name!r} cannot be rolled back to {self.to} in {self.stage}: {now}, and {before}"


class Conflict(RegistryError):
    """Somebody else changed it first; nothing was changed by this call.

    The facts say which stage is held by whom. Where it is a version that has moved, `expected` is None, `stage` is
    where it stands, and `found` is its number; of a description, there is only the name.
    """

    code = "RESOURCE_CONFLICT"
    name: str
    stage: str
    expected: int | None
    found: Sequence[int]

    def sentence(self) -> str:
        """Write the message from the facts."""
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

    def sentence(self) -> str:
        """Write the message from the facts."""
        where = f" at byte {self.position}" if self.position is not None else ""
        return f"{self.path} is damaged{where}: {self.reason}; {self.remedy}"


class Untrusted(RegistryError):
    """The bytes are intact, but nobody that this user knows vouches for them, and loading them could run any code."""

    code = "PERMISSION_DENIED"
    what: str
    reason: str
    remedy: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"{self.what} was not loaded: {self.reason}; {self.remedy}"


class LibraryMissing(RegistryError, ImportError):
    """The model needs a library that this environment lacks."""

    code = "LIBRARY_MISSING"
    library: str
    remedy: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return f"this model needs {self.library!r}, which is not installed here; {self.remedy}"


class EnvironmentMismatch(RegistryError):
    """The model carries code that this version of Python would not run as it was meant."""

    code = "INVALID_STATE"
    what: str
    written: str
    running: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        written = printable(self.written)
        return (
            f"{self.what} carries code that Python {written} compiled, and this is Python {self.running}, which "
            f"would not run it as it was meant; load it with Python {written}, or register the model again here"
        )


class StorageError(RegistryError, OSError):
    """The disk, the folder or the database refused; the registry is as it was before the call."""

    code = "TEMPORARILY_UNAVAILABLE"


class LockTimeout(StorageError, TimeoutError):
    """Another process holds the write lock for too long."""

    path: str
    seconds: float

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"another process has been writing to {self.path} for {self.seconds:g} s; "
            "try again, or end the kernel that hangs (reading still works)"
        )


class CommitUncertain(StorageError):
    """The change is written, but the disk did not confirm that it would survive a power failure."""

    path: str
    reason: str

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"the change was written to {self.path}, but the disk did not confirm it ({self.reason}); "
            "look whether it is there before you repeat it"
        )


class NewerFormat(StorageError):
    """The folder was written by a newer release."""

    path: str
    found: int
    known: int

    def sentence(self) -> str:
        """Write the message from the facts."""
        return (
            f"{self.path} has format {self.found}, and this registry_nb knows formats up to {self.known}; "
            "upgrade it: pip install -U registry-nb"
        )


class RegistryWarning(UserWarning):
    """The root of this package's warnings."""


class ApprovalDoesNotCount(RegistryWarning):
    """Somebody said yes whose yes the policy does not count."""


class CrowdedStage(RegistryWarning):
    """Several versions hold one stage, so that the stage's URI means the highest number among them."""


class NetworkFolder(RegistryWarning):
    """The folder is on a network or user-space file system, whose promises are weaker."""


class EnvironmentChanged(RegistryWarning):
    """The libraries here are not those that the model was registered with."""


class SecretFound(RegistryWarning):
    """Something that looks like a secret is in what is registered."""


class InputAdjusted(RegistryWarning):
    """The input was understood, but not in the form that the signature describes."""


class KeyProblem(RegistryWarning):
    """The key that marks this user's models could not be kept, or somebody else could have read it."""


class BehaviourChanged(RegistryWarning):
    """The model does not predict what it predicted when it was registered, or does not predict the same twice."""


def warn(kind: type[RegistryWarning], text: str) -> None:
    """Warn at the line outside this package that led here: it is the one to change."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "registry_nb":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, kind, stacklevel=level)


def pass_signals(error: BaseException) -> None:
    """Raise an error again if a handler of a signal raised it, such as a time-out: it tells nothing of what it met.

    The frame of the handler stands in the traceback of what it raises. What a library makes of it, or another thread
    sets, cannot be told from the model's own errors.
    """
    handlers = {_code_of(handler) for number in signal.valid_signals() if callable(handler := signal.getsignal(number))}
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in handlers:
            raise error
        place = place.tb_next


def _code_of(handler: Any) -> Any:
    function = getattr(handler, "func", handler)  # of a partial
    return getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)


def close(given: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or nothing."""
    by_fold = {name.casefold(): name for name in known}
    match = difflib.get_close_matches(given.casefold(), by_fold, n=1, cutoff=0.5)
    meant = by_fold[match[0]] if match else given
    return f"; did you mean {meant!r}?" if meant != given else ""


def first_version(name: str) -> str:
    """Say what makes the first version of a model."""
    return f"register(model, {name!r}) makes the first"


def sentence_of(error: BaseException, most: int = 1000) -> str:
    """Say in one line what went wrong; only what is not this package's own sentence begins with its type."""
    text = printable(" ".join(str(error).split()))[:most]
    return text if isinstance(error, RegistryError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def listed(names: Iterable[str], most: int = 8) -> str:
    """Join names for a sentence, escaped where they would disguise it, and count those that do not fit."""
    every = list(map(printable, names))
    rest = f", and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def in_bytes(size: float) -> str:
    """Write a number of bytes for a reader: 2.0 KB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def printable(text: str) -> str:
    """Return a text with its control, bidi and other invisible characters spelled out."""
    return text if text.isprintable() else ascii(text)[1:-1]


def shown(given: object, most: int = 80) -> str:
    """Quote what a caller gave: escaped, so that it cannot disguise the sentence, and cut."""
    try:
        text = ascii(given) if isinstance(given, str) and not given.isprintable() else repr(given)
    except Exception:  # noqa: BLE001  # it nests too deeply, or is of a class that cannot tell what it is
        text = f"<{type(given).__name__}>"
    return text if len(text) <= most else f"{text[:most]}…"
