"""What a ``postgresql:`` URI says: the database, our own parameters, and what of it may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from registry_nb.errors import Invalid, shown

SCHEMES = ("postgresql", "postgres")
SCHEMA = "registry_nb"
#: Parameters of libpq that are secrets; everything else of a URI but its password may be shown.
_SECRETS = frozenset({"password", "sslpassword"})
_OURS = frozenset({"artifacts", "schema", "prepare"})
_HOSTS = re.compile(r"[^:]*(:\d*)?(,[^:]*(:\d*)?)*|.*\[[0-9a-fA-F:.%]*\](:\d*)?")


@dataclass(frozen=True)
class Address:
    """A parsed URI.

    Attributes
    ----------
    shown : str
        The URI without its passwords: what people see, and what another process opens that has its own.
    server : str
        The part that libpq understands, with everything.
    key : str
        Equal for the same database and schema.
    schema : str
    artifacts : str
        Where the bytes are; empty if the database says it.
    prepare : bool
        Whether statements are prepared, which a pooler in transaction mode does not allow.
    """

    shown: str
    server: str = field(repr=False)
    key: str
    schema: str
    artifacts: str
    prepare: bool


class _Parts(NamedTuple):
    """A URI as libpq splits it; nothing is decoded."""

    scheme: str
    user: str
    hosts: str
    path: str
    query: tuple[str, ...]

    def text(self, leave_out: frozenset[str]) -> str:
        """Write it again, without the password and without some parameters."""
        kept = [part for part in self.query if _key(part) not in leave_out]
        return f"{self.scheme}://{self.user}{self.hosts}{self.path}{'?' if kept else ''}{'&'.join(kept)}"


def is_postgres(uri: str) -> bool:
    """Whether a URI names a database."""
    return uri.partition("://")[0].lower() in SCHEMES and "://" in uri


def without_secrets(uri: str) -> str:
    """Return a URI without its passwords; any other text stays.

    It never fails: a wrong URI, or one of another scheme, is shown as well.

    Examples
    --------
    >>> without_secrets("postgresql://ada:secret@db/models?artifacts=s3://bucket&password=secret")
    'postgresql://ada@db/models?artifacts=s3://bucket'
    """
    return _split(uri).text(_SECRETS) if is_postgres(uri) or ("://" in uri and "@" in uri) else uri


def parsed(uri: str) -> Address:
    """Parse a URI.

    Raises
    ------
    Invalid
        Without the password in its sentence.
    """
    parts = _split(uri)
    ours = {_key(part): unquote(part.partition("=")[2]) for part in parts.query if _key(part) in _OURS}
    schema, prepare, artifacts = ours.get("schema", SCHEMA), ours.get("prepare", "on"), ours.get("artifacts", "")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema) or schema.startswith("pg_"):
        text = "it has small letters, digits and underscores, and does not begin with pg_"
        raise Invalid(f"{shown(schema)} cannot be the schema of a registry: {text}")
    if prepare not in {"on", "off"}:
        raise Invalid(f"prepare={prepare} is neither on nor off; a pooler in transaction mode needs prepare=off")
    if re.match(r"\w+://[^/@]*:[^/@]*@", artifacts):
        raise Invalid("artifacts= has a password, which the database would show; leave it to the environment")
    rest = uri.partition("://")[2].partition("?")[0]
    query = "&".join(part for part in parts.query if _key(part) not in _OURS)
    anybody = parts._replace(scheme="postgresql", user="")
    return Address(
        shown=parts.text(_SECRETS),
        server=f"postgresql://{rest}{'?' if query else ''}{query}",
        key=f"{anybody.text(_SECRETS | _OURS | {'user'})}#{schema}",
        schema=schema,
        artifacts=artifacts,
        prepare=prepare == "on",
    )


def _key(part: str) -> str:
    return unquote(part.partition("=")[0])


def _split(uri: str) -> _Parts:
    scheme, _, rest = uri.partition("://")
    front, _, query = rest.partition("?")
    authority, slash, path = front.partition("/")
    user, at, hosts = authority.rpartition("@")
    if not at and ("@" in path or ("@" in query and not _HOSTS.fullmatch(authority))):
        # A password with a slash or a question mark that is not escaped: what is left of the last @ may be it.
        return _Parts(scheme, "…@", hosts=rest.rpartition("@")[2].partition("?")[0], path="", query=())
    name = user.partition(":")[0]
    return _Parts(scheme, f"{name}{at}", hosts, f"{slash}{path}", tuple(filter(None, query.split("&"))))
