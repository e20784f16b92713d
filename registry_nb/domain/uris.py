"""Model URIs: ``models:/Name/Stage``, ``models:/Name/3``, ``models:/Name@alias``, ``runs:/id/path``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from registry_nb.domain.records import Stage
from registry_nb.domain.validation import checked_alias, checked_name, checked_version
from registry_nb.errors import BadURI, BadVersion, Invalid

#: A version number, a stage, ``"@alias"`` or ``"latest"``.
Which: TypeAlias = int | Stage | str


@dataclass(frozen=True, slots=True)
class ModelURI:
    """A version of a registered model."""

    name: str
    which: Which

    def __str__(self) -> str:
        return f"models:/{self.name}{self.which if str(self.which).startswith('@') else f'/{self.which}'}"


@dataclass(frozen=True, slots=True)
class RunURI:
    """A model that a run logged."""

    run_id: str
    path: str

    def __str__(self) -> str:
        return f"runs:/{self.run_id}/{self.path}"


def parse_uri(uri: object) -> ModelURI | RunURI:
    """Parse a model URI; percent signs are not decoded.

    Raises
    ------
    BadURI, BadName, BadVersion, UnknownStage
        If it is not a model URI. The message names the mistake, and a likely correction.

    Examples
    --------
    >>> parse_uri("models:/Iris/production")
    ModelURI(name='Iris', which=<Stage.PRODUCTION: 'Production'>)
    >>> str(parse_uri("models:/Iris@champion"))
    'models:/Iris@champion'
    """
    if not isinstance(uri, str):
        raise BadURI(given=uri, reason="it must be text")
    scheme, colon, rest = uri.partition(":/")
    if not colon or scheme not in {"models", "runs"}:
        if re.fullmatch(r"[^/:\\.~][^/:\\]*(/[^/:\\]+|@[^/:\\@]+)", uri):
            raise BadURI(given=uri, reason=f"its scheme is missing; did you mean 'models:/{uri}'?")
        raise BadURI(given=uri, reason="it does not begin with models:/ or runs:/")
    if rest.startswith("/"):
        raise BadURI(given=uri, reason=f"there must be one slash after {scheme}:")
    return _run_uri(uri, rest) if scheme == "runs" else _model_uri(uri, rest)


def parse_which(which: object) -> Which:
    """Parse a version number, a stage, ``"@alias"`` or ``"latest"``.

    Raises
    ------
    BadVersion, BadName, UnknownStage
        If it is none of these.
    """
    if isinstance(which, Stage):
        return which
    if isinstance(which, str):
        if which.startswith("@"):
            return f"@{checked_alias(which[1:])}"
        if which == "latest":
            return which
        if not re.match(r"[-+.\d]", which):
            return Stage(which)
    return checked_version(which)


def _model_uri(uri: str, rest: str) -> ModelURI:
    name, at, alias = rest.partition("@")
    if at:
        which = f"@{alias}"
    else:
        name, slash, which = rest.rpartition("/")
        if not slash:
            raise BadURI(given=uri, reason="its version is missing; add /Production, /3, /latest or @alias")
    if "/" in name:
        raise BadURI(given=uri, reason="it has too many slashes")
    try:
        return ModelURI(checked_name(name), parse_which(which))
    except BadVersion:
        raise
    except Invalid as error:
        if not which or not name:
            raise BadURI(given=uri, reason="its name or its version is empty") from error
        raise


def _run_uri(uri: str, rest: str) -> RunURI:
    run_id, slash, path = rest.partition("/")
    if not run_id or not slash or not path.strip("/"):
        raise BadURI(given=uri, reason="it must name a run and the path of a model: runs:/run_id/model")
    return RunURI(run_id, path.strip("/"))
