"""What the panel asks for, one function an operation: plain JSON in, one operation, plain JSON out.

What a person is about to change, they saw a moment ago. What they saw comes along (``expected``: who holds the stage;
``seen``: where the version, or its text, stood), and if it is no longer so, nothing is changed.
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
from typing import Any

from registry_nb.context import Context, recorded
from registry_nb.display import sentences
from registry_nb.display.cells import brief, milliseconds
from registry_nb.display.records import looked_at
from registry_nb.display.variables import is_expression, models, variable
from registry_nb.domain.records import ModelVersion, Stage, json_number
from registry_nb.errors import Conflict, Invalid, RegistryWarning, close, shown
from registry_nb.operations import approvals, asof, diff, editing, integrity, queries, registering, resolve, stages
from registry_nb.operations.approvals import uncounted, waiting
from registry_nb.operations.integrity import ALTERED, is_altered
from registry_nb.operations.preview import planned
from registry_nb.operations.shadow import run
from registry_nb.panel import reports
from registry_nb.panel.origins import came_from
from registry_nb.panel.rows import bits
from registry_nb.trust.seals import Origin, origin, way_out

#: Events that are shown of a history at once.
_TOLD = 200
#: Events that are looked through for who was faster.
_SCANNED = 2000
_PAIR = re.compile(r"""[\s,]*([^=,\n]*[^=,\s])\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\n]*?))\s*(?:[,\n]|$)""")
#: What a line of ``%registry`` fills in.
_EXPRESSION = re.compile(r"\$([^\W\d]\w*(?:\.[^\W\d]\w*)*)|\{(.+)\}", re.DOTALL)

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """Who asks.

    Attributes
    ----------
    context : Context
    notebook : mapping of str to object
        The notebook's variables.
    say : callable
        Tells the browser, in a word, what takes time.
    """

    context: Context
    notebook: Mapping[str, Any]
    say: Callable[[str], None]


def answer(op: object, args: object, asked: Asked) -> Any:
    """Do what the browser asks for.

    Raises
    ------
    Invalid
        If it is not an operation, or these are not its arguments.
    RegistryError
        As the call of `Registry` does; nothing was changed.
    """
    action = _OPS.get(op) if isinstance(op, str) else None
    if action is None or not isinstance(args, Mapping):
        raise Invalid(f"{shown(op)} is not something that the panel can do{close(str(op), _OPS)}")
    try:
        bound = inspect.signature(action).bind(asked, **args)
    except TypeError as error:
        raise Invalid(f"{op} cannot be done: {error}") from None
    with _warned() as warned:
        result = action(*bound.args, **bound.kwargs)
    doubts = dict.fromkeys([*result.pop("doubts", ()), *warned])
    if doubts and "sentence" in result:
        result |= {"sentence": f"{result['sentence']} ({'; '.join(doubts)})", "doubtful": True}
    return result


# -- looking ---------------------------------------------------------------------------------------------------------


def _show(asked: Asked, model: str, version: int | None) -> Json:
    if version is None:
        whole = queries.model(asked.context, model)
        return {"description": whole.description, "tags": dict(whole.tags), "aliases": dict(whole.aliases)}
    from registry_nb.display.markdown import safe_html

    context = asked.context
    record = queries.version(context, model, version)
    mine = list(context.store.events(record.name, version=record.version))
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
        "provenance": came_from(record),
        "user": record.user,
        "created": milliseconds(record.created_at),
        "updated": milliseconds(record.updated_at),
        "size": record.size,
        "flavor": record.flavor,
        "origin": (vouched := origin(record, record.uri, context.store)),
        "way_out": way_out(record, record.uri) if vouched is Origin.FOREIGN else "",
        "altered": ALTERED if is_altered(context.store, record) else "",
        "history": [sentences.event_row(event) for event in mine[-_TOLD:]],
        "history_more": len(mine) > _TOLD,
        "load": _loading(record, context),
        "requests": reports.requests(context, waiting(context.store, record.name, mine)),
    }


def _exact(asked: Asked, model: str, version: int) -> Json:
    record = queries.version(asked.context, model, version)
    return {"metrics": {name: json_number(value) for name, value in record.metrics.items()}}


def _shadow(
    asked: Asked,
    model: str,
    a: int,
    b: int,
    data: str,
    truth: str = "",
    by: str = "",
    save: bool = False,
    because: str = "",
) -> Json:
    X, y = _variable(asked, data), _variable(asked, truth) if truth else None  # noqa: N806
    asked.say("comparing…")
    found = run.shadow(asked.context, model, a, b, X, y, by=by or None, progress=False)
    if save:
        found.save(because=because)
    return reports.report(found, saved=save)


def _filter(asked: Asked, model: str, filter: str) -> Json:
    found = [record.version for record in queries.versions(asked.context, model, filter)]
    return {"matches": bits(found), "count": len(found)}


def _compare(asked: Asked, model: str, a: int, b: int, all: bool = False) -> Json:
    one, other = (queries.version(asked.context, model, number) for number in (a, b))
    return {"rows": reports.differences(asked.context, diff.diff(asked.context, one, other, equal=all), model)}


def _history(asked: Asked, model: str | None = None, limit: int = _TOLD) -> Json:
    events = queries.history(asked.context, model, limit=limit + 1 if model is None else None)
    stints = asof.timeline(asked.context, model) if model is not None else ()
    return {
        "events": [sentences.event_row(event) for event in events[max(len(events) - limit, 0) :]],
        "more": len(events) > limit,
        "timeline": [sentences.stint_row(stint) for stint in stints],
        "forced": sum(map(sentences.is_forced, events)),
    }


def _asof(asked: Asked, model: str, at: float) -> Json:
    return reports.stood(asked.context, model, at)


def _check(asked: Asked, deep: bool = False) -> Json:
    asked.say("loading every model…" if deep else "checking every byte…")
    report = integrity.check(asked.context, deep=deep)
    lines = list(report.problems) or [f"no problems found: {looked_at(report)}"]
    return {"ok": report.ok, "lines": [*lines, *report.notes]}


def _plan(
    asked: Asked, do: str, model: str, version: int | None = None, stage: str | None = None, to: int | None = None
) -> Json:
    plan = planned(asked.context, do, model, version, Stage(stage or Stage.PRODUCTION), to)
    if do in {"promote", "stage"} and version is not None and stage in resolve.SERVING:
        plan |= reports.checklist(asked.context, model, version, Stage(stage))
    return plan


def _inbox(asked: Asked) -> Json:
    return {"requests": reports.requests(asked.context, approvals.inbox(asked.context))}


def _waiting(asked: Asked) -> Json:
    return {"count": len(approvals.inbox(asked.context))}


# -- changing --------------------------------------------------------------------------------------------------------


#: Changes that the browser names as `Registry` does, with the arguments that it has for them.
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
    """Make an action of a change; what is null in JSON is left out."""
    operation = _CHANGES[op]
    stage = "to" if "to" in (takes := inspect.signature(operation).parameters) and "stage" not in takes else "stage"

    def action(asked: Asked, /, model: str, **args: Any) -> Json:
        given = {stage if key == "stage" else key: value for key, value in args.items() if value is not None}
        try:
            bound = inspect.signature(operation).bind(asked.context, model, **given)
        except TypeError as error:
            raise Invalid(f"{op} cannot be done: {error}") from None
        return _done(asked, model, lambda: operation(*bound.args, **bound.kwargs), args.get("version"))

    return action


def _approve(asked: Asked, model: str, version: int, stage: str, because: str = "") -> Json:
    context = asked.context
    done = _change("approve")(asked, model, version=version, stage=stage, because=because)
    # Also where warnings are left alone: see `_warned`.
    why = uncounted(context.store, queries.version(context, model, version), Stage(stage), context.user)
    return {**done, "doubts": [why] if why else []}


def _tag(asked: Asked, model: str, tags: Mapping[str, str] | str, version: int | None = None) -> Json:
    tags = _labels(asked, tags) if isinstance(tags, str) else tags
    return _done(asked, model, lambda: editing.tag(asked.context, model, tags, version=version), version)


def _untag(asked: Asked, model: str, keys: Iterable[str], version: int | None = None) -> Json:
    return _done(asked, model, lambda: editing.untag(asked.context, model, *keys, version=version), version)


def _register(
    asked: Asked,
    variable: str,
    name: str,
    example: str = "",
    metrics: str = "",
    tags: str = "",
    description: str = "",
    because: str = "",
) -> Json:
    value = _variable(asked, variable)
    given = _variable(asked, example) if example else None
    measured, labels = _measured(asked, metrics), _labels(asked, tags)
    asked.say("saving…")
    return _done(
        asked,
        name,
        lambda: registering.register(
            asked.context,
            value,
            name,
            example=given,
            metrics=measured,
            tags=labels,
            description=description,
            because=because,
        ),
    )


_OPS: Mapping[str, Callable[..., Any]] = {
    "show": _show,
    "exact": _exact,
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


# -- how -------------------------------------------------------------------------------------------------------------


def variables(notebook: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name the notebook's variables that could be registered, with their types."""
    return [{"name": name, "type": type(value).__name__} for name, value in models(notebook).items()]


