"""The actions of the panel: plain JSON in, one operation, plain JSON out.

A change comes with what the user saw (``expected``: the holder of the stage; ``seen``: the stage of the version, or its
text). If that is out of date, nothing is changed.
"""

from __future__ import annotations

import inspect
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from registry_nb.context import Context, recorded
from registry_nb.display import sentences
from registry_nb.display.cells import brief, milliseconds
from registry_nb.display.records import looked_at
from registry_nb.display.variables import is_expression, models, variable
from registry_nb.domain.records import SERVING, ModelVersion, Stage, json_number
from registry_nb.errors import Conflict, Invalid, Refused, RegistryWarning, close, shown
from registry_nb.operations import approvals, asof, diff, editing, integrity, queries, registering, stages, usage
from registry_nb.operations.approvals import uncounted, waiting
from registry_nb.operations.integrity import ALTERED, is_altered
from registry_nb.operations.preview import planned
from registry_nb.operations.shadow import run
from registry_nb.panel import beside, reports
from registry_nb.panel.origins import provenance_of
from registry_nb.panel.rows import bits
from registry_nb.trust.seals import Origin, origin, way_out

#: Events of a history that are shown at once.
_EVENTS = 200
#: Newest events that are searched for a conflicting one.
_SEARCHED = 2000
_PAIR = re.compile(r"""[\s,]*([^=,\n]*[^=,\s])\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\n]*?))\s*(?:[,\n]|$)""")
#: What a line of ``%registry`` fills in: ``$name`` or ``{expression}``.
_EXPRESSION = re.compile(r"\$([^\W\d]\w*(?:\.[^\W\d]\w*)*)|\{(.+)\}", re.DOTALL)

Json = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """The registry and the notebook that an action works on; progress is reported to the browser in one word.

    Without `changes`, only what reads is done.
    """

    context: Context
    notebook: Mapping[str, Any]
    report_progress: Callable[[str], None]
    changes: bool = True


def perform(op: object, args: object, caller: Caller) -> Any:
    """Perform an action for the browser; an unknown one, or one with wrong arguments, is `Invalid`."""
    action = _OPS.get(op) if isinstance(op, str) else None
    if action is None or not isinstance(args, Mapping):
        raise Invalid(f"{shown(op)} is not something that the panel can do{close(str(op), _OPS)}")
    if not caller.changes and (op not in _READS or args.get("save")):
        raise Refused(f"{op} changes something, and this page only shows; ask whoever runs it, or use a notebook")
    try:
        bound = inspect.signature(action).bind(caller, **args)
    except TypeError as error:
        raise Invalid(f"{op} cannot be done: {error}") from None
    with _warned() as warned:
        result = action(*bound.args, **bound.kwargs)
    doubts = dict.fromkeys([*result.pop("doubts", ()), *warned])
    if doubts and "sentence" in result:
        result |= {"sentence": f"{result['sentence']} ({'; '.join(doubts)})", "doubtful": True}
    return result


# -- queries -----------------------------------------------------------------------------------------------------------


def _show(caller: Caller, model: str, version: int | None) -> Json:
    if version is None:
        whole = queries.model(caller.context, model)
        return {"description": whole.description, "tags": dict(whole.tags), "aliases": dict(whole.aliases)}
    from registry_nb.display.markdown import safe_html

    context = caller.context
    record = queries.version(context, model, version)
    events = list(context.store.events(record.name, version=record.version))
    return {
        "version": record.version,
        "stage": record.stage,
        "description": record.description,
        "description_html": safe_html(record.description) if record.description else "",
        "tags": record.tags,
        "aliases": record.aliases,
        "metrics": {name: json_number(value) for name, value in record.metrics.items()},
        "params": {name: json_number(value) for name, value in record.params.items()},
        "signature": _signature(record),
        "requirements": record.requirements,
        "python_version": record.python_version,
        "environment": record.environment,
        "provenance": provenance_of(record),
        "user": record.user,
        "created": milliseconds(record.created_at),
        "updated": milliseconds(record.updated_at),
        "size": record.size,
        "flavor": record.flavor,
        "attachments": [{"name": file.path, "size": file.size} for file in record.attachments.values()],
        "origin": (trust := origin(record, record.uri, context.store)),
        "way_out": way_out(record, record.uri) if trust is Origin.FOREIGN else "",
        "altered": ALTERED if is_altered(context.store, record) else "",
        "history": [sentences.event_row(event) for event in events[-_EVENTS:]],
        "history_more": len(events) > _EVENTS,
        "load": _loading(record, context),
        "requests": reports.requests(context, waiting(context.store, record.name, events)),
    }


