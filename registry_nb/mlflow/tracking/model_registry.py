"""The client's calls about registered models and versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from registry_nb.domain.records import Stage
from registry_nb.domain.uris import ModelURI, RunURI, Which, parse_uri
from registry_nb.domain.validation import checked_version
from registry_nb.errors import AliasNotFound, Invalid
from registry_nb.mlflow.entities import ModelVersion, RegisteredModel
from registry_nb.mlflow.tracking.messages import copied
from registry_nb.mlflow.tracking.paging import PagedList, paged
from registry_nb.registry import Registry

Version: TypeAlias = int | str


class ModelRegistryCalls:
    """Models, versions, stages, aliases, tags. A version is an ``int``, or its digits."""

    _registry: Registry

    # -- models ---------------------------------------------------------------------------------------------------

    def create_registered_model(
        self,
        name: str,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Make a registered model without versions; `deployment_job_id` is ignored."""
        text = "" if description is None else description
        return RegisteredModel.of(self._registry.create_model(name, description=text, tags=tags))

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return a registered model."""
        return RegisteredModel.of(self._registry.model(name))

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Replace the description of a model; None empties it. `deployment_job_id` is ignored."""
        self._registry.describe(name, "" if description is None else description)
        return self.get_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Give a model another name; its versions go with it."""
        return RegisteredModel.of(self._registry.rename(name, new_name))

    def delete_registered_model(self, name: str) -> None:
        """Delete a model with all its versions; refused while one of them is in Production or Staging."""
        self._registry.delete(name)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = 100,
        order_by: str | Sequence[str] | None = None,
        page_token: str | bytes | None = None,
    ) -> PagedList[RegisteredModel]:
        """Find models, ordered by name by default."""
        models = self._registry.models(filter_string or "", order_by=order_by or ())
        page = paged(list(models), max_results, page_token)
        return PagedList(map(RegisteredModel.of, page), page.token)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set a tag of a model."""
        self._registry.tag(name, {key: value})

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model; one that is not there is no error."""
        self._registry.untag(name, key)

    # -- versions -------------------------------------------------------------------------------------------------

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Register a model of a run, or a version, as the next version of a model that exists.

        Parameters
        ----------
        name : str
        source : str
            ``runs:/run_id/path``, or any ``models:/`` URI.
        run_id : str, optional
            The run is read from the source; another one is refused.
        tags : mapping, optional
        description : str, optional
        run_link
            Refused: it has no place here.
        await_creation_for, model_id
            Ignored.

        Raises
        ------
        NotFound
            If there is no such model, run or version.
        Invalid
            If `run_id` contradicts `source`, or for a `run_link`.
        """
        if run_link is not None:
            raise Invalid("run_link= is not kept here; give it as a tag: tags={'run_link': '…'}")
        self._registry.model(name)
        parsed = parse_uri(source)
        if run_id is not None and isinstance(parsed, RunURI) and run_id != parsed.run_id:
            raise Invalid(f"the source {source} is of run {parsed.run_id}, and run_id= is {run_id}; leave it out")
        return ModelVersion.of(self._registry.copy(source, name, tags=tags, description=description))

    def copy_model_version(self, src_model_uri: str, dst_name: str) -> ModelVersion:
        """Register a version as the next version of another name; no bytes are copied."""
        parsed = parse_uri(src_model_uri)
        if not isinstance(parsed, ModelURI):
            raise Invalid(f"{src_model_uri} is a model of a run, not a version; register_model() registers it")
        source = self._registry.version(parsed.name, parsed.which)
        version = self._registry.copy(source.uri, dst_name)  # by number: a stage or an alias may move meanwhile
        copied(self._registry, version, source)
        return ModelVersion.of(version)

    def get_model_version(self, name: str, version: Version) -> ModelVersion:
        """Return a version."""
        return ModelVersion.of(self._registry.version(name, checked_version(version)))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias points to."""
        return ModelVersion.of(self._registry.version(name, f"@{alias}"))

    def get_model_version_download_uri(self, name: str, version: Version) -> str:
        """Return the URI that ``load_model`` takes: nothing has to be downloaded."""
        return self._registry.version(name, checked_version(version)).uri

    def get_model_version_stages(self, name: str, version: Version) -> list[str]:
        """Return all stages."""
        return [str(stage) for stage in Stage]

    def get_latest_versions(self, name: str, stages: str | Iterable[str] | None = None) -> list[ModelVersion]:
        """Return, for each of some stages, the highest version number in it; without `stages`, for every stage."""
        names = [stages] if isinstance(stages, str) else list(stages or ())
        wanted = {Stage(stage) for stage in names or Stage}
        return [ModelVersion.of(v) for v in self._registry.model(name).latest_versions if v.stage in wanted]

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = 10_000,
        order_by: str | Sequence[str] | None = None,
        page_token: str | bytes | None = None,
    ) -> PagedList[ModelVersion]:
        """Find versions, the last changed first by default."""
        order = [order_by] if isinstance(order_by, str) else list(order_by or ["updated_at DESC"])
        versions = self._registry.versions(None, filter_string or "", order_by=[*order, "name", "version_number DESC"])
        page = paged(list(versions), max_results, page_token)
        return PagedList(map(ModelVersion.of, page), page.token)

    def transition_model_version_stage(
        self, name: str, version: Version, stage: str, archive_existing_versions: bool = False
    ) -> ModelVersion:
        """Move a version to a stage; the others stay in it, unless `archive_existing_versions` archives them.

        Warns
        -----
        CrowdedStage
            If several versions hold the stage now.
        """
        number = checked_version(version)
        return ModelVersion.of(
            self._registry.transition(name, number, stage, archive_existing=archive_existing_versions)
        )

    def update_model_version(self, name: str, version: Version, description: str | None = None) -> ModelVersion:
        """Replace the description of a version."""
        number = checked_version(version)
        if description is None:
            raise Invalid("update_model_version() needs description=, since there is nothing else to update")
        self._registry.describe(name, description, version=number)
        return self.get_model_version(name, number)

    def delete_model_version(self, name: str, version: Version) -> None:
        """Delete a version; refused while it is in Production or Staging."""
        self._registry.delete(name, version=checked_version(version))

    def set_model_version_tag(
        self, name: str, version: Version | None = None, key: Any = None, value: Any = None, stage: str | None = None
    ) -> None:
        """Set a tag of a version, named by its number or by the stage that it holds."""
        self._registry.tag(name, {key: value}, version=_which(version, stage))

    def delete_model_version_tag(
        self, name: str, version: Version | None = None, key: Any = None, stage: str | None = None
    ) -> None:
        """Remove a tag of a version; one that is not there is no error."""
        self._registry.untag(name, key, version=_which(version, stage))

    # -- aliases --------------------------------------------------------------------------------------------------

    def set_registered_model_alias(self, name: str, alias: str, version: Version) -> None:
        """Point an alias to a version, wherever it pointed before."""
        self._registry.alias(name, alias, checked_version(version))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias; as in MLflow, one that is not there is no error."""
        try:
            self._registry.unalias(name, alias)
        except AliasNotFound:
            return


def _which(version: Version | None, stage: str | None) -> Which:
    if (version is None) == (stage is None):
        raise Invalid("give either the version's number or the stage that it holds")
    return checked_version(version) if stage is None else Stage(stage)
