"""The extension of Jupyter Server: its settings and its addresses."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Unicode

from registry_nb.server import handlers


class RegistryApp(ExtensionApp):
    """The pages of registries."""

    name = "registry_nb"
    app_name = "registry-nb serve"
    description = "Show model registries to those who decide."
    default_url = "/registry-nb/"
    load_other_extensions = False
    registry = Unicode(help="A folder, or the URI of a team's registry, for pages that name none.").tag(config=True)
    read_only = Bool(default_value=False, help="Only show: no button changes anything.").tag(config=True)

    @classmethod
    def get_extension_package(cls) -> str:
        """Return where Jupyter Server finds this extension; by default it is the top-level package."""
        return "registry_nb.server"

    def initialize_settings(self) -> None:
        """Hand the settings to the handlers."""
        self.settings["registry_nb"] = {"registry": self.registry, "changes": not self.read_only}

    def initialize_handlers(self) -> None:
        """Add the addresses."""
        self.handlers.extend(handlers.ADDRESSES)