def _attachment(caller: Caller, model: str, version: int, name: str) -> Json:
    return beside.rendered(caller.context, queries.version(caller.context, model, version).uri, name)


def _usage(caller: Caller) -> Json:
    caller.report_progress("adding up…")
    models = [one for one in usage.usage(caller.context) if one.versions]
    return {"sizes": {one.uri.removeprefix("models:/"): one.size for one in models}}


def _exact(caller: Caller, model: str, version: int) -> Json:
    record = queries.version(caller.context, model, version)
    return {"metrics": {name: json_number(value) for name, value in record.metrics.items()}}


def _shadow(
    caller: Caller,
    model: str,
    a: int,
    b: int,
    data: str,
    truth: str = "",
    by: str = "",
    save: bool = False,
    because: str = "",
) -> Json:
    X, y = _variable(caller, data), _variable(caller, truth) if truth else None  # noqa: N806
    caller.report_progress("comparing…")
    comparison = run.shadow(caller.context, model, a, b, X, y, by=by or None, progress=False)
    if save:
        comparison.save(because=because)
    return reports.report(comparison, saved=save)


def _filter(caller: Caller, model: str, filter: str) -> Json:
    numbers = [record.version for record in queries.versions(caller.context, model, filter)]
    return {"matches": bits(numbers), "count": len(numbers)}


def _compare(caller: Caller, model: str, a: int, b: int, all: bool = False) -> Json:
    one, other = (queries.version(caller.context, model, number) for number in (a, b))
    return {"rows": reports.differences(caller.context, diff.diff(caller.context, one, other, equal=all), model)}


def _history(caller: Caller, model: str | None = None, limit: int = _EVENTS) -> Json:
    events = queries.history(caller.context, model, limit=limit + 1 if model is None else None)
    stints = asof.timeline(caller.context, model) if model is not None else ()
    return {
        "events": [sentences.event_row(event) for event in events[max(len(events) - limit, 0) :]],
        "more": len(events) > limit,
        "timeline": [sentences.stint_row(stint) for stint in stints],
        "forced": sum(event.is_forced for event in events),
    }


def _asof(caller: Caller, model: str, at: float) -> Json:
    return reports.state_at(caller.context, model, at)


def _check(caller: Caller, deep: bool = False) -> Json:
    caller.report_progress("loading every model…" if deep else "checking every byte…")
    report = integrity.check(caller.context, deep=deep)
    lines = report.problems or [f"no problems found: {looked_at(report)}"]
    return {"ok": report.ok, "lines": [*lines, *report.notes]}


def _plan(
    caller: Caller, do: str, model: str, version: int | None = None, stage: str | None = None, to: int | None = None
) -> Json:
    plan = planned(caller.context, do, model, version, Stage(stage or Stage.PRODUCTION), to)
    if do in {"promote", "stage"} and version is not None and stage in SERVING:
        plan |= reports.checklist(caller.context, model, version, Stage(stage))
    return plan


def _inbox(caller: Caller) -> Json:
    return {"requests": reports.requests(caller.context, approvals.inbox(caller.context))}


def _waiting(caller: Caller) -> Json:
    return {"count": len(approvals.inbox(caller.context))}


# -- changes -----------------------------------------------------------------------------------------------------------


