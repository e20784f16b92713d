"""``mlflow.models.Model``: what an ``MLmodel`` file says; and the functions that read or change it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from registry_nb.domain.records import ModelVersion, SavedModel
from registry_nb.domain.uris import RunURI, parse_uri
from registry_nb.errors import Invalid, NotFound, shown
from registry_nb.flavors import MLFLOW
from registry_nb.flavors.mlmodel import signature_of
from registry_nb.flavors.mlmodel_text import FILE, described
from registry_nb.mlflow import __version__
from registry_nb.mlflow.layout import examples, places
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.mlflow.tracking.uris import current
from registry_nb.operations import resolve
from registry_nb.registry import Registry
from registry_nb.schema.signature import Signature, Spec
from registry_nb.stores import disk

__all__ = ["Model", "get_model_info", "info_of", "info_of_folder", "set_signature"]

#: What a description has besides the parameters of `Model`, as MLflow writes it for every signature.
_OF_SIGNATURE = {"is_signature_from_type_hint": False, "type_hint_from_example": False}


class Model:
    """The description of a model: the content of its ``MLmodel`` file.

    Parameters
    ----------
    artifact_path, run_id : str, optional
    utc_time_created : str or datetime, optional
        Now, if not given.
    flavors : mapping, optional
        The libraries that read the model, and their options.
    signature : ModelSignature, optional
    saved_input_example_info, metadata : mapping, optional
    model_uuid : str, optional
    mlflow_version : str, optional
        The release in whose layout it is written.
    model_size_bytes : int, optional
    model_id, prompts, env_vars, resources, auth_policy : optional
        Kept as they are.
    **others
        What else the file has; kept as it is.

    Examples
    --------
    >>> model = Model(flavors={"sklearn": {"pickled_model": "model.pkl"}})
    >>> Model.from_dict(model.to_dict()).flavors
    {'sklearn': {'pickled_model': 'model.pkl'}}
    """

    def __init__(
        self,
        artifact_path: str | None = None,
        run_id: str | None = None,
        utc_time_created: object = None,
        flavors: Mapping[str, Any] | None = None,
        signature: Signature | None = None,
        saved_input_example_info: Mapping[str, Any] | None = None,
        model_uuid: str | None = None,
        mlflow_version: str | None = __version__,
        metadata: Mapping[str, Any] | None = None,
        model_size_bytes: int | None = None,
        resources: Any = None,
        env_vars: list[str] | None = None,
        auth_policy: Any = None,
        model_id: str | None = None,
        prompts: list[str] | None = None,
        **others: Any,
    ) -> None:
        self.artifact_path = artifact_path
        self.run_id = run_id
        self.utc_time_created = str(utc_time_created or datetime.now(UTC).replace(tzinfo=None))
        self.flavors = dict(flavors or {})
        self.signature = signature
        self.saved_input_example_info = saved_input_example_info
        self.model_uuid = model_uuid or uuid.uuid4().hex
        self.mlflow_version = mlflow_version
        self.metadata = metadata
        self.model_size_bytes = model_size_bytes
        self.resources = resources
        self.env_vars = env_vars
        self.auth_policy = auth_policy
        self.model_id = model_id
        self.prompts = prompts
        vars(self).update(others)

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Model) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the description of a model.

        Parameters
        ----------
        path : str or path-like
            A folder with an ``MLmodel``, or that file; or a URI of the registry, whose model is described likewise.

        Raises
        ------
        NotFound
            If there is none.
        Corrupted
            If it does not read.
        """
        place = places.folder_of(path)
        if place is None:
            registry = current()
            return cls._of_registry(registry, resolve.target(registry.store, str(path)).saved, str(path))
        with disk.storage_errors(place, "reading"):
            return cls.from_dict(described(_text_at(place)))

    @classmethod
    def from_dict(cls, model_dict: Mapping[str, Any]) -> Self:
        """Make it of what `to_dict` returned, or of a parsed ``MLmodel``.

        Raises
        ------
        Corrupted
            If its signature does not read.
        """
        left_out = {"self", *_OF_SIGNATURE}
        known = {key: value for key, value in model_dict.items() if isinstance(key, str) and key not in left_out}
        return cls(**{**known, "signature": signature_of(known)})

    @classmethod
    def _of_registry(cls, registry: Registry, record: ModelVersion | SavedModel, uri: str) -> Self:
        if record.flavor == MLFLOW and (file := next((one for one in record.files if one.path == FILE), None)):
            with registry.artifacts.open(file) as content:
                written = described(content.read())
            return cls.from_dict({**written, "signature": record.signature and record.signature.to_dict()})
        info = info_of(registry, record, uri)
        return cls(
            artifact_path=info.artifact_path,
            run_id=info.run_id,
            utc_time_created=info.utc_time_created,
            flavors=info.flavors,
            signature=info.signature,
            model_uuid=info.model_uuid,
        )

    def add_flavor(self, name: str, **params: Any) -> Self:
        """Add a library that reads the model, with its options."""
        self.flavors[name] = params
        return self

    def get_input_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model takes, if they are known."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model returns, if they are known."""
        return self.signature.outputs if self.signature else None

    def get_params_schema(self) -> Any:
        """Return the parameters of ``predict``, if the signature has some."""
        return getattr(self.signature, "params", None) or None

    def load_input_example(self, path: str | os.PathLike[str]) -> Any:
        """Return the input example in the folder of the model, as it was given; None if there is none."""
        return examples.read(os.fspath(path), self.saved_input_example_info)

    def get_model_info(self) -> ModelInfo:
        """Return the same as `get_model_info`."""
        path = self.artifact_path or "model"
        return _info(self, f"runs:/{self.run_id}/{path}" if self.run_id else f"models:/{self.model_id}", path)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file."""
        may_be_missing = {*vars(self)} - {"flavors", "model_id", "model_uuid", "prompts", "utc_time_created"}
        content = {key: value for key, value in vars(self).items() if not (value is None and key in may_be_missing)}
        if self.signature is not None:
            content |= {"signature": self.signature.to_dict(), **_OF_SIGNATURE}
        return content

    def to_json(self) -> str:
        """Return the content as JSON."""
        return json.dumps(self.to_dict())

    def to_yaml(self) -> str:
        """Return the text of the file."""
        import yaml  # type: ignore[import-untyped]

        try:
            return str(yaml.safe_dump(self.to_dict(), default_flow_style=False))
        except yaml.YAMLError as error:
            raise Invalid(f"metadata= has to be plain data: {shown(str(error), 200)}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file; one that is there is replaced at once."""
        place, text = os.fspath(path), self.to_yaml()
        draft = f"{place}.{uuid.uuid4().hex}"
        with disk.storage_errors(place, "writing"):
            try:
                with open(draft, "x", encoding="utf-8") as file:
                    file.write(text)
                os.replace(draft, place)
            except BaseException:
                if os.path.exists(draft):
                    os.remove(draft)
                raise

    def __str__(self) -> str:
        return self.to_yaml()


