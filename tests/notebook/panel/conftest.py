"""A panel without a browser: a comm that records, and a table that follows the patches."""

import base64
import json
import random
import threading
import zlib
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

import comm
import ipywidgets
import pytest
from comm.base_comm import BaseComm

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.panel import rows, watch, widget


class Browser(BaseComm):
    """The other end of a panel's comm: keeps the state, follows the patches, asks and hears."""

    def __init__(self, *args, **kwargs):
        self.heard = threading.Condition()
        self.state, self.messages, self.bytes = {}, [], 0
        self.models, self.versions, self.news = {}, {}, []
        self.asked = 0
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        written = json.dumps(data or {}, allow_nan=False)
        message = json.loads(written)
        with self.heard:
            self.bytes += len(written) + sum(map(len, buffers or []))
            self.messages.append(message)
            if "state" in message:
                self._set(message, buffers or [])
            self._hear(message.get("content", {}))
            self.heard.notify_all()

    def _set(self, message, buffers):
        state = message["state"]
        for path, buffer in zip(message.get("buffer_paths", []), buffers, strict=True):
            state[path[0]] = bytes(buffer)
        self.state |= state
        if "models" in state:
            self.models = {row["name"]: row for row in table(state["models"])}
        if "versions" in state:
            self.versions = {row["version"]: row for row in table(state["versions"])}

    def _hear(self, content):
        patch = content.get("patch")
        if patch:
            follow(self.models, patch.get("models", {}))
            if patch["model"] == self.state["model"]:
                follow(self.versions, {int(number): row for number, row in patch.get("versions", {}).items()})
                for number, row in self.versions.items() if "badges" in patch else ():
                    row["badges"] = [badge for badge, bits in patch["badges"].items() if number in self.numbers(bits)]
        self.news += content.get("news", [])

    @staticmethod
    def numbers(bits):
        """Read a set of versions."""
        return [8 * i + bit for i, byte in enumerate(base64.b64decode(bits)) for bit in range(8) if byte >> bit & 1]

    def ask(self, op, **args):
        """Ask as the front end does; return the answer, which has to be the last of what came."""
        self.asked += 1
        before = len(self.messages)
        self.deliver({"method": "custom", "content": {"id": self.asked, "op": op, "args": args}})
        self.progress = [m["content"]["progress"] for m in self.messages[before:] if "progress" in m.get("content", {})]
        answer = self.messages[-1]["content"]
        assert answer.pop("id") == self.asked
        return answer

    def done(self, op, **args):
        answer = self.ask(op, **args)
        assert answer["ok"], answer
        return answer["result"]

    def fails(self, op, **args):
        answer = self.ask(op, **args)
        assert not answer["ok"]
        return answer["error"]["type"], answer["error"]["message"]

    def choose(self, **traits):
        self.deliver({"method": "update", "state": traits, "buffer_paths": []})

    def reload(self):
        """Load the page again: whatever was heard is forgotten, and the whole state asked for."""
        self.state, self.models, self.versions = {}, {}, {}
        self.deliver({"method": "request_state"})

    def until(self, true, seconds=300):
        with self.heard:
            assert self.heard.wait_for(true, seconds), "it never came to that"

    def is_current(self, registry):
        """Whether it shows what a registry that is opened anew would show."""
        fresh, name = rn.Registry(registry.uri), self.state["model"]
        models = {r["name"]: json.loads(json.dumps(r)) for r in rows.model_rows(fresh.models(), fresh.store.crowds())}
        found = fresh.versions(name) if name in models else ()
        versions = {v.version: json.loads(json.dumps(rows.version_row(v))) for v in found}
        mine = {number: row | {"badges": []} for number, row in self.versions.items()}
        return self.models == models and mine == versions

    @property
    def panel(self):
        return ipywidgets.widgets.widget._instances[self.comm_id]

    def deliver(self, data):
        self.handle_msg({"content": {"data": data}, "buffers": []})


def table(packed):
    """Read columns, or nothing, as rows."""
    columns = json.loads(zlib.decompress(packed)) if packed else {"version": []}
    metrics = columns.pop("metrics", {})
    columns |= {field: list(accumulate(steps)) for field, steps in columns.pop("steps", {}).items()}
    fields = {field: values for field, values in columns.items() if isinstance(values, list)}
    found = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    for index, row in enumerate(found):
        if "version" in row:
            row["metrics"] = {name: column[index] for name, column in metrics.items() if column[index] is not None}
    return found


def follow(there, patch):
    for key, row in patch.items():
        if row is None:
            there.pop(key, None)
        else:
            there[key] = row


@pytest.fixture
def opened(monkeypatch):
    """Open panels; they are closed afterwards, and then no thread may watch."""
    made = []
    monkeypatch.setattr(comm, "create_comm", Browser)
    monkeypatch.setattr(widget, "frontend", lambda: "export default { render() {} }")

    def open_(registry, name=None, **variables):
        made.append(widget.RegistryPanel(registry, name, notebook=variables))
        return made[-1].comm

    yield open_
    threads = [one._watch.thread for one in made if one._watch.thread]
    for one in made:
        one.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert not watch._watches


@pytest.fixture
def browser(opened, iris, fitted):
    return opened(iris, "Iris", model=fitted, X=[[5.1, 3.5, 1.4, 0.2]], Estimator=type(fitted), n=3)


@pytest.fixture
def journal(iris):
    """The file of the registry's records."""
    return Path(iris.uri) / "registry.jsonl"


@pytest.fixture(scope="session")
def crowd():
    """Register many versions quickly, with metrics that do not compress."""

    def register(registry, versions):
        random.seed(0)
        first = registry.register(lambda X: X, "Iris", metrics=dict.fromkeys(("accuracy", "auc", "f1", "loss"), 0.5))
        with registry.store.transaction() as tx:
            model = tx.model("Iris", latest=False)
            for number in range(2, versions + 1):
                stamp = lifecycle.Stamp(datetime.now(UTC), random.choice(("ada", "bob")), "here")
                facts = {"metrics": {name: random.random() for name in first.metrics}, "tags": {"team": "botany"}}
                tx.apply(lifecycle.registered(model, number, "Iris", first.saved, stamp, **facts))

    return register