#: Changes whose arguments the browser names as `Registry` does.
_CHANGES: Mapping[str, Callable[..., Any]] = {
    "promote": stages.promote,
    "stage": stages.transition,
    "archive": stages.archive,
    "rollback": stages.rollback,
    "request": approvals.request,
    "approve": approvals.approve,
    "reject": approvals.reject,
    "describe": editing.describe,
    "alias": editing.alias,
    "unalias": editing.unalias,
    "rename": editing.rename,
    "delete": editing.delete,
}


def _change(op: str) -> Callable[..., Json]:
    """Make an action of a change; null arguments are left out."""
    operation = _CHANGES[op]
    stage = "to" if "to" in (takes := inspect.signature(operation).parameters) and "stage" not in takes else "stage"

    def action(caller: Caller, /, model: str, **args: Any) -> Json:
        named = {stage if key == "stage" else key: value for key, value in args.items() if value is not None}
        try:
            bound = inspect.signature(operation).bind(caller.context, model, **named)
        except TypeError as error:
            raise Invalid(f"{op} cannot be done: {error}") from None
        return _changed(caller, model, lambda: operation(*bound.args, **bound.kwargs), args.get("version"))

    return action


def _approve(caller: Caller, model: str, version: int, stage: str, because: str = "") -> Json:
    context = caller.context
    done = _change("approve")(caller, model, version=version, stage=stage, because=because)
    # Also on threads where warnings are not collected: see `_warned`.
    why = uncounted(context.store, queries.version(context, model, version), Stage(stage), context.user)
    return {**done, "doubts": [why] if why else []}


def _tag(caller: Caller, model: str, tags: Mapping[str, str] | str, version: int | None = None) -> Json:
    tags = _labels(caller, tags) if isinstance(tags, str) else tags
    return _changed(caller, model, lambda: editing.tag(caller.context, model, tags, version=version), version)


def _untag(caller: Caller, model: str, keys: Iterable[str], version: int | None = None) -> Json:
    return _changed(caller, model, lambda: editing.untag(caller.context, model, *keys, version=version), version)


def _register(
    caller: Caller,
    variable: str,
    name: str,
    path: str = "",
    example: str = "",
    metrics: str = "",
    tags: str = "",
    description: str = "",
    because: str = "",
) -> Json:
    if path.strip():  # any file of this machine, which another person may have asked for
        caller.context.expect_to_load("register")
    value = Path(path.strip()) if path.strip() else _variable(caller, variable)
    rows = _variable(caller, example) if example else None
    measured, labels = _measured(caller, metrics), _labels(caller, tags)
    caller.report_progress("saving…")
    return _changed(
        caller,
        name,
        lambda: registering.register(
            caller.context,
            value,
            name,
            example=rows,
            metrics=measured,
            tags=labels,
            description=description,
            because=because,
        ),
    )


_OPS: Mapping[str, Callable[..., Any]] = {
    "show": _show,
    "exact": _exact,
    "attachment": _attachment,
    "usage": _usage,
    "filter": _filter,
    "compare": _compare,
    "shadow": _shadow,
    "history": _history,
    "asof": _asof,
    "inbox": _inbox,
    "waiting": _waiting,
    "check": _check,
    "plan": _plan,
    **{op: _change(op) for op in _CHANGES},
    "approve": _approve,
    "tag": _tag,
    "untag": _untag,
    "register": _register,
}


#: What changes nothing.
_READS = {
    *("show", "exact", "attachment", "usage", "filter", "compare", "shadow", "history", "asof", "inbox", "waiting"),
    *("check", "plan"),
}


# -- helpers -----------------------------------------------------------------------------------------------------------


def variables(notebook: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name the notebook's variables that could be registered, with their types."""
    return [{"name": name, "type": type(value).__name__} for name, value in models(notebook).items()]


def _changed(caller: Caller, model: str, call: Callable[[], Any], version: int | None = None) -> Json:
    """Make a change, and describe it by the events that it wrote."""
    with recorded() as events, _naming_who_was_first(caller):
        record = call()
    return {
        "sentence": sentences.sentence(events),
        "model": getattr(record, "name", model),
        "version": record.version if isinstance(record, ModelVersion) else version,
    }


@contextmanager
def _warned() -> Iterator[list[str]]:
    """Collect warnings for the status line: the output of a callback is lost, or appears below another cell.

    Only on the main thread: catching warnings changes the filters of the whole process, and on other threads the user's
    cell runs at the same time.
    """
    texts = list[str]()
    if threading.current_thread() is not threading.main_thread():
        yield texts
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RegistryWarning)
        yield texts
    texts += [str(warning.message) for warning in caught if issubclass(warning.category, RegistryWarning)]


