"""The panel under the cell: one widget, whose state is the rows that it shows, and whose buttons are messages.

The rows travel once; afterwards travels what changed. Callbacks run on the kernel's main thread or on another beside
the user's cell (it depends on ipykernel), and the watch tells from a third: what they share is under one lock, which
nobody holds while a change is made. Nothing is printed here: where it would appear depends on ipykernel, too.
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
from registry_nb.panel.watch import MANY, watching
from registry_nb.panel.wording import worded

#: Rows of the static twin.
_TWIN = 20


class RegistryPanel(anywidget.AnyWidget):
    """A context, or one of its models, to look at and to change.

    Parameters
    ----------
    context : Context
    name : str, optional
        The model that is opened; without it, the list of models.
    notebook : mapping, optional
        The variables that can be registered; those of the notebook if not given.

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

    def __init__(self, context: Context, name: str | None = None, *, notebook: Mapping[str, Any] | None = None) -> None:
        name = _existing(context, name) if name else ""
        self._lock = threading.RLock()
        self._context = context
        self._notebook = _of_the_kernel() if notebook is None else notebook
        self._badges = Badges(context)
        self._opened = name  # the model whose versions the browser has
        self._revision = 0  # of what the browser was sentences
        self._behind = False  # whether the traits are older than the patches that were sent after them
        self._asking = 0
        with self._lock:  # what happens from now on is told when the rows are there
            self._watch = watching(context, self)
            super().__init__(
                _esm=frontend(),
                model=name,
                view="versions" if name else "models",
                uri=context.uri,
                user=context.user,
                variables=actions.variables(self._notebook),
                **self._rows_or_none(),
            )
        self.on_msg(self._heard)

    # -- what the browser says ---------------------------------------------------------------------------------------

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take what the browser sets; not while another thread tells it something."""
        with self._lock:
            super().set_state(sync_data)

    @observe("model")
    def _chosen(self, change: Mapping[str, Any]) -> None:
        try:
            self._open(change["new"])
        except Exception:  # noqa: BLE001  # the message that comes with it is answered with the reason
            self.model = self._opened

    def _heard(self, _widget: object, message: Any, _buffers: object) -> None:
        if not isinstance(message, Mapping) or "op" not in message:
            return
        number, op, args = (message.get(key) for key in ("id", "op", "args"))
        try:
            with self._acting():
                result = self._answered(op, args or {}, lambda text: self.send({"id": number, "progress": text}))
            reply = {"id": number, "ok": True, "result": result}
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the browser waits for an answer, whatever
            kind = type(error).__name__
            reply = {"id": number, "ok": False, "error": {"type": kind, "message": worded(error)}}
        try:
            self.send(reply)
        except (TypeError, ValueError) as error:  # what somebody else's record holds may not be JSON
            self.send(
                {"id": number, "ok": False, "error": {"type": type(error).__name__, "message": sentence_of(error)}}
            )

    def _answered(self, op: Any, args: Mapping[str, Any], say: Callable[[str], None]) -> Any:
        match op:
            case "open":
                self._open(args.get("model", ""))
            case "sync":
                self._sync(args)
            case "variables":
                self.variables = actions.variables(self._notebook)
            case _:
                asked = actions.Asked(self._context, self._notebook, say)
                result = actions.answer(op, args, asked)
                if op == "check":
                    self._checked(result["lines"])
                return result
        return {}

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Let every panel of this kernel know what changed, before the browser has its answer."""
        with self._lock:
            self._asking += 1
        try:
            yield
        finally:
            try:
                self._watch.look()
            finally:
                with self._lock:
                    self._asking -= 1

    def _open(self, name: str) -> None:
        with self._lock:
            if name == self._opened:
                self.model = name
                return
            before = self._opened
            self._opened = _existing(self._context, name) if name else ""
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
            if names := [name for name, is_late in late.items() if is_late]:
                self.send_state([*names, "model"])

    def _checked(self, problems: Iterable[str]) -> None:
        with self._lock:
            if self._badges.checked(problems):
                self._read_anew()

    # -- what the watch says -----------------------------------------------------------------------------------------

    def told(self, events: Sequence[Event], *, anew: bool) -> None:
        """Hear what happened in the context, and tell the browser."""
        with self._lock:
            self._revision += 1
            try:
                self._follow(events)
                if _knows_a_signer(events):
                    self._badges.forget()
                    anew = True
                patch = None if anew or self.problem else self._patch(events)
                if patch is None:
                    self._read_anew()
            except Exception as error:  # noqa: BLE001  # whatever it is, the browser keeps its rows and shows why
                self.problem = sentence_of(error)
                return
            message: dict[str, Any] = {"news": sentences.news(self._of_others(events))}
            if patch is not None:
                self._behind, message["patch"] = True, patch
            if patch is not None or message["news"]:
                self.send(message)

    def stands(self, problem: str, *, writable: bool) -> None:
        """Hear whether the registry can be read, and written."""
        with self._lock:
            self.problem, self.readonly = problem, not writable

    def idle(self) -> None:
        """Look at the seals of some versions more."""
        with self._lock:
            if found := self._badges.look():
                self._revision += 1
                self._behind = True
                badges = {badge: rows.bits(numbers) for badge, numbers in found.items()}
                self.send({"patch": {"revision": self._revision, "model": self._opened, "badges": badges}, "news": []})

    def _follow(self, events: Iterable[Event]) -> None:
        """Follow the open model to its new name; without it, show the list of models."""
        name = self._opened
        for event in events:
            if event.renamed_from == name:
                name = event.name
        if name and self._context.store.model(name, latest=False) is None:
            name = ""
        if name != self._opened:
            self._open(name)

    def _patch(self, events: Sequence[Event]) -> dict[str, Any] | None:
        """Return the rows that events are about, as they are now; None if they are too many."""
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
        models = {name: store.model(name) for name in sorted(names)}
        versions = {number: store.version(self._opened, number) for number in sorted(numbers)}
        measured = dict.fromkeys(metric for version in versions.values() if version for metric in version.metrics)
        return {
            "revision": self._revision,
            "model": self._opened,
            "better": rows.directions(measured, self._policies()) if self._opened else {},
            "models": {name: model and rows.model_row(store, model) for name, model in models.items()},
            "versions": {n: v and rows.version_row(v, self._badges.of(v)) for n, v in versions.items()},
        }

    def _of_others(self, events: Iterable[Event]) -> list[Event]:
        """Leave out what this panel itself is doing, which its answer tells, and what it does not show."""
        shown = [event for event in events if not self._opened or event.name == self._opened]
        return [event for event in shown if not (self._asking and event.user == self._context.user)]

    # -- rows --------------------------------------------------------------------------------------------------------

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Return what the browser shall have; rows as they are now, if a page asks that did not see the patches."""
        wanted = {"models", "versions"}.intersection(
            self.keys if key is None else [key] if isinstance(key, str) else key
        )
        with self._lock:
            if self._behind and wanted:
                self._behind = False
                # Quietly: to set the traits would send them, and they are being sent.
                self._trait_values.update(self._rows_or_none())
            return super().get_state(key, drop_defaults)  # type: ignore[no-any-return]

    def _read_anew(self) -> None:
        state = self._rows()
        self._behind = False
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
        """Return the rows, or those that were shown last, if the registry cannot be read; the watch tells why."""
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

    # -- where no kernel runs ----------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        # Not both where nobody looks: nbconvert would prefer the widget, which is blank on a page without the network.
        return {**(data if _somebody_looks() else {}), **self._twin()}, metadata

    def _twin(self) -> dict[str, str]:
        """Return what a page without a kernel shows: a table, and how to bring it to life."""
        call = f"registry.panel({json.dumps(self._opened, ensure_ascii=False) if self._opened else ''})"
        try:
            shown: Listing[ModelVersion] | Listing[RegisteredModel]
            shown, count, what = self._newest() if self._opened else self._some_models()
        except RegistryError as error:
            shown, count, what = Listing(), 0, sentence_of(error)
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        part = f"the newest {len(shown)} of {count:,} " if self._opened and len(shown) < count else ""
        line = f"Snapshot of {part}{what} ({at}); {call} in Jupyter shows the panel itself."
        return {
            "text/html": f"{render.html(shown)}<p>{escape(line)}</p>",
            "text/plain": f"{render.text(shown)}\n{line}",
        }

    def _newest(self) -> tuple[Listing[ModelVersion], int, str]:
        store, name = self._context.store, self._opened
        found, number = list[ModelVersion](), store.newest(name)
        while number and len(found) < _TWIN:
            if (version := store.version(name, number)) is not None:
                found.append(version)
            number -= 1
        model = store.model(name)
        count = rows.model_row(store, model)["count"] if model else 0
        return Listing(found), count, f"the versions of {name}" if count == len(found) else f"versions of {name}"

    def _some_models(self) -> tuple[Listing[RegisteredModel], int, str]:
        models = queries.models(self._context)  # not where it is: a saved notebook is read elsewhere
        return models, len(models), "the registry's models"

    def close(self) -> None:
        """End the widget, and with the last one the watch."""
        if (watch := getattr(self, "_watch", None)) is not None:
            watch.remove(self)
        super().close()


def _existing(context: Context, name: str) -> str:
    """Return the name of a model that exists; a registry that cannot be read is shown as such, not refused."""
    try:
        return resolve.known(context.store, name)
    except (NotFound, Invalid):
        raise
    except RegistryError:
        return name


def _knows_a_signer(events: Iterable[Event]) -> bool:
    """Tell whether somebody's signature is known from now on, on whatever versions it is."""
    return any(event.action == "trusted" and isinstance(event.new.get("trusted"), str) for event in events)


def _of_the_kernel() -> Mapping[str, Any]:
    """Return the notebook's variables, as they will be when they are asked for."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return {} if shell is None else shell.user_ns


def _somebody_looks() -> bool:
    """Tell whether a page shows what the cell makes: nbconvert and its like run cells that cannot ask for input."""
    from IPython.core.getipython import get_ipython

    asked = getattr(get_ipython(), "parent_header", None) or {}
    alone = asked.get("content", {}).get("allow_stdin", True) is False
    return not alone or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")  # which runs cells alike, for a page
