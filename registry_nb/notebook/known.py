"""The names in a registry, for correcting lines: models, versions, aliases, metrics, also misspelt ones."""

from __future__ import annotations

from difflib import get_close_matches

from registry_nb.domain.records import ModelVersion
from registry_nb.registry import Registry

#: Models, and versions of each, that are searched for keys.
_MODELS, _VERSIONS = 20, 5


class Known:
    """The names in a registry, read once."""

    def __init__(self, registry: Registry) -> None:
        self._store = registry.store
        self.names = registry.store.model_names()
        self._folded = {name.casefold(): name for name in reversed(self.names)}

    def exact(self, word: str) -> str | None:
        """Return the model that a word names, ignoring case."""
        return word if word in self.names else self._folded.get(word.casefold())

    def near(self, word: str) -> str | None:
        """Return the model that a word may be a misspelling of."""
        found = get_close_matches(word.casefold(), self._folded, n=1, cutoff=0.6)
        return self.exact(word) or (self._folded[found[0]] if found else None)

    def prefixes(self) -> dict[str, str]:
        """Return the metrics, parameters and tags of the newest versions, as filters write them."""
        found = dict[str, str]()
        for name in self.names[:_MODELS]:
            for record in self._newest(name):
                for prefix in ("tags", "params", "metrics"):
                    found.update((key, f"{prefix}.{key}") for key in getattr(record, prefix))
        return found

    def metrics(self, name: str) -> list[str]:
        """Name the metrics of a model's newest versions."""
        return list(dict.fromkeys(key for record in self._newest(name) for key in record.metrics))

    def aliases(self, name: str) -> list[str]:
        """Name the aliases of a model."""
        record = self._store.model(name, latest=False)
        return list(record.aliases) if record else []

    def with_metric(self, metric: str) -> str | None:
        """Return the first model with a metric."""
        return next((name for name in self.names[:_MODELS] if metric in self.metrics(name)), None)

    def with_alias(self, alias: str) -> str | None:
        """Return the first model with an alias."""
        return next((name for name in self.names[:_MODELS] if alias in self.aliases(name)), None)

    def numbers(self, name: str) -> list[str]:
        """Return some numbers of versions, the newest first."""
        return [str(version.version) for version in self._recent(name)]

    def _newest(self, name: str) -> list[ModelVersion]:
        return self._recent(name)[:_VERSIONS]

    def _recent(self, name: str) -> list[ModelVersion]:
        newest = self._store.newest(name)
        return list(self._store.picked([(name, number) for number in range(max(newest - 20, 0) + 1, newest + 1)]))[::-1]
