"""The notebook's door: ``%load_ext registry_nb`` brings ``%registry``, its completions, and the look of records."""

from __future__ import annotations

from typing import Any

_MIMES = ("text/html", "text/plain")


def load_ipython_extension(ipython: Any) -> None:
    """Register the magic, the completer and the look of records; a second time changes nothing."""
    from registry_nb.notebook import views
    from registry_nb.notebook.magics import RegistryMagics

    if isinstance(ipython.magics_manager.registry.get(RegistryMagics.__name__), RegistryMagics):
        return
    magics = RegistryMagics(ipython)
    ipython.register_magics(magics)
    ipython.Completer.custom_matchers.append(magics.complete)

    def html(record: object) -> str | None:
        return views.html(record, magics.limit) if magics.display == "html" else None

    def plain(record: object, printer: Any, cycle: bool) -> None:
        printer.text(views.text(record, magics.limit))

    formatters = ipython.display_formatter.formatters
    for kind in views.SHOWN:
        formatters["text/html"].for_type(kind, html)
        formatters["text/plain"].for_type(kind, plain)


def unload_ipython_extension(ipython: Any) -> None:
    """Take everything away again."""
    from registry_nb.notebook import views
    from registry_nb.notebook.magics import RegistryMagics

    magics = ipython.magics_manager.registry.pop(RegistryMagics.__name__, None)
    if magics is None:
        return
    for where in ("line", "cell"):
        ipython.magics_manager.magics[where].pop("registry", None)
    matchers = ipython.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if getattr(matcher, "__self__", None) is not magics]
    for mime in _MIMES:
        for kind in views.SHOWN:
            ipython.display_formatter.formatters[mime].pop(kind, None)