def get_model_info(model_uri: str | os.PathLike[str]) -> ModelInfo:
    """Describe a model: its signature, its flavors, where it came from.

    Parameters
    ----------
    model_uri : str or path-like
        As for ``load_model``; nothing is loaded.

    Raises
    ------
    NotFound
        If there is none.
    Corrupted
        If its ``MLmodel`` does not read.
    """
    place = places.folder_of(model_uri)
    if place is None:
        registry = current()
        return info_of(registry, resolve.target(registry.store, str(model_uri)).saved, str(model_uri))
    return info_of_folder(model_uri)


def info_of_folder(uri: str | os.PathLike[str]) -> ModelInfo:
    """Describe the model in a folder."""
    model = Model.load(uri)
    return _info(model, os.fspath(uri), model.artifact_path or "model")


def info_of(registry: Registry, record: ModelVersion | SavedModel, uri: str) -> ModelInfo:
    """Describe a model of the registry."""
    if isinstance(record, ModelVersion):
        source = parse_uri(record.provenance.get("source", record.uri))
        path = source.path if isinstance(source, RunURI) else "model"
        at, number = record.created_at, record.version
        info = ModelInfo.of(record.saved, uri, path=path, run_id=record.run_id, at=at, version=number)
    else:
        parsed = parse_uri(uri)
        assert isinstance(parsed, RunURI)
        run = registry.run(parsed.run_id)
        info = ModelInfo.of(record, uri, path=parsed.path, run_id=run.run_id, at=run.ended_at or run.started_at)
    return info if record.flavor != MLFLOW else _with_its_own(info, Model._of_registry(registry, record, uri))


def set_signature(model_uri: str | os.PathLike[str], signature: Signature) -> None:
    """Change the signature of the model in a folder.

    Parameters
    ----------
    model_uri : str or path-like
        A folder with an ``MLmodel``.
    signature : ModelSignature

    Raises
    ------
    Invalid
        If it is a model of the registry: the signature is sealed with the model, and does not change. Log or register
        it again, with ``signature=``.
    NotFound
        If there is no such folder.
    """
    if not isinstance(signature, Signature):
        raise Invalid(f"a signature is what infer_signature returns, not {type(signature).__name__}")
    place = places.folder_of(model_uri)
    if place is None:
        raise Invalid(
            f"the signature of {shown(str(model_uri), 300)} is sealed with the model, and does not change; load the "
            "model, and log or register it again with signature="
        )
    model = Model.load(place)
    model.signature = signature
    model.save(place if os.path.basename(place) == FILE else os.path.join(place, FILE))


def _text_at(place: str) -> bytes:
    place = os.path.expanduser(place)
    path = os.path.join(place, FILE) if os.path.isdir(place) else place
    if os.path.basename(path) != FILE or not os.path.isfile(path):
        raise NotFound(
            f"there is no {FILE} in {shown(place, 300)}; give the folder of a model, or a URI of the registry"
        )
    with open(path, "rb") as file:
        return file.read(1 << 23)  # more is refused


def _info(model: Model, uri: str, path: str) -> ModelInfo:
    return ModelInfo(
        artifact_path=path,
        flavors=model.flavors,
        metadata=None if model.metadata is None else dict(model.metadata),
        mlflow_version=model.mlflow_version,
        model_id=model.model_id,
        model_uri=uri,
        model_uuid=model.model_uuid,
        name=path,
        run_id=model.run_id,
        saved_input_example_info=model.saved_input_example_info,
        signature=model.signature,
        utc_time_created=model.utc_time_created,
    )


def _with_its_own(info: ModelInfo, model: Model) -> ModelInfo:
    own = _info(model, info.model_uri, info.name)
    return replace(
        own, run_id=info.run_id, registered_model_version=info.registered_model_version, signature=info.signature
    )
