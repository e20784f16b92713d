"""usage: the bytes that models and versions cost, their own and those that they share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from registry_nb.context import Context
from registry_nb.domain.listing import Listing
from registry_nb.operations import resolve
from registry_nb.showing import Shown
from registry_nb.stores.ports import Used


@dataclass(frozen=True, slots=True, repr=False)
class Usage(Shown):
    """The stored bytes of a model, of one of its versions, or of the models of all runs.

    Attributes
    ----------
    uri : str
        ``models:/Iris``, ``models:/Iris/3``, or ``runs:/`` for the models of all runs together.
    versions : int
        How many versions these are; 0 for runs.
    files : int
        Stored files, those with equal bytes once.
    size : int
        Stored bytes of these files.
    own : int
        Those of them that nothing else uses, so that they go when this goes.
    """

    uri: str
    versions: int
    files: int
    size: int
    own: int

    @property
    def shared(self) -> int:
        """Stored bytes that something else uses as well."""
        return self.size - self.own


def usage(context: Context, name: str | None = None) -> Listing[Usage]:
    """List the stored bytes by model or, of one model, by version; the most expensive first.

    Equal files are stored once, whatever uses them. So the sizes of the rows may add up to more than is stored.

    Parameters
    ----------
    name : str, optional
        Of this model only, by version.

    Raises
    ------
    ModelNotFound

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> v = registry.register(lambda X: [0 for _ in X], "Zero")
    >>> [(one.uri, one.versions, one.own == v.size) for one in registry.usage()]
    [('models:/Zero', 1, True)]
    """
    store = context.store
    name = name if name is None else resolve.known(store, name)
    of_versions = name is not None
    found = _by_owner(store.consistent(lambda: list(store.files())), of_versions=of_versions)
    rows = [one for one in found if not of_versions or one.uri.startswith(f"models:/{name}/")]
    empty = "nothing is stored; register(model, name) stores a model" if name is None else f"{name!r} has no versions"
    return Listing(sorted(rows, key=lambda one: (-one.size, one.uri)), empty=empty)


def _by_owner(used: Iterable[Used], *, of_versions: bool) -> list[Usage]:
    """Add up what each model, or each version, uses; all that runs use is one row."""
    sizes, owners, numbers = dict[str, int](), defaultdict[str, set[str]](set), defaultdict[str, set[int]](set)
    for one in used:
        model = f"models:/{one.name}" if one.version else "runs:/"
        owner = one.uri if one.version and of_versions else model
        sizes[one.file.digest] = one.file.size
        owners[one.file.digest].add(owner)
        numbers[owner].update({one.version} - {0})
    files = defaultdict[str, list[str]](list)
    for digest, several in owners.items():
        for owner in several:
            files[owner].append(digest)
    return [
        Usage(
            owner,
            len(numbers[owner]),
            len(digests),
            sum(sizes[digest] for digest in digests),
            sum(sizes[digest] for digest in digests if len(owners[digest]) == 1),
        )
        for owner, digests in files.items()
    ]