def _done(asked: Asked, model: str, call: Callable[[], Any], version: int | None = None) -> Json:
    """Do it, and say what it did, by the events that it wrote."""
    with recorded() as events, _told_who(asked):
        record = call()
    return {
        "sentence": sentences.sentence(events),
        "model": getattr(record, "name", model),
        "version": record.version if isinstance(record, ModelVersion) else version,
    }


@contextmanager
def _warned() -> Iterator[list[str]]:
    """Collect warnings for the status line: what a callback prints is lost, or appears below some other cell.

    On another thread than the kernel's they are left alone: to catch them is to change what the whole process does
    with warnings, and the user's cell runs beside.
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
def _told_who(asked: Asked) -> Iterator[None]:
    """Say who was faster, if the history tells."""
    try:
        yield
    except Conflict as error:
        events = asked.context.store.events(error.name, newest_first=True)
        for event in islice(events, _SCANNED if error.stage else 0):
            moved = error.stage in {(side or {}).get("stage") for side in (event.before, event.after)}
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
    if record.stage in resolve.SERVING and context.store.latest(record.name, record.stage) == record.version:
        uris.append(f"models:/{record.name}/{record.stage}")
    return [f"model = registry.load({uri!r})" for uri in uris]


def _variable(asked: Asked, written: str) -> Any:
    """Return the value of a form's field: a variable or an expression, as in a line of ``%registry``."""
    text = written.strip()
    match = _EXPRESSION.fullmatch(text)
    return variable((match[1] or match[2]) if match else text, {**asked.notebook})


