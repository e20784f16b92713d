"""The IPython extension: ``%load_ext registry_nb`` adds ``%registry``, its completions, and the display of records.

It loads quickly, for use in a start-up file: formatters are registered by name, and loaded when something is shown.
"""

from __future__ import annotations

import sys
from typing import Any

_MIMES = ("text/html", "text/plain")
#: The base class of all that is shown as ``%config RegistryMagics`` sets.
_SHOWN = "registry_nb.showing", "Shown"


def load_ipython_extension(ipython: Any) -> None:
    """Register the magic, the completer and the formatters; a second call changes nothing."""
    from registry_nb.notebook.magics import RegistryMagics

    if isinstance(ipython.magics_manager.registry.get(RegistryMagics.__name__), RegistryMagics):
        return
    magics = _configured(ipython)
    ipython.register_magics(magics)
    ipython.Completer.custom_matchers.append(magics.complete)

    def html(record: object) -> str | None:
        from registry_nb.display import render

        return None if magics.display == "text" else render.html(record, magics.limit)

    def plain(record: object, printer: Any, cycle: bool) -> None:
        from registry_nb.display import render

        printer.text(repr(record) if len(printer.stack) > 1 else render.text(record, magics.limit))

    for mime, shows in zip(_MIMES, (html, plain), strict=True):
        ipython.display_formatter.formatters[mime].for_type_by_name(*_SHOWN, shows)


def unload_ipython_extension(ipython: Any) -> None:
    """Remove the magic, the completer and the formatters."""
    from registry_nb.notebook.magics import RegistryMagics

    magics = ipython.magics_manager.registry.pop(RegistryMagics.__name__, None)
    if magics is None:
        return
    for where in ("line", "cell"):
        ipython.magics_manager.magics[where].pop("registry", None)
    _forget_settings(ipython)
    matchers = ipython.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if getattr(matcher, "__self__", None) is not magics]
    for mime in _MIMES:
        ipython.display_formatter.formatters[mime].pop(".".join(_SHOWN), None)


def _configured(ipython: Any) -> Any:
    """Make the magic with its settings; with the defaults if one is wrong, because ``%config`` keeps a wrong one."""
    from traitlets import TraitError

    from registry_nb.errors import RegistryError
    from registry_nb.notebook.magics import RegistryMagics

    try:
        return RegistryMagics(ipython)
    except (TraitError, RegistryError) as error:
        _forget_settings(ipython)
        ipython.config.pop(RegistryMagics.__name__, None)
        sys.stderr.write(f"%registry starts with its default settings, because one is wrong: {error}\n")
        return RegistryMagics(ipython)


def _forget_settings(ipython: Any) -> None:
    """Remove the magic from the list of ``%config``, which sets the first of a name, even an unloaded one."""
    from registry_nb.notebook.magics import RegistryMagics

    ipython.configurables[:] = [one for one in ipython.configurables if type(one).__name__ != RegistryMagics.__name__]
