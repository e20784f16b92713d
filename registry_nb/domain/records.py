"""The nouns: stages, registered models, versions, events, runs. Frozen, comparable, and free of I/O.

Each record writes itself as plain JSON (`to_dict`) and reads itself back (`from_dict`): that form is what stores keep.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from registry_nb.errors import UnknownStage
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown

R = TypeVar("R")


class Stage(StrEnum):
    """Where a version stands. A ``str``; parsing ignores case.

    Examples
    --------
    >>> Stage("production")
    <Stage.PRODUCTION: 'Production'>
    >>> Stage.PRODUCTION == "Production"
    True
    """

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    # Aliases, because people type the name that they read on the screen ("None" cannot be typed as an attribute).
    Staging = STAGING
    Production = PRODUCTION
    Archived = ARCHIVED

    @classmethod
    def _missing_(cls, value: object) -> Stage:
        for stage in cls:
            if isinstance(value, str) and value.casefold() == stage.casefold():
                return stage
        raise UnknownStage(given=value, stages=tuple(map(str, cls)))


class RunStatus(StrEnum):
    """How a run stands, in MLflow's words."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class Frozen(dict[str, Any]):
    """A dict that nobody changes: still JSON, still equal to a dict, and hashable.

    ``types.MappingProxyType`` was the alternative: it can neither be pickled nor written as JSON.
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]  # dict declares that it has none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to change."""
        raise TypeError("a record cannot be changed; ask the registry to change it (tag, describe, promote, …)")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