def _filled(asked: Asked, text: str) -> Any:
    """Return a value of a pair: ``$name`` and ``{expression}`` mean what they mean in a line of ``%registry``."""
    return _variable(asked, text) if _EXPRESSION.fullmatch(text) else text


def _measured(asked: Asked, text: str) -> dict[str, float]:
    """Read metrics: pairs, or a dict of the notebook."""
    alone = text.strip()
    if alone in asked.notebook or ("=" not in alone and not alone.isidentifier() and is_expression(alone)):
        found = _variable(asked, alone)
        if not isinstance(found, Mapping):
            raise Invalid(f"metrics are written key=value, or are a dict; {shown(text)} is a {type(found).__name__}")
        return {str(key): _float(key, value) for key, value in found.items()}
    return {key: _float(key, _filled(asked, value)) for key, value in _pairs(text, "metrics").items()}


def _labels(asked: Asked, text: str) -> dict[str, str]:
    return {key: str(_filled(asked, value)) for key, value in _pairs(text, "tags").items()}


def _pairs(text: str, what: str) -> dict[str, str]:
    """Read ``key=value, key="with, comma"``, also one a line."""
    pairs, text, place = dict[str, str](), text.rstrip(" \n,"), 0
    while place < len(text):
        found = _PAIR.match(text, place)
        if found is None:
            raise Invalid(f"{what} are written key=value, separated by commas; {shown(text[place:].strip())} is not")
        pairs[found[1]] = next(value for value in found.groups()[1:] if value is not None)
        place = found.end()
    return pairs


def _float(key: str, text: Any) -> float:
    try:
        return float(text)
    except (ValueError, TypeError):
        raise Invalid(f"metric {shown(key)} is a number, not {shown(text)}") from None
