"""A page for those who decide: the panel without a notebook, served by Jupyter Server.

It is an extension of Jupyter Server, whose login, tokens and TLS it uses. The panel speaks over a WebSocket as it does
over the comm of a kernel. No model is loaded here, and no function of a rule is run.
"""

from __future__ import annotations

from typing import Any

__all__ = ["serve"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Name the extension, as Jupyter Server asks."""
    from registry_nb.server.app import RegistryApp

    return [{"module": "registry_nb.server", "app": RegistryApp}]


def serve(uri: str | None, options: list[str]) -> None:
    """Serve the page until Ctrl-C; see ``registry-nb help serve``."""
    from registry_nb.server.app import RegistryApp

    # Jupyter Server reads the options, and knows no flags of an extension.
    words = [_READ_ONLY if option == "--read-only" else option for option in options]
    words += [f"--RegistryApp.registry={uri}"] if uri else []
    RegistryApp.launch_instance(words)  # type: ignore[no-untyped-call]


_READ_ONLY = "--RegistryApp.read_only=True"
