"""Where a version came from: its cells, its commit, its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_nb.display.cells import Cell, visible
from registry_nb.display.sheets import Page, Sheet
from registry_nb.domain.records import ModelVersion
from registry_nb.operations.integrity import ALTERED


def same_bytes(version: ModelVersion) -> str:
    """Name the version that had the same bytes when this one was registered, if there was one."""
    twin = version.provenance.get("same_bytes_as")
    return f"the same bytes as version {twin}" if isinstance(twin, int) else ""


def source_of(version: ModelVersion, *, altered: bool) -> str:
    """Join the cells that made a version; a cell that ran twice appears once, at its last place."""
    origin = version.provenance
    cells = [*(part["source"] for part in origin.get("slice", ())), *([origin["cell"]] if "cell" in origin else [])]
    last = {source: place for place, source in enumerate(cells)}
    once = [source.rstrip("\n") for place, source in enumerate(cells) if last[source] == place]
    warning = [f"# {version.uri}: {ALTERED}.\n# Read it before you run it."] if altered and once else []
    return "\n\n".join([*warning, *once])


def cells_of(version: ModelVersion, *, altered: bool) -> Page:
    """Show the cells that made a version; `altered` adds a warning that the record was changed."""
    origin, note = version.provenance, ALTERED if altered else ""
    if "cell" not in origin:
        why = f"{version.name} {version.version} was not registered from a notebook, or without its provenance"
        why = f"{why}; {note}" if note else why
        return Page(visible(why), Sheet(visible(why)))
    cells = [(f"In [{part['count']}]", part["source"]) for part in origin["slice"]]
    cells.append((f"In [{origin['execution_count']}]", origin["cell"]))
    title = visible(f"the cells that made {version.name} {version.version} ({origin['slice_is']})")
    lines = [title, *([note] if note else [])]
    lines += [f"\n# {name}\n{visible(source, 20_000).rstrip()}" for name, source in cells]
    rows = [(Cell(name, kind="time"), Cell(visible(source, 20_000), kind="cell")) for name, source in cells]
    return Page("\n".join(lines), Sheet(title, head=("", "source"), rows=rows, note=note))


def summary(provenance: Mapping[str, Any]) -> str:
    """Describe in one line where a version came from; `cells_of` has the cells."""
    git, data = provenance.get("git", {}), provenance.get("data", {})
    dirty = " with changes" if git.get("dirty") else ""
    parts = [
        provenance.get("source", ""),
        f"stands on {base['uri']}" if isinstance(base := provenance.get("base"), Mapping) else "",
        provenance.get("notebook", ""),
        f"In [{provenance['execution_count']}]" if "execution_count" in provenance else "",
        f"commit {git['commit'][:8]}{dirty}" if git else "",
        f"data {data['sha256'][:8]}, {data['rows']:,} rows" if "sha256" in data else "",
    ]
    return ", ".join(part for part in parts if part)
