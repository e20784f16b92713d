"""The panel in a bare page: a model that stands for anywidget's, and a kernel that the test plays."""

import base64
import json
import zlib
from itertools import pairwise

from conftest import theme
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from registry_nb.panel.frontend import frontend

_MODEL = """([script, traits, replies, prelude]) => {
  const heard = {};
  const bytes = text => text === null ? null : new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
  const state = {...traits, models: bytes(traits.models), versions: bytes(traits.versions)};
  const model = {
    sent: [], replies, saved: 0,
    get: key => state[key],
    set: (key, value) => { state[key] = value; (heard['change:' + key] ?? []).forEach(f => f()); },
    save_changes() { this.saved += 1; },
    on: (event, f) => (heard[event] ??= []).push(f),
    off: (event, f) => { heard[event] = (heard[event] ?? []).filter(one => one !== f); },
    emit: message => [...(heard['msg:custom'] ?? [])].forEach(f => f(message, [])),
    send(message) {
      this.sent.push(structuredClone(message));
      const known = this.replies[message.op];
      if (known !== undefined) queueMicrotask(() => this.emit({id: message.id, ...known}));
    },
    bytes, heard,
  };
  window.model = model;
  window.ended = new AbortController();
  window.draw = async () => {
    const url = URL.createObjectURL(new Blob([script], {type: 'text/javascript'}));
    const {render} = (await import(url)).default;
    const before = performance.now();
    await render({model, el: document.querySelector('#root'), signal: ended.signal});
    return performance.now() - before;
  };
  return draw();
}"""

_FOCUSED = """() => {
  let e = document.activeElement;
  while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
  if (e === document.body) return 'body';
  const name = e.getAttribute('aria-label') ?? e.textContent.trim();
  return `${e.getAttribute('role') ?? e.localName}: ${name}`;
}"""

STAGES = ("None", "Staging", "Production", "Archived")
NOW = 1_770_000_000_000  # a moment in February 2026, in milliseconds


def version(number, **fields):
    """A row of the table of versions."""
    row = {
        "version": number,
        "stage": "None",
        "aliases": [],
        "tags": {},
        "metrics": {"accuracy": 0.9 + number / 1000},
        "created": NOW - 3_600_000 * (100 - number),
        "user": "ada",
        "size": 2100,
        "flavor": "sklearn",
        "description": "",
        "badges": [],
    }
    return {**row, **fields}


def model_row(name, **fields):
    """A row of the list of models."""
    row = {"name": name, "production": None, "newest": 1, "stages": {}, "count": 1, "changed": NOW, "description": ""}
    return {**row, **fields}


def three():
    """Three versions of Iris: 1 archived, 2 in Production, 3 in no stage."""
    return [
        version(1, stage="Archived", metrics={"accuracy": 0.91, "f1": 0.9}),
        version(2, stage="Production", aliases=["champion"], tags={"team": "flowers"}, metrics={"accuracy": 0.95}),
        version(3, user="Grace", metrics={"accuracy": 0.97, "f1": 0.96}, size=3_400_000),
    ]


def columns(rows, **more):
    """Rows as the kernel sends them: one list a field, compressed."""
    names = list(dict.fromkeys(name for row in rows for name in row.get("metrics", {})))
    fields = {field: [row[field] for row in rows] for field in (rows[0] if rows else {}) if field != "metrics"}
    rising = [field for field in ("version", "created") if field in fields]
    fields["steps"] = {field: [now - last for last, now in pairwise((0, *fields.pop(field)))] for field in rising}
    if names:
        fields["metrics"] = {name: [row["metrics"].get(name) for row in rows] for name in names}
    return base64.b64encode(zlib.compress(json.dumps({**fields, "revision": 1, **more}).encode())).decode()


SHOWN = {
    "version": 3,
    "stage": "None",
    "description": "Fitted **again**.",
    "description_html": "<p>Fitted <strong>again</strong>.</p>",
    "tags": {"team": "flowers"},
    "aliases": ["challenger"],
    "metrics": {"accuracy": 0.97, "loss": "NaN"},
    "params": {"C": 1.0, "solver": "lbfgs"},
    "requirements": ["scikit-learn==1.9.1", "numpy==2.4.0"],
    "signature": [
        {"name": "petal length", "dtype": "float64", "required": True, "side": "input"},
        {"name": "species", "dtype": "int64", "required": True, "side": "output"},
    ],
    "python_version": "3.11.2",
    "environment": {},
    "provenance": {
        "cells": [
            {"count": 3, "source": "from sklearn.linear_model import LogisticRegression\nX, y = load(return_X_y=True)"},
            {"count": 12, "source": "model = LogisticRegression(max_iter=500)\nmodel.fit(X, y)"},
        ],
        "note": "The earlier cells are a best effort, by what each cell binds and uses.",
        "facts": [
            ["notebook", "flowers.ipynb"],
            ["data", "569 rows \u00d7 30 columns"],
            ["git", "1a2b3c4 on main, with uncommitted changes"],
            ["more", {"a": [1, {"b": None}]}],
        ],
        "ids": [["digest of the model", "sha256:" + "ab" * 32], ["cell", "0a1b2c3d"]],
    },
    "user": "Grace",
    "created": NOW - 5_000_000,
    "updated": NOW,
    "size": 3_400_000,
    "flavor": "sklearn",
    "origin": "local",
    "history": [
        {
            "at": NOW,
            "user": "Grace",
            "action": "registered",
            "name": "Iris",
            "version": 3,
            "text": "registered Iris 3",
            "because": "second fit",
        }
    ],
    "history_more": False,
    "load": ["model = registry.load('models:/Iris/3')"],
}

