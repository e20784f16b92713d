"""The panel under the cell: one widget; its state is the rows that it shows, and its buttons send messages.

The rows are sent once; afterwards only changes are sent. Callbacks run on the kernel's main thread, or on another one
beside the user's cell (it depends on ipykernel), and the watch calls from a third thread: they share state under one
lock, which is not held while a change is made. Nothing is printed here: where it would appear depends on ipykernel too.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape
from typing import Any

import anywidget
from traitlets import Bool, Bytes, Int, List, Unicode, observe

from registry_nb.context import Context
from registry_nb.display import render, sentences
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, ModelVersion, RegisteredModel
from registry_nb.errors import Invalid, NotFound, RegistryError, sentence_of
from registry_nb.operations import queries, resolve
from registry_nb.panel import actions, rows
from registry_nb.panel.badges import Badges
from registry_nb.panel.frontend import frontend
from registry_nb.panel.watch import MANY, watch
from registry_nb.panel.wording import message_for

#: Rows of the static snapshot.
_SNAPSHOT = 20


class RegistryPanel(anywidget.AnyWidget):
    """The panel of a registry, or of one of its models.

    Parameters
    ----------
    context : Context
    name : str, optional
        The model that is opened; the default is the list of models.
    notebook : mapping, optional
        The variables that can be registered; the default is those of the notebook.
    comm : optional
        What carries its messages, if not the comm of a kernel.
    changes : bool
        Whether its buttons may change something.

    Raises
    ------
    ModelNotFound
    """

    models = Bytes().tag(sync=True)
    versions = Bytes().tag(sync=True)
    model = Unicode().tag(sync=True)
    view = Unicode("models").tag(sync=True)
    version: Any = Int(None, allow_none=True).tag(sync=True)
    uri = Unicode().tag(sync=True)
    user = Unicode().tag(sync=True)
    variables: Any = List().tag(sync=True)
    readonly = Bool(default_value=False).tag(sync=True)
    problem = Unicode().tag(sync=True)
    _esm = Unicode().tag(sync=True)

    def __init__(
        self,
        context: Context,
        name: str | None = None,
        *,
        notebook: Mapping[str, Any] | None = None,
        comm: Any = None,
        changes: bool = True,
    ) -> None:
        name = _known(context, name) if name else ""
        self._lock = threading.RLock()
        self._context = context
        self._notebook = _kernel_variables() if notebook is None else notebook
        self._badges = Badges(context)
        self._opened = name  # the model whose versions the browser has
        self._revision = 0  # of the state that was sent last
        self._stale = False  # whether patches were sent that the traits do not have
        self._pending = 0
        self._changes = changes
        with self._lock:  # events from now on wait until the rows are set
            self._watch = watch(context, self)
            super().__init__(
                _esm=frontend(),
                model=name,
                view="versions" if name else "models",
                uri=context.uri,
                user=context.user,
                variables=actions.variables(self._notebook),
                **({"comm": comm} if comm is not None else {}),
                **self._rows_or_none(),
            )
        self.on_msg(self._on_message)

    # -- messages from the browser -------------------------------------------------------------------------------------

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Set traits from the browser, but not while another thread sends it something."""
        with self._lock:
            super().set_state(sync_data)

    @observe("model")
    def _on_model(self, change: Mapping[str, Any]) -> None:
        try:
            self._open(change["new"])
        except Exception:  # noqa: BLE001  # the message that follows is answered with the reason
            self.model = self._opened

    def _on_message(self, _widget: object, message: Any, _buffers: object) -> None:
        if not isinstance(message, Mapping) or "op" not in message:
            return
        number, op, args = (message.get(key) for key in ("id", "op", "args"))
        try:
            with self._announced():
                result = self._perform(op, args or {}, lambda text: self.send({"id": number, "progress": text}))
            reply = {"id": number, "ok": True, "result": result}
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the browser waits for an answer in any case
            kind = type(error).__name__
            reply = {"id": number, "ok": False, "error": {"type": kind, "message": message_for(error)}}
        try:
            self.send(reply)
        except (TypeError, ValueError) as error:  # a record of another writer may not be JSON
            self.send(
                {"id": number, "ok": False, "error": {"type": type(error).__name__, "message": sentence_of(error)}}
            )

    def _perform(self, op: Any, args: Mapping[str, Any], say: Callable[[str], None]) -> Any:
        match op:
            case "open":
                self._open(args.get("model", ""))
            case "sync":
                self._sync(args)
            case "variables":
                self.variables = actions.variables(self._notebook)
            case _:
                result = actions.perform(op, args, actions.Caller(self._context, self._notebook, say, self._changes))
                if op == "check":
                    self._on_check(result["lines"])
                return result
        return {}

    @contextmanager
    def _announced(self) -> Iterator[None]:
        """Notify every panel of this kernel of the change before the browser gets its answer."""
        with self._lock:
            self._pending += 1
        try:
            yield
        finally:
            try:
                self._watch.poll()
            finally:
                with self._lock:
                    self._pending -= 1

    def _open(self, name: str) -> None:
        with self._lock:
            if name == self._opened:
                self.model = name
                return
            before = self._opened
            self._opened = _known(self._context, name) if name else ""
            try:
                versions = self._packed()
            except BaseException:
                self._opened = before
                raise
            with self.hold_sync():
                self.versions, self.model = versions, self._opened

    def _sync(self, has: Mapping[str, Any]) -> None:
        with self._lock:
            same_model = has.get("model", "") == self._opened
            late = {
                "models": has.get("models") != self._revision,
                "versions": bool(self._opened) and not (same_model and has.get("versions") == self._revision),
            }
            if names := list(filter(late.get, late)):  # no comprehension where a lock is held: `journal._documents`
                self.send_state([*names, "model"])

    def _on_check(self, problems: Iterable[str]) -> None:
        with self._lock:
            if self._badges.checked(problems):
                self._reload()

    # -- notifications from the watch ----------------------------------------------------------------------------------

    def on_events(self, events: Sequence[Event], *, reload: bool) -> None:
        """Send what changed to the browser."""
        with self._lock:
            self._revision += 1
            try:
                self._follow(events)
                if _trusts_a_signer(events):
                    self._badges.reset()
                    reload = True
                patch = None if reload or self.problem else self._patch(events)
                if patch is None:
                    self._reload()
            except Exception as error:  # noqa: BLE001  # the browser keeps its rows and shows the reason
                self.problem = sentence_of(error)
                return
            message: dict[str, Any] = {"news": sentences.news(self._by_others(events))}
            if patch is not None:
                self._stale, message["patch"] = True, patch
            if patch is not None or message["news"]:
                self.send(message)

    def on_status(self, problem: str, *, writable: bool) -> None:
        """Show whether the registry can be read and written."""
        with self._lock:
            self.problem, self.readonly = problem, not (writable and self._changes)

    def on_idle(self) -> None:
        """Check the seals of the next versions."""
        with self._lock:
            if by_badge := self._badges.check_next():
                self._revision += 1
                self._stale = True
                badges = {badge: rows.bits(numbers) for badge, numbers in by_badge.items()}
                self.send({"patch": {"revision": self._revision, "model": self._opened, "badges": badges}, "news": []})

    def _follow(self, events: Iterable[Event]) -> None:
        """Follow the open model to its new name; if it was deleted, show the list of models."""
        name = self._opened
        for event in events:
            if event.renamed_from == name:
                name = event.name
        if name and self._context.store.model(name, latest=False) is None:
            name = ""
        if name != self._opened:
            self._open(name)

    def _patch(self, events: Sequence[Event]) -> dict[str, Any] | None:
        """Return the current rows that events are about; None if they are too many."""
        store = self._context.store
        names, numbers = set[str](), set[int]()
        for event in events:
            names.add(event.name)
            if event.renamed_from:
                names.add(event.renamed_from)
            elif event.name == self._opened:
                moved = event.old.get("aliases") or {}
                numbers.update(number for number in (event.version, *moved.values()) if number)
        if len(names) + len(numbers) > MANY:
            return None
        models = [model for name in sorted(names) if (model := store.model(name)) is not None]
        rows_of = {row["name"]: row for row in rows.model_rows(models, store.crowds(names))}
        versions = {version.version: version for version in store.picked([(self._opened, n) for n in sorted(numbers)])}
        measured = dict.fromkeys(metric for version in versions.values() for metric in version.metrics)
        return {
            "revision": self._revision,
            "model": self._opened,
            "better": rows.directions(measured, self._policies()) if self._opened else {},
            "models": {name: rows_of.get(name) for name in sorted(names)},
            "versions": {
                n: rows.version_row(versions[n], self._badges.of(versions[n])) if n in versions else None
                for n in sorted(numbers)
            },
        }

    def _by_others(self, events: Iterable[Event]) -> list[Event]:
        """Leave out the panel's own changes, which its answers report, and models that it does not show."""
        shown = [event for event in events if not self._opened or event.name == self._opened]
        return [event for event in shown if not (self._pending and event.user == self._context.user)]

    # -- rows ----------------------------------------------------------------------------------------------------------

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Return the state for the browser; with current rows for a page that did not receive the patches."""
        wanted = {"models", "versions"}.intersection(
            self.keys if key is None else [key] if isinstance(key, str) else key
        )
        with self._lock:
            if self._stale and wanted:
                self._stale = False
                # Without notification: setting the traits would send them, and they are being sent.
                self._trait_values.update(self._rows_or_none())
            return super().get_state(key, drop_defaults)  # type: ignore[no-any-return]

    def _reload(self) -> None:
        state = self._rows()
        self._stale = False
        with self.hold_sync():
            self.models, self.versions = state["models"], state["versions"]
        self.problem = ""

    def _rows(self) -> dict[str, bytes]:
        context = self._context
        return {
            "models": rows.packed(rows.model_columns(context.store, queries.models(context), self._revision)),
            "versions": self._packed(),
        }

    def _rows_or_none(self) -> dict[str, bytes]:
        """Return the rows; the previous ones if the registry cannot be read (the watch reports why)."""
        try:
            return self._rows()
        except RegistryError:
            return {"models": self.models, "versions": self.versions}

    def _packed(self) -> bytes:
        if not self._opened:
            return b""
        versions = queries.versions(self._context, self._opened)
        badges = self._badges.of_all(self._opened, versions)
        return rows.packed_versions(self._opened, versions, self._revision, badges, self._policies())

    def _policies(self) -> Mapping[str, Sequence[str]]:
        model = self._context.store.model(self._opened, latest=False)
        return model.policies if model else {}

    # -- where no kernel runs ------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        # Not both without a viewer: nbconvert would prefer the widget, which is blank on a page without the network.
        return {**(data if _has_viewer() else {}), **self._snapshot()}, metadata

    def _snapshot(self) -> dict[str, str]:
        """Return what a page without a kernel shows: a table, and the call that shows the panel."""
        call = f"registry.panel({json.dumps(self._opened, ensure_ascii=False) if self._opened else ''})"
        try:
            shown: Listing[ModelVersion] | Listing[RegisteredModel]
            shown, count, what = self._newest_versions() if self._opened else self._all_models()
        except RegistryError as error:
            shown, count, what = Listing(), 0, sentence_of(error)
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        part = f"the newest {len(shown)} of {count:,} " if self._opened and len(shown) < count else ""
        line = f"Snapshot of {part}{what} ({at}); {call} in Jupyter shows the panel itself."
        return {
            "text/html": f"{render.html(shown)}<p>{escape(line)}</p>",
            "text/plain": f"{render.text(shown)}\n{line}",
        }

    def _newest_versions(self) -> tuple[Listing[ModelVersion], int, str]:
        store, name = self._context.store, self._opened
        crowd = next(store.crowds([name]), None)
        newest, count = (crowd.newest, sum(crowd.counts.values())) if crowd else (0, 0)
        numbers = range(max(1, newest - 10 * _SNAPSHOT), newest + 1)  # of which some may be deleted
        versions = list(store.picked([(name, number) for number in numbers]))[: -_SNAPSHOT - 1 : -1]
        what = f"the versions of {name}" if count == len(versions) else f"versions of {name}"
        return Listing(versions), count, what

    def _all_models(self) -> tuple[Listing[RegisteredModel], int, str]:
        models = queries.models(self._context)  # without its location: a saved notebook is read elsewhere
        return models, len(models), "the registry's models"

    def close(self) -> None:
        """Close the widget, and with the last one the watch."""
        if (watch := getattr(self, "_watch", None)) is not None:
            watch.remove(self)
        super().close()


def _known(context: Context, name: str) -> str:
    """Return the name of an existing model; of a registry that cannot be read, the name as given."""
    try:
        return resolve.known(context.store, name)
    except (NotFound, Invalid):
        raise
    except RegistryError:
        return name


def _trusts_a_signer(events: Iterable[Event]) -> bool:
    """Return whether a signer became trusted, which changes the badges of many versions."""
    return any(event.action == "trusted" and isinstance(event.new.get("trusted"), str) for event in events)


def _kernel_variables() -> Mapping[str, Any]:
    """Return the live namespace of the notebook."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return {} if shell is None else shell.user_ns


def _has_viewer() -> bool:
    """Return whether a page shows the output; nbconvert and the like run cells that cannot ask for input."""
    from IPython.core.getipython import get_ipython

    header = getattr(get_ipython(), "parent_header", None) or {}
    alone = header.get("content", {}).get("allow_stdin", True) is False
    return not alone or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")  # which has viewers