@contextmanager
def _naming_who_was_first(caller: Caller) -> Iterator[None]:
    """Name the user and the event behind a conflict, if the history has them."""
    try:
        yield
    except Conflict as error:
        events = caller.context.store.events(error.name, newest_first=True)
        for event in islice(events, _SEARCHED if error.stage else 0):
            moved = error.stage in {event.from_stage, event.to_stage}
            if moved and (error.expected is not None or event.version in error.found):
                text = f"{brief(event.user)} {sentences.phrase(event)} while you were looking; nothing was changed"
                raise Conflict(text, **error.__dict__) from error
        raise


def _signature(record: ModelVersion) -> list[Json]:
    sides = {"input": record.signature.inputs, "output": record.signature.outputs} if record.signature else {}
    return [
        {
            "name": spec.name,
            "dtype": spec.dtype if (shape := getattr(spec, "shape", None)) is None else f"{spec.dtype}{list(shape)}",
            "required": getattr(spec, "required", True),
            "side": side,
        }
        for side, specs in sides.items()
        for spec in specs
    ]


def _loading(record: ModelVersion, context: Context) -> list[str]:
    uris = [record.uri, *(f"models:/{record.name}@{alias}" for alias in record.aliases)]
    if record.stage in SERVING and context.store.latest(record.name, record.stage) == record.version:
        uris.append(f"models:/{record.name}/{record.stage}")
    return [f"model = registry.load({uri!r})" for uri in uris]


def _variable(caller: Caller, written: str) -> Any:
    """Return the value of a form's field: a variable or an expression, as in a line of ``%registry``."""
    text = written.strip()
    match = _EXPRESSION.fullmatch(text)
    return variable((match[1] or match[2]) if match else text, {**caller.notebook})


def _filled(caller: Caller, text: str) -> Any:
    """Return the value of a pair; ``$name`` and ``{expression}`` are filled in as in a line of ``%registry``."""
    return _variable(caller, text) if _EXPRESSION.fullmatch(text) else text


def _measured(caller: Caller, text: str) -> dict[str, float]:
    """Read metrics: pairs, or a dict from the notebook."""
    alone = text.strip()
    if alone in caller.notebook or ("=" not in alone and not alone.isidentifier() and is_expression(alone)):
        measured = _variable(caller, alone)
        if not isinstance(measured, Mapping):
            raise Invalid(f"metrics are written key=value, or are a dict; {shown(text)} is a {type(measured).__name__}")
        return {str(key): _float(key, value) for key, value in measured.items()}
    return {key: _float(key, _filled(caller, value)) for key, value in _pairs(text, "metrics").items()}


def _labels(caller: Caller, text: str) -> dict[str, str]:
    return {key: str(_filled(caller, value)) for key, value in _pairs(text, "tags").items()}


def _pairs(text: str, what: str) -> dict[str, str]:
    """Read ``key=value, key="with, comma"``, on one line or several."""
    pairs, text, place = dict[str, str](), text.rstrip(" \n,"), 0
    while place < len(text):
        match = _PAIR.match(text, place)
        if match is None:
            raise Invalid(f"{what} are written key=value, separated by commas; {shown(text[place:].strip())} is not")
        pairs[match[1]] = next(value for value in match.groups()[1:] if value is not None)
        place = match.end()
    return pairs


def _float(key: str, text: Any) -> float:
    try:
        return float(text)
    except (ValueError, TypeError):
        raise Invalid(f"metric {shown(key)} must be a number, not {shown(text)}") from None
