"""The nouns: registered models, versions, runs, stored files. Frozen, comparable, and free of I/O.

Each record writes itself as plain JSON (`to_dict`) and reads itself back (`from_dict`): stores keep that form. The
events and the values that records are made of are re-exported, because pickles name them by this path.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from registry_nb.domain.events import Event
from registry_nb.domain.files import File, Seal
from registry_nb.domain.measurements import Points, points_dict, points_of
from registry_nb.domain.values import (
    SERVING,
    Frozen,
    RunStatus,
    Stage,
    canonical,
    changed,
    frozen,
    json_number,
    with_new_fields,
)
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown

__all__ = [
    "SERVING",
    "Event",
    "File",
    "Frozen",
    "ModelVersion",
    "RegisteredModel",
    "Run",
    "RunStatus",
    "SavedModel",
    "Seal",
    "Stage",
    "changed",
    "frozen",
    "json_number",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class SavedModel(Shown):
    """A model as a flavor saved it, registered or not."""

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
        """SHA-256 of all that loading and predicting depend on, as canonical JSON. Seals sign it."""
        return _essence(self)

    @property
    def size(self) -> int:
        """Stored bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """The digest of the only file, or of the ``sha256sum`` listing of several."""
        return _digest(self.files)

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
        ``name==version`` of each package that the model's modules import.
    python_version : str
    environment : mapping
        The environment that saved it: ``platform``, ``modules`` (import name to version), and ``by_value``, whether it
        carries code that only the same feature release of Python runs.
    run_id : str or None
    user : str
    created_at, updated_at : datetime
        Aware, UTC, in microseconds.
    provenance : mapping
        The origin: ``{"source": uri}`` for a copy or a model of a run.
    files : tuple of File
        The files that `digest` and `size` describe.
    probe : File or None
        Some rows and the model's predictions for them, beside its files.
    seals : tuple of Seal
        The keys that vouch for it.
    attachments : mapping of str to File
        Reports, pictures and the like that stand beside the model: see `attach`. No seal covers them.
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
    attachments: Mapping[str, File] = field(default_factory=Frozen)
    _brief = "name", "version", "stage", "aliases", "metrics", "flavor", "user"

    __setstate__ = with_new_fields

    @property
    def uri(self) -> str:
        """The URI that always means this version."""
        return f"models:/{self.name}/{self.version}"

    @functools.cached_property
    def essence(self) -> bytes:
        """See `SavedModel.essence`: a version and its `saved` have the same."""
        return _essence(self)

    @property
    def record_digest(self) -> str:
        """SHA-256 of all that never changes in the record, in hexadecimal digits; the ``registered`` event keeps it."""
        numbers = [{key: json_number(value) for key, value in side.items()} for side in (self.metrics, self.params)]
        facts = [self.essence.hex(), *numbers, self.run_id, self.user, self.created_at.isoformat(), self.provenance]
        return hashlib.sha256(canonical(facts).encode(errors="surrogatepass")).hexdigest()

    @property
    def base(self) -> tuple[str, SavedModel] | None:
        """The URI and the model that this one stands on, as it was then; None if it stands on none."""
        found = self.provenance.get("base")
        return (found["uri"], SavedModel.from_dict(found)) if isinstance(found, Mapping) else None

    @property
    def saved(self) -> SavedModel:
        """The model as it was saved, without its place in the registry."""
        saved = SavedModel(**{field.name: getattr(self, field.name) for field in fields(SavedModel)})
        saved.__dict__["essence"] = self.essence
        return saved

    def requirements_txt(self) -> str:
        """Return the requirements as the text of a requirements file of pip, with the Python version in a comment."""
        return "".join(f"{line}\n" for line in (f"# {self.uri}, Python {self.python_version}", *self.requirements))

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON, without name, number and aliases (kept elsewhere) and digest (computed)."""
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
            **({"attachments": [file.to_dict() for file in self.attachments.values()]} if self.attachments else {}),
        }

    @classmethod
    def from_dict(cls, name: str, version: int, aliases: Iterable[str], data: Mapping[str, Any]) -> ModelVersion:
        """Read what `to_dict` wrote."""
        saved = _saved_fields(data)
        files: tuple[File, ...] = saved["files"]
        # Not by the constructor: a frozen one sets each field by itself, a fifth of the time of a listing.
        read = object.__new__(cls)
        read.__dict__.update(
            name=name,
            version=version,
            stage=Stage(data["stage"]),
            description=data["description"],
            tags=Frozen(data["tags"]),
            aliases=tuple(aliases),
            metrics=Frozen({key: _metric(value) for key, value in data["metrics"].items()}),
            params=frozen(data["params"]),
            digest=_digest(files),
            size=sum([file.size for file in files]),
            run_id=data["run_id"],
            user=data["user"],
            created_at=datetime.fromisoformat(data["created_at"]),
            updated_at=datetime.fromisoformat(data["updated_at"]),
            provenance=frozen(data["provenance"]),
            **saved,
            attachments=Frozen({file["path"]: File(**file) for file in data.get("attachments", ())}),
        )
        return read


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
        For a stage, the rules that a version has to meet to get there: see `policies`.
    created_at, updated_at : datetime
        Aware, UTC; the latter is the time of the newest event.
    latest_versions : tuple of ModelVersion
        For each stage that is not empty, the version with the highest number.
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
        """Write it as plain JSON, without what follows from the events and the versions."""
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run(Shown):
    """One training run.

    Attributes
    ----------
    run_id, name, experiment : str
    status : RunStatus
        Readers see ``KILLED`` if the process of the run ended without closing it.
    params, metrics, tags : mapping
        The latest value of each; of a metric, that of its highest step.
    started_at : datetime
    ended_at : datetime or None
    user, host : str
    process : str
        The identity of the process on `host`.
    models : mapping of str to SavedModel
        The models that the run logged, by the path that ``runs:/run_id/path`` names.
    artifacts : tuple of File
        The files that it logged, by their paths in the run.
    points : mapping of str to tuple of Point
        The measurements of each metric, in the order in which they were logged, without those in `measured`.
    measured : tuple of File
        Earlier measurements, see `measurements`.
    deleted_at : datetime or None
        None unless it was deleted; it can be restored.
    kind : str
        ``"experiment"`` for the record of an experiment, which is no run, else empty.
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
    artifacts: tuple[File, ...] = ()
    points: Points = field(default_factory=Frozen)
    measured: tuple[File, ...] = ()
    deleted_at: datetime | None = None
    kind: str = ""
    _brief = "run_id", "name", "experiment", "status", "params", "metrics"

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON. What an earlier release does not know is left out if it is empty."""
        later = {
            "artifacts": [file.to_dict() for file in self.artifacts],
            "points": points_dict(self.points),
            "measured": [file.to_dict() for file in self.measured],
            "deleted_at": self.deleted_at and self.deleted_at.isoformat(),
            "kind": self.kind,
        }
        return {
            **{f.name: getattr(self, f.name) for f in fields(self) if f.name not in later},
            **{name: value for name, value in later.items() if value},
            "status": str(self.status),
            "metrics": {key: json_number(value) for key, value in self.metrics.items()},
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "models": {path: saved.to_dict() for path, saved in self.models.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """Read what `to_dict` wrote."""
        values = {
            "status": RunStatus(data["status"]),
            "params": Frozen(data["params"]),
            "metrics": Frozen({key: _metric(value) for key, value in data["metrics"].items()}),
            "tags": Frozen(data["tags"]),
            "started_at": datetime.fromisoformat(data["started_at"]),
            "ended_at": datetime.fromisoformat(data["ended_at"]) if data["ended_at"] else None,
            "models": Frozen({path: SavedModel.from_dict(saved) for path, saved in data["models"].items()}),
            "artifacts": tuple(File(**file) for file in data.get("artifacts", ())),
            "points": points_of(data.get("points", {})),
            "measured": tuple(File(**file) for file in data.get("measured", ())),
            "deleted_at": datetime.fromisoformat(data["deleted_at"]) if "deleted_at" in data else None,
        }
        return cls(**{**data, **values})


Run.__setstate__ = with_new_fields  # type: ignore[attr-defined]  # not in the class: the first 3.11 replaces it there


def _metric(value: Any) -> float:
    """Read a metric. All NaN become one object, so that a record equals itself after it is read again."""
    number = float(value)
    return math.nan if math.isnan(number) else number


def _essence(record: SavedModel | ModelVersion) -> bytes:
    return hashlib.sha256(canonical(_loaded_fields(record)).encode()).digest()


def _saved(record: SavedModel | ModelVersion) -> dict[str, Any]:
    return {**_loaded_fields(record), "seals": [[seal.by, seal.of, seal.value] for seal in record.seals]}


def _loaded_fields(record: SavedModel | ModelVersion) -> dict[str, Any]:
    return {
        "flavor": record.flavor,
        "files": [file.to_dict() for file in record.files],
        "signature": record.signature.to_dict() if record.signature else None,
        "requirements": list(record.requirements),
        "python_version": record.python_version,
        "environment": dict(record.environment),
        "probe": record.probe.to_dict() if record.probe else None,
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


def _digest(files: tuple[File, ...]) -> str:
    """Return the digest of the only file, or of the ``sha256sum`` listing of several."""
    if len(files) == 1:
        return files[0].digest
    ordered = sorted(files, key=lambda file: file.path)
    listing = "".join(f"{file.digest.removeprefix('sha256:')}  {file.path}\n" for file in ordered)
    return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"