COMPARED = {
    "rows": [
        {"section": "metrics", "name": "accuracy", "a": 0.95, "b": 0.97, "difference": 0.02, "better": "b"},
        {"section": "metrics", "name": "f1", "a": None, "b": 0.96, "difference": None, "better": None},
        {"section": "params", "name": "C", "a": 0.5, "b": 1.0, "difference": 0.5, "better": None},
        {"section": "requirements", "name": "numpy", "a": "2.3.0", "b": "2.4.0", "difference": None, "better": None},
    ]
}

DAY = 86_400_000
HISTORY = {
    "events": [
        {
            "at": NOW - 9 * DAY,
            "user": "ada",
            "action": "registered",
            "name": "Iris",
            "version": 1,
            "text": "registered Iris 1",
            "because": "first fit",
        },
        {
            "at": NOW - 8 * DAY,
            "user": "ada",
            "action": "promoted",
            "name": "Iris",
            "version": 1,
            "text": "promoted Iris 1 to Production",
            "because": "",
        },
        {
            "at": NOW - 3 * DAY,
            "user": "Grace",
            "action": "promoted",
            "name": "Iris",
            "version": 2,
            "text": "promoted Iris 2 to Production",
            "because": "0.95 on holdout",
        },
    ],
    "more": False,
    "forced": 0,
    "timeline": [
        {"stage": "Production", "version": 1, "from": NOW - 8 * DAY, "to": NOW - 3 * DAY, "by": "ada", "because": ""},
        {"stage": "Staging", "version": 2, "from": NOW - 5 * DAY, "to": NOW - 3 * DAY, "by": "ada", "because": ""},
        {"stage": "Production", "version": 2, "from": NOW - 3 * DAY, "to": None, "by": "Grace", "because": "better"},
    ],
}

PLAN = {"sentence": "3 goes to Production, 2 is archived", "expected": 2, "target": 3, "seen": "None"}

#: How Iris stood five days ago.
STOOD = {
    "count": 2,
    "rows": [
        {
            "version": 1,
            "stage": "Production",
            "since": NOW - 8 * DAY,
            "by": "ada",
            "because": "first fit",
            "aliases": ["champion"],
            "deleted": True,
        },
        {
            "version": 2,
            "stage": "None",
            "since": None,
            "by": "Grace",
            "because": "",
            "aliases": [],
            "deleted": False,
        },
    ],
}

#: A plan that a policy says no to.
REFUSED = {
    **PLAN,
    "ok": False,
    "lacks_approval": True,
    "rows": [
        {"rule": 'metric("accuracy") >= 0.9', "found": "0.97", "verdict": "passed"},
        {"rule": "approved_by(1, not_author=True)", "found": "nobody approved it", "verdict": "failed"},
        {"rule": "probe_passes()", "found": "no probe rows were kept", "verdict": "unknown"},
    ],
}

REQUEST = {
    "model": "Iris",
    "version": 3,
    "stage": "Production",
    "at": NOW - DAY,
    "by": "Grace",
    "because": "better on holdout",
    "approved": [],
    "uncounted": [],
    "metrics": {"accuracy": 0.97},
    "rows": [{"rule": "approved_by(1)", "found": "nobody approved it", "verdict": "failed"}],
    "ok": False,
    "why_not": "",
}

SHADOW = {
    "sentence": "2 and 3 agree on 146 of 150 rows (97.3 %)",
    "a": 2,
    "b": 3,
    "agreement": 146 / 150,
    "saved": False,
    "parts": [
        {
            "title": "Metrics",
            "heads": ["metric", "2", "3"],
            "rows": [["accuracy", 1, 0.97], ["log loss", "–", 0.5]],
            "measured": [1, 2],
            "note": "McNemar: p = 0.6",
        },
        {
            "title": "Where they disagree",
            "heads": ["2 says", "3 says", "rows"],
            "rows": [["a", "b", 4]],
            "measured": [],
            "note": "",
        },
    ],
}


def good(result):
    return {"ok": True, "result": result}


def bad(kind, message):
    return {"ok": False, "error": {"type": kind, "message": message}}


def done(text="Promoted Iris 3 to Production; archived Iris 2", version=3):
    """The answer to a change."""
    return good({"sentence": text, "model": "Iris", "version": version})