def frozen(value: Any) -> Any:
    """Make a JSON value immutable, all the way down."""
    if isinstance(value, Mapping):
        return Frozen({key: frozen(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(map(frozen, value))
    return value


@dataclass(frozen=True, slots=True, repr=False)
class File(Shown):
    """One stored file of a model.

    Attributes
    ----------
    path : str
        Its name within the model, chosen by the flavor.
    digest : str
        ``sha256:`` and 64 hexadecimal digits, of the bytes as they are stored.
    size : int
        Stored bytes.
    codec : str
        ``"gzip"`` where the stored bytes are compressed, else ``""``.
    """

    path: str
    digest: str
    size: int
    codec: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Seal(Shown):
    """Somebody's word that a model is what it was: see `trust`.

    Attributes
    ----------
    by : str
        The key: ``hmac-sha256:`` and its id, or ``ed25519:`` and the public key, in hexadecimal digits.
    of : str
        The URI that was sealed, together with what the model is.
    value : str
        Hexadecimal digits.
    """

    by: str
    of: str
    value: str


@dataclass(frozen=True, kw_only=True, repr=False)
class SavedModel(Shown):
    """What a flavor saved, registered or not."""

    flavor: str
    files: tuple[File, ...]
    signature: Signature | None = None
    requirements: tuple[str, ...] = ()
    python_version: str = ""
    environment: Frozen = field(default_factory=Frozen)
    probe: File | None = None
    seals: tuple[Seal, ...] = ()
    _brief = "flavor", "digest", "size", "python_version"

    @functools.cached_property
    def essence(self) -> bytes:
        """SHA-256 over all that loading and predicting depend on, as canonical JSON: what a seal is about."""
        return _essence(self)

    @property
    def size(self) -> int:
        """Stored bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """The digest of the only file, or of the ``sha256sum`` listing of several."""
        if len(self.files) == 1:
            return self.files[0].digest
        listing = "".join(
            f"{file.digest.removeprefix('sha256:')}  {file.path}\n" for file in sorted(self.files, key=_path)
        )
        return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON."""
        return _saved(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SavedModel:
        """Read what `to_dict` wrote."""
        return cls(**_saved_fields(data))


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelVersion(Shown):
    """One version of a registered model.

    Attributes
    ----------
    name : str
    version : int
        From 1, never reused.
    stage : Stage
    description : str
    tags : mapping of str to str
    aliases : tuple of str
    metrics : mapping of str to float
    params : mapping of str to scalar
    signature : Signature or None
    flavor : str
    digest : str
        ``sha256:…`` of the stored bytes.
    size : int
        Stored bytes.
    requirements : tuple of str
        ``name==version`` of what the model's modules import.
    python_version : str
    environment : mapping
        Where it was saved: ``platform``, ``modules`` (import name to version), and ``by_value``, whether it carries
        code that only the same feature release of Python runs.
    run_id : str or None
    user : str
    created_at, updated_at : datetime
        Aware, UTC, in microseconds.
    provenance : mapping
        Where it came from: ``{"source": uri}`` for a copy or a model of a run.
    files : tuple of File
        What `digest` and `size` are about.
    probe : File or None
        Some rows and what the model predicted for them, beside its files.
    seals : tuple of Seal
        Whose keys vouch for it.
    """

    name: str
    version: int
    stage: Stage = Stage.NONE
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=Frozen)
    aliases: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=Frozen)
    params: Mapping[str, Any] = field(default_factory=Frozen)
    signature: Signature | None = None
    flavor: str = ""
    digest: str = ""
    size: int = 0
    requirements: tuple[str, ...] = ()
    python_version: str = ""
    environment: Frozen = field(default_factory=Frozen)
    run_id: str | None = None
    user: str = ""
    created_at: datetime
    updated_at: datetime
    provenance: Mapping[str, Any] = field(default_factory=Frozen)
    files: tuple[File, ...] = ()
    probe: File | None = None
    seals: tuple[Seal, ...] = ()
    _brief = "name", "version", "stage", "aliases", "metrics", "flavor", "user"

    @property
    def uri(self) -> str:
        """The URI that always means this version."""
        return f"models:/{self.name}/{self.version}"

    @functools.cached_property
    def essence(self) -> bytes:
        """As of `SavedModel`: the same for a version and for what was saved."""
        return _essence(self)

    @property
    def told(self) -> str:
        """SHA-256 of all that never changes in the record, in hexadecimal digits: its ``registered`` event tells it."""
        numbers = [{key: json_number(value) for key, value in held.items()} for held in (self.metrics, self.params)]
        facts = [self.essence.hex(), *numbers, self.run_id, self.user, self.created_at.isoformat(), self.provenance]
        return hashlib.sha256(_canonical(facts).encode(errors="surrogatepass")).hexdigest()

    @property
    def saved(self) -> SavedModel:
        """What was saved, without its place in the registry."""
        saved = SavedModel(**{field.name: getattr(self, field.name) for field in fields(SavedModel)})
        saved.__dict__["essence"] = self.essence
        return saved

    def requirements_txt(self) -> str:
        """Return what the version needs as the text of a requirements file of pip, with its Python in a comment."""
        return "".join(f"{line}\n" for line in (f"# {self.uri}, Python {self.python_version}", *self.requirements))

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON: name, number and aliases are kept elsewhere, the digest follows from the files."""
        return {
            "stage": str(self.stage),
            "description": self.description,
            "tags": dict(self.tags),
            "metrics": {key: json_number(value) for key, value in self.metrics.items()},
            "params": {key: json_number(value) for key, value in self.params.items()},
            **_saved(self),
            "run_id": self.run_id,
            "user": self.user,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, name: str, version: int, aliases: Iterable[str], data: Mapping[str, Any]) -> ModelVersion:
        """Read what `to_dict` wrote."""
        saved = SavedModel.from_dict(data)
        return cls(
            name=name,
            version=version,
            stage=Stage(data["stage"]),
            description=data["description"],
            tags=Frozen(data["tags"]),
            aliases=tuple(aliases),
            metrics=Frozen({key: _metric(value) for key, value in data["metrics"].items()}),
            params=frozen(data["params"]),
            signature=saved.signature,
            flavor=saved.flavor,
            digest=saved.digest,
            size=saved.size,
            requirements=saved.requirements,
            python_version=saved.python_version,
            environment=saved.environment,
            run_id=data["run_id"],
            user=data["user"],
            created_at=datetime.fromisoformat(data["created_at"]),
            updated_at=datetime.fromisoformat(data["updated_at"]),
            provenance=frozen(data["provenance"]),
            files=saved.files,
            probe=saved.probe,
            seals=saved.seals,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class RegisteredModel(Shown):
    """A name under which versions are kept.

    Attributes
    ----------
    name, description : str
    tags : mapping of str to str
    aliases : mapping of str to int
        Alias to version number.
    policies : mapping of str to tuple of str
        For a stage, the rules that a version has to meet before it gets it: see `gates`.
    created_at, updated_at : datetime
        Aware, UTC; the latter is the time of the newest event.
    latest_versions : tuple of ModelVersion
        For each stage that is held, the highest version number in it.
    """

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=Frozen)
    aliases: Mapping[str, int] = field(default_factory=Frozen)
    policies: Mapping[str, tuple[str, ...]] = field(default_factory=Frozen)
    created_at: datetime
    updated_at: datetime
    latest_versions: tuple[ModelVersion, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON: what follows from the events and the versions is left out."""
        return {
            "name": self.name,
            "description": self.description,
            "tags": dict(self.tags),
            "aliases": dict(self.aliases),
            **({"policies": dict(self.policies)} if self.policies else {}),
            "created_at": self.created_at.isoformat(),
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], updated_at: datetime, latest_versions: Iterable[ModelVersion]
    ) -> RegisteredModel:
        """Read what `to_dict` wrote."""
        return cls(
            name=data["name"],
            description=data["description"],
            tags=Frozen(data["tags"]),
            aliases=Frozen(data["aliases"]),
            policies=frozen(data.get("policies", {})),
            created_at=datetime.fromisoformat(data["created_at"]),
            updated_at=updated_at,
            latest_versions=tuple(latest_versions),
        )

    def _line(self) -> str:
        latest = {str(version.stage): version.version for version in self.latest_versions}
        return f"RegisteredModel(name={self.name!r}, latest_versions={latest!r}, description={self.description!r})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Event(Shown):
    """One change to a registered model.

    Attributes
    ----------
    id : str
        Globally unique; sorts by time, and within a model always by `seq`.
    seq : int
        Place in the model's history, from 1, without gaps.
    at : datetime
        Aware, UTC, in microseconds: what the clock said, which is not always later than the event before.
    user, host : str
        Who, and on which machine.
    action : str
        ``created``, ``registered``, ``transitioned``, ``promoted``, ``archived``, ``rolled_back``, ``described``,
        ``tagged``, ``untagged``, ``aliased``, ``unaliased``, ``renamed``, ``trusted``, ``guarded`` (by a policy),
        ``requested``, ``approved``, ``rejected``, ``shadowed`` or ``deleted``.
    name : str
        The model, as it was called then.
    version : int or None
        None for a change to the model itself.
    before, after : mapping or None
        The fields that changed, as they were and as they became; None for what did not exist.
    because : str
        The reason that the user gave.
    previous : str
        SHA-256 of the model's event before this one; empty for the first.
    """

    id: str
    seq: int
    at: datetime
    user: str
    action: str
    name: str
    version: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    because: str = ""
    host: str = ""
    previous: str = ""
    _brief = "seq", "at", "user", "action", "name", "version", "before", "after", "because"

    @functools.cached_property
    def json(self) -> bytes:
        """The event as canonical JSON: sorted keys, no blanks, UTF-8. It is stored so, and hashed so, written once."""
        return _canonical(self.to_dict()).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of `json`: the `previous` of the next event."""
        return hashlib.sha256(self.json).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON."""
        return {
            "id": self.id,
            "seq": self.seq,
            "at": self.at.isoformat(),
            "user": self.user,
            "action": self.action,
            "name": self.name,
            "version": self.version,
            "before": self.before,
            "after": self.after,
            "because": self.because,
            "host": self.host,
            "previous": self.previous,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Read what `to_dict` wrote."""
        changed = {side: frozen(data[side]) for side in ("before", "after")}
        return cls(**{**data, **changed, "at": datetime.fromisoformat(data["at"])})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run(Shown):
    """One training run.

    Attributes
    ----------
    run_id, name, experiment : str
    status : RunStatus
        ``KILLED`` is what readers see of a run whose process ended without saying so.
    params, metrics, tags : mapping
        The latest value of each.
    started_at : datetime
    ended_at : datetime or None
    user, host : str
    process : str
        What identifies the running process on `host`.
    models : mapping of str to SavedModel
        The models that the run logged, by the path that ``runs:/run_id/path`` names.
    """

    run_id: str
    name: str
    experiment: str
    status: RunStatus = RunStatus.RUNNING
    params: Mapping[str, str] = field(default_factory=Frozen)
    metrics: Mapping[str, float] = field(default_factory=Frozen)
    tags: Mapping[str, str] = field(default_factory=Frozen)
    started_at: datetime
    ended_at: datetime | None = None
    user: str = ""
    host: str = ""
    process: str = ""
    models: Mapping[str, SavedModel] = field(default_factory=Frozen)
    _brief = "run_id", "name", "experiment", "status", "params", "metrics"

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON."""
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "status": str(self.status),
            "metrics": {key: json_number(value) for key, value in self.metrics.items()},
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "models": {path: saved.to_dict() for path, saved in self.models.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """Read what `to_dict` wrote."""
        read = {
            "status": RunStatus(data["status"]),
            "params": Frozen(data["params"]),
            "metrics": Frozen({key: _metric(value) for key, value in data["metrics"].items()}),
            "tags": Frozen(data["tags"]),
            "started_at": datetime.fromisoformat(data["started_at"]),
            "ended_at": datetime.fromisoformat(data["ended_at"]) if data["ended_at"] else None,
            "models": Frozen({path: SavedModel.from_dict(saved) for path, saved in data["models"].items()}),
        }
        return cls(**{**data, **read})


def changed(record: R, **fields: Any) -> R:
    """Return a record with other values in some fields.

    ``dataclasses.replace`` does the same, one field after the other: it was a tenth of the time of a write. This needs
    records without slots.
    """
    twin = object.__new__(type(record))
    twin.__dict__.update(record.__dict__, **fields)
    for derived in ("json",) if _LOADS.isdisjoint(fields) else ("json", "essence"):  # from the fields as they were
        twin.__dict__.pop(derived, None)
    return twin


_LOADS = frozenset({"flavor", "files", "signature", "requirements", "python_version", "environment", "probe"})
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def json_number(value: Any) -> Any:
    """JSON has no NaN and no infinity: write them as the strings that ``float`` reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def _metric(value: Any) -> float:
    """Read a metric; all NaN are one object, so that a record equals itself when it is read again."""
    number = float(value)
    return math.nan if math.isnan(number) else number


def _essence(record: SavedModel | ModelVersion) -> bytes:
    return hashlib.sha256(_canonical(_what_loads(record)).encode()).digest()


def _saved(record: SavedModel | ModelVersion) -> dict[str, Any]:
    return {**_what_loads(record), "seals": [[seal.by, seal.of, seal.value] for seal in record.seals]}


def _what_loads(record: SavedModel | ModelVersion) -> dict[str, Any]:
    return {
        "flavor": record.flavor,
        "files": [_file(file) for file in record.files],
        "signature": record.signature.to_dict() if record.signature else None,
        "requirements": list(record.requirements),
        "python_version": record.python_version,
        "environment": dict(record.environment),
        "probe": _file(record.probe) if record.probe else None,
    }


def _saved_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "flavor": data["flavor"],
        "files": tuple(File(**file) for file in data["files"]),
        "signature": Signature.from_dict(data["signature"]) if data["signature"] else None,
        "requirements": tuple(data["requirements"]),
        "python_version": data["python_version"],
        "environment": frozen(data.get("environment", {})),  # older records have neither this nor a probe nor seals
        "probe": File(**data["probe"]) if data.get("probe") else None,
        "seals": tuple(Seal(*seal) for seal in data.get("seals", ())),
    }


def _file(file: File) -> dict[str, Any]:
    return {"path": file.path, "digest": file.digest, "size": file.size, "codec": file.codec}


def _path(file: File) -> str:
    return file.path
