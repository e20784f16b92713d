"""The panel as a method of `Registry`: the widget's libraries load when it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_nb.context import Context
from registry_nb.operations import batch

if TYPE_CHECKING:
    from registry_nb.panel.widget import RegistryPanel


def panel(context: Context, name: str | None = None) -> RegistryPanel:
    """Show the panel under the cell: all models, or one.

    Parameters
    ----------
    name : str, optional

    Raises
    ------
    Refused
        Inside a batch.
    """
    batch.refuse_inside(context, "the panel", "it stays when the batch ends")
    from registry_nb.panel.widget import RegistryPanel

    return RegistryPanel(context, name)