#: What a kernel answers that has nothing against it. Changes have no answer here: the tests give it.
REPLIES = {
    "sync": good({}),
    "open": good({}),
    "variables": good({}),
    "show": good(SHOWN),
    "compare": good(COMPARED),
    "history": good(HISTORY),
    "plan": good(PLAN),
    "asof": good(STOOD),
    "inbox": good({"requests": [REQUEST]}),
    "waiting": good({"count": 0}),
    "shadow": good(SHADOW),
    "filter": good({"matches": "", "count": 0}),
}


class Panel:
    """The panel on a page."""

    def __init__(
        self,
        page,
        *,
        models=None,
        versions=None,
        model="Iris",
        view=None,
        look="light",
        width=None,
        height=760,
        replies=(),
        clock=False,
        **traits,
    ):
        self.page = page
        if width:
            page.set_viewport_size({"width": width, "height": height})
        if clock:
            page.clock.install(time=NOW / 1000)
            page.clock.pause_at(NOW / 1000 + 1)
        else:
            page.clock.set_fixed_time(NOW / 1000)
        light = str(look == "light").lower()
        page.set_content(
            "<!doctype html><html lang=en><title>panel</title>"
            f"<body data-jp-theme-light={light}><div id=root class=rnb-host></div>"
        )
        page.add_style_tag(content=f"{theme(look)} body{{margin:12px;background:var(--jp-layout-color0)}}")
        versions = three() if versions is None else versions
        if models is None:
            models = [
                model_row(
                    "Iris", production=2, newest=3, count=3, stages={"Production": [2]}, description="Three flowers"
                ),
                model_row("Churn", newest=7, count=7, stages={"Staging": [7]}, changed=NOW - 9 * DAY),
            ]
        state = {
            "models": columns(models),
            "versions": columns(versions, model=model) if model else None,
            "model": model,
            "view": view or ("versions" if model else "models"),
            "uri": "a/folder",
            "user": "ada",
            "readonly": False,
            "problem": "",
            "variables": [
                {"name": "forest", "type": "RandomForestClassifier"},
                {"name": "linear", "type": "LogisticRegression"},
            ],
        }
        answers = {**REPLIES, **dict(replies)}
        self.milliseconds = page.evaluate(
            _MODEL, [frontend(), {**state, **traits}, {k: v for k, v in answers.items() if v}, ""]
        )

    def keys(self, *pressed):
        for key in pressed:
            self.page.keyboard.press(key)

    def sent(self, op=None):
        """What the browser asked, less the greeting, and the digits of a number that the pointer came to lie on."""
        found = self.page.evaluate("model.sent")
        return (
            [m["args"] for m in found if m["op"] == op]
            if op
            else [m["op"] for m in found if m["op"] not in {"sync", "exact"}]
        )

    def reply(self, op, answer):
        """Answer such questions from now on."""
        self.page.evaluate("([op, answer]) => { model.replies[op] = answer; }", [op, answer])

    def answer(self, op, answer):
        """Answer the last question of that kind."""
        self.page.evaluate(
            "([op, answer]) => model.emit({id: model.sent.findLast(m => m.op === op).id, ...answer})", [op, answer]
        )

    def emit(self, **message):
        self.page.evaluate("text => model.emit(JSON.parse(text))", json.dumps(message))

    def set(self, **traits):
        for name, value in traits.items():
            if name in {"models", "versions"}:
                self.page.evaluate("([name, text]) => model.set(name, model.bytes(text))", [name, value])
            else:
                self.page.evaluate("([name, value]) => model.set(name, value)", [name, value])

    def patch(self, *rows, gone=(), models=(), model="Iris", revision=2, news=()):
        """Send rows of versions that changed, and what others did."""
        versions = {str(row["version"]): row for row in rows} | {str(number): None for number in gone}
        patch = {"revision": revision, "model": model, "versions": versions, "models": {m["name"]: m for m in models}}
        self.emit(patch=patch, news=list(news))

    def button(self, name, **more):
        return self.page.get_by_role("button", name=name, exact=True, **more)

    def row(self, number):
        return self.page.locator(f".row:has(.version b:text-is('{number}'))")

    @property
    def rows(self):
        """The versions in the table, from top to bottom, as far as they are drawn."""
        return self.page.locator(".body .row .cell.version").all_inner_texts()

    @property
    def grid(self):
        return self.page.get_by_role("grid")

    @property
    def said(self):
        return self.page.locator(".said")

    @property
    def dialog(self):
        return self.page.get_by_role("dialog")

    @property
    def focused(self):
        """Role or tag, and name, of what has the focus, within the panel."""
        return self.page.evaluate(_FOCUSED)

    def focus_is(self, start):
        """Wait until what has the focus begins so: a dialog that closes gives it back a task later."""
        try:
            self.page.wait_for_function(f"start => ({_FOCUSED})().startsWith(start)", arg=start, timeout=20_000)
        except PlaywrightTimeout:
            assert self.focused.startswith(start)
        return True

    @property
    def active(self):
        """The version in the row that the table's focus names."""
        return self.grid.evaluate(
            """grid => grid.getRootNode().getElementById(grid.getAttribute('aria-activedescendant'))
            ?.querySelector('.version').textContent.trim()"""
        )
