"""Subscriptions are delivered: at least once, in order, by one process, and only those of one's own key."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta

import pytest

import registry_nb as rn
from registry_nb.delivery import bodies, sending
from registry_nb.delivery import deliver as delivering
from registry_nb.operations import deliveries, subscriptions
from registry_nb.trust import keys


def echo(X):
    return X


class Receiver:
    """An HTTP server that answers as `answers` says, and keeps what it got."""

    def __init__(self):
        self.got, self.answers, self.paths, self.open = [], [], [], threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                receiver.paths.append(self.path)
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                if answer == "never":
                    receiver.open.wait(10)
                    return
                if answer == "slowly":
                    self.wfile.write(b"HTTP/1.1 ")
                    while not receiver.open.wait(0.02):
                        self.wfile.write(b"2")
                    return
                self.send_response(answer)
                self.send_header("location", f"{receiver.url}/canary")
                self.end_headers()

            do_GET = do_POST  # how a redirected request would come

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def events(self):
        return [(event["name"], event["action"]) for event in (json.loads(body) for _, body in self.got)]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.open.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def one(registry):
    registry.register(echo, "Iris")
    return registry


@pytest.fixture
def later(monkeypatch):
    """Set the clock of a registry forward, or back."""

    def set_clock(registry, **by):
        at = registry.store.now() + timedelta(**by)
        monkeypatch.setattr(registry.store, "now", lambda: at)

    return set_clock


def subscription(registry):
    (found,) = registry.subscriptions()
    return found


# -- the quiet case --------------------------------------------------------------------------------------------------


@pytest.mark.every_store
def test_each_event_comes_once_in_order_with_a_signature_that_the_library_verifies(one, receiver):
    webhooks = pytest.importorskip("standardwebhooks.webhooks", reason="standardwebhooks is not installed")
    made = one.subscribe(f"{receiver.url}/hook")
    one.promote("Iris", 1)
    one.comment("Iris", 1, "é <b> \n")
    assert (one.deliver(), one.deliver()) == (2, 0)
    assert receiver.events == [("Iris", "promoted"), ("Iris", "commented")]
    for (headers, body), event in zip(receiver.got, list(one.since())[-2:], strict=True):
        assert webhooks.Webhook(made.secret).verify(body, headers) == json.loads(event.json)
        assert headers["webhook-id"] == event.id
    with pytest.raises(webhooks.WebhookVerificationError):
        webhooks.Webhook(made.secret).verify(body + b" ", headers)
    assert (subscription(one).delivered, subscription(one).problem) == (2, "")


@pytest.mark.every_store
def test_only_what_was_asked_for_is_delivered_and_a_renamed_model_is_followed(one, receiver):
    one.subscribe(receiver.url, on=["promoted", "renamed", "deleted", "promoted"], model="Iris")
    assert subscription(one).on == ("promoted", "renamed", "deleted")
    one.register(echo, "Rose")
    one.promote("Rose", 1)
    one.rename("Iris", "Lily")
    one.register(echo, "Iris")
    one.promote("Iris", 2)
    one.promote("Lily", 1)
    one.archive("Lily", 1)
    one.delete("Lily")
    one.deliver()
    assert set(receiver.events) == {("Lily", "renamed"), ("Lily", "promoted"), ("Lily", "deleted")}
    before = len(receiver.got)
    one.comment("Rose", 1, "no")
    assert (one.deliver(), one.deliver(), len(receiver.got)) == (0, 0, before)


def test_a_command_gets_the_event_as_its_input_and_no_shell_reads_its_words(one, tmp_path):
    out, hostile = tmp_path / "out", "; touch canary $(touch canary) `touch canary`"
    script = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + sys.argv[2])"
    one.subscribe([sys.executable, "-c", script, str(out), hostile])
    one.promote("Iris", 1)
    assert one.deliver() == 1
    assert out.read_text() == one.history()[-1].json.decode() + hostile


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/nowhere/at-all"], "could not be started"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with 3"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "did not end in"),
    ],
)
def test_a_command_that_fails_is_run_again_later(one, monkeypatch, command, why):
    monkeypatch.setattr(sending, "TIMEOUT", 2.0)
    one.subscribe(command)
    one.promote("Iris", 1)
    assert (one.deliver(), one.deliver()) == (0, 0)
    assert why in subscription(one).problem
    assert subscription(one).failures == 1


def test_ctrl_c_ends_the_command_as_well(monkeypatch):
    killed = []
    monkeypatch.setattr(subprocess.Popen, "communicate", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(sending, "_end", lambda child: (killed.append(child), child.kill()))
    with pytest.raises(KeyboardInterrupt):
        sending._run((sys.executable, "-c", "import time; time.sleep(60)"), b"")
    assert len(killed) == 1


# -- receivers that fail ---------------------------------------------------------------------------------------------


@pytest.mark.every_store
def test_a_failure_is_tried_again_after_pauses_that_grow_and_nothing_overtakes_it(one, receiver, later):
    one.subscribe(receiver.url)
    one.promote("Iris", 1)
    one.comment("Iris", 1, "next")
    receiver.answers = [500, 503]
    assert (one.deliver(), one.deliver(), len(receiver.got)) == (0, 0, 1)
    assert "answered 500" in subscription(one).problem
    first = subscription(one).due - one.store.now()
    later(one, seconds=6)
    assert (one.deliver(), one.deliver(), len(receiver.got)) == (0, 0, 2)
    assert subscription(one).due - one.store.now() == timedelta(seconds=10) > first
    later(one, seconds=11)
    assert one.deliver() == 2
    assert [action for _, action in receiver.events] == ["promoted"] * 3 + ["commented"]
    assert (subscription(one).failures, subscription(one).problem, subscription(one).due) == (0, "", None)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 199 + 101])
def test_a_redirect_is_a_failure_and_leads_nowhere(one, receiver, status):
    one.subscribe(f"{receiver.url}/hook")
    one.promote("Iris", 1)
    receiver.answers = [status]
    assert one.deliver() == 0
    assert receiver.paths == ["/hook"]
    assert f"answered {status}" in subscription(one).problem


def test_a_receiver_that_wants_nothing_more_ends_its_subscription(one, receiver, later):
    made = one.subscribe(receiver.url)
    one.promote("Iris", 1)
    one.comment("Iris", 1, "next")
    receiver.answers = [410]
    assert one.deliver() == 0
    assert "410" in subscription(one).ended
    later(one, days=3)
    assert (one.deliver(), len(receiver.got)) == (0, 1)
    assert one.deliver(retry=made.id) == 2  # it was a mistake


@pytest.mark.parametrize("how", ["never", "slowly"])
def test_an_answer_that_does_not_come_is_a_failure_after_a_while(one, receiver, monkeypatch, how):
    monkeypatch.setattr(sending, "TIMEOUT", 0.3)
    one.subscribe(receiver.url)
    one.promote("Iris", 1)
    receiver.answers = [how]
    begun = time.monotonic()
    assert one.deliver() == 0
    assert time.monotonic() - begun < 8
    assert subscription(one).failures == 1
    assert subscription(one).problem


def test_nobody_at_the_address_is_a_failure(one, receiver):
    receiver.server.server_close()
    one.subscribe(receiver.url)
    one.promote("Iris", 1)
    assert one.deliver() == 0
    assert "could not be reached" in subscription(one).problem


@pytest.mark.every_store
def test_what_fails_again_and_again_is_put_aside_shown_and_sent_when_asked(one, receiver, later):
    made = one.subscribe(receiver.url)
    one.promote("Iris", 1)
    one.comment("Iris", 1, "next")
    receiver.answers = [500] * (deliveries.MOST_FAILURES + 1)
    for _ in range(deliveries.MOST_FAILURES):
        assert one.deliver() == 0
        later(one, hours=7)
    (aside,) = subscription(one).dead
    assert aside == list(one.since())[-2].id
    assert str(one.subscriptions()).count(aside[:8]) == 1
    assert one.deliver() == 0  # the next event, for the first time
    later(one, hours=7)
    assert one.deliver() == 1
    assert receiver.events[-1] == ("Iris", "commented")
    assert one.deliver() == 0
    assert one.deliver(retry=made.id) == 1
    assert receiver.events[-1] == ("Iris", "promoted")
    assert subscription(one).dead == ()


def test_what_was_put_aside_and_fails_for_another_day_is_put_aside_again(one, receiver, later):
    made = one.subscribe(receiver.url)
    one.promote("Iris", 1)
    receiver.answers = [500] * (2 * deliveries.MOST_FAILURES)
    for _ in range(deliveries.MOST_FAILURES):
        one.deliver()
        later(one, hours=7)
    assert one.deliver(retry=made.id) == 0
    for _ in range(deliveries.MOST_FAILURES - 1):
        later(one, hours=7)
        one.deliver()
    assert len(subscription(one).dead) == 1
    assert len(receiver.got) == 2 * deliveries.MOST_FAILURES


def test_a_clock_that_is_set_back_delays_nothing(one, receiver, later):
    one.subscribe(receiver.url)
    later(one, days=300)
    one.promote("Iris", 1)
    receiver.answers = [500]
    assert one.deliver() == 0
    later(one, days=-300)
    assert one.deliver() == 1


def test_a_subscriber_gets_what_happened_while_it_was_away(one, receiver):
    one.subscribe(receiver.url, on=["commented"])
    with one.atomically() as batch:
        for number in range(50):
            batch.comment("Iris", 1, str(number))
    assert one.deliver() == 50
    said = [json.loads(body)["after"]["comment"] for _, body in receiver.got]
    assert said == [str(number) for number in range(50)]


def test_a_backup_without_the_last_event_is_said_and_new_events_come(one, receiver):
    made = one.subscribe(receiver.url)
    with one.store.transaction() as tx:
        deliveries.put_progress(tx, made.id, deliveries.Progress(cursor="gone"))
    assert one.deliver() == 0
    assert "lacks the last event" in subscription(one).problem
    one.promote("Iris", 1)
    assert (one.deliver(), receiver.events) == (1, [("Iris", "promoted")])


# -- several processes -----------------------------------------------------------------------------------------------


@pytest.mark.every_store
def test_one_delivers_at_a_time_until_its_lease_ends(one, receiver, later, monkeypatch):
    monkeypatch.setattr(deliveries, "_OFTEN", 1000)  # seconds: however slow the machine is
    made = one.subscribe(receiver.url)
    one.promote("Iris", 1)
    turn = deliveries.Turn(one, made.id)
    assert (one.deliver(), receiver.got) == (0, [])
    later(one, seconds=31)
    assert one.deliver() == 1
    turn.keep()  # it was written down a moment ago
    with pytest.raises(deliveries.Lost):
        turn.keep(last=True)


def test_what_was_delivered_is_written_down_now_and_then(one, monkeypatch):
    made = one.subscribe("https://example.org")
    monkeypatch.setattr(deliveries, "_OFTEN", 0)
    turn = deliveries.Turn(one, made.id)
    turn.succeeded()
    turn.keep()
    assert subscription(one).delivered == 1


def test_the_lease_of_a_process_that_died_has_ended(one, receiver):
    made = one.subscribe(receiver.url)
    one.promote("Iris", 1)
    turn = deliveries.Turn(one, made.id)
    turn.state.lease["process"] = "999999999@1.00"
    with one.store.transaction() as tx:
        deliveries.put_progress(tx, made.id, turn.state)
    assert one.deliver() == 1


def test_two_at_once_send_nothing_twice(one, receiver):
    one.subscribe(receiver.url)
    for number in range(20):
        one.comment("Iris", 1, str(number))
    other = rn.Registry(one.uri)
    counts = []
    threads = [threading.Thread(target=lambda it=it: counts.append(it.deliver())) for it in (one, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == len(receiver.got) == 20


def test_what_was_sent_by_a_process_that_was_killed_before_it_wrote_that_down_is_sent_again(one, tmp_path):
    out = tmp_path / "out"
    script = "import os, signal, sys\nfirst = not os.path.exists(sys.argv[1])\nopen(sys.argv[1], 'a').write('.')\n"
    script += "first and os.kill(os.getppid(), signal.SIGKILL)"
    one.subscribe([sys.executable, "-c", script, str(out)])
    one.promote("Iris", 1)
    one.comment("Iris", 1, "next")
    line = [sys.executable, "-m", "registry_nb", "deliver", "--registry", one.uri]
    assert subprocess.run(line, check=False).returncode == -9
    assert out.read_text() == "."
    assert one.deliver() == 2
    assert out.read_text() == "..."


def test_ctrl_c_ends_after_the_events_that_are_under_way(one, receiver, monkeypatch):
    one.subscribe(receiver.url)
    for number in range(5):
        one.comment("Iris", 1, str(number))
    stopping = threading.Event()
    stopping.set()
    assert delivering._serve(one, subscription(one), stopping) == 1
    monkeypatch.setattr(delivering, "_serve", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        one.deliver()
    monkeypatch.undo()
    assert one.deliver() == 4


def test_deliveries_without_an_end_follow_the_registry_and_the_time(one, receiver, monkeypatch):
    one.subscribe(receiver.url)
    monkeypatch.setattr(delivering, "_LOOK", 0.05)
    slept = []

    def pause(seconds):
        slept.append(seconds)
        if len(slept) in {1, 3}:
            one.comment("Iris", 1, str(len(slept)))

    monkeypatch.setattr(delivering.time, "sleep", pause)
    rounds = delivering.endless(one)
    assert [next(rounds).delivered, next(rounds).delivered] == [1, 1]


def test_a_batch_neither_subscribes_nor_delivers(one):
    with one.atomically() as batch:
        with pytest.raises(rn.Refused, match="cannot be part of a batch"):
            batch.subscribe("https://example.org")
        with pytest.raises(rn.Refused, match="cannot be part of a batch"):
            batch.deliver()


# -- whose subscriptions ---------------------------------------------------------------------------------------------


def put(registry, entries):
    with registry.store.transaction() as tx:
        tx.put_run(deliveries.record_of("subscriptions", entries))


def kept(registry):
    return dict(registry.store.run("subscriptions").params)


FORGED = {
    "without a seal": lambda facts: facts.pop("seal"),
    "with an empty seal": lambda facts: facts.update(seal=""),
    "with a seal that is nothing": lambda facts: facts.update(seal=None),
    "with a seal that is a list": lambda facts: facts.update(seal=[facts["seal"]]),
    "with a guessed seal": lambda facts: facts.update(seal="0" * 64),
    "with letters that are no ASCII": lambda facts: facts.update(seal="é" * 64),
    "without a key": lambda facts: facts.pop("key"),
    "of another key": lambda facts: facts.update(key="hmac-sha256:0123456789abcdef"),
    "to another path": lambda facts: facts.update(target=facts["target"] + "/canary"),
    "to a command": lambda facts: facts.update(target=["touch", "canary"]),
    "to a file": lambda facts: facts.update(target="file:///etc/passwd"),
    "to a list in a list": lambda facts: facts.update(target=[["touch", "canary"]]),
    "to nothing": lambda facts: facts.update(target=None),
    "of other actions": lambda facts: facts.update(on=["commented"]),
    "of all actions": lambda facts: facts.update(on=[]),
    "of a model": lambda facts: facts.update(model="Iris"),
    "in another form": lambda facts: facts.update(format="slack"),
    "of another user": lambda facts: facts.update(by="mallory"),
    "made at another time": lambda facts: facts.update(created_at="never"),
    "without its facts": lambda facts: facts.clear(),
}


@pytest.mark.parametrize("how", FORGED)
def test_what_others_wrote_is_never_called(one, receiver, how):
    made = one.subscribe(receiver.url, on=["promoted"])
    facts = json.loads(kept(one)[made.id])
    FORGED[how](facts)
    put(one, {made.id: json.dumps(facts)})
    one.promote("Iris", 1)
    one.comment("Iris", 1, "and this")
    assert (one.deliver(), receiver.got) == (0, [])
    assert not any(found.own for found in one.subscriptions())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", "[" * 100_000, '{"target": {}}', '"\ud800"'.encode("unicode_escape").decode()]
)
def test_what_is_no_subscription_is_left_out(one, receiver, text):
    one.subscribe(receiver.url)
    put(one, {**kept(one), "0": text})
    one.promote("Iris", 1)
    assert one.deliver() == 1
    assert len(one.subscriptions()) == 1


def test_a_seal_counts_for_its_id_and_in_its_place_only(one, receiver, tmp_path):
    made = one.subscribe(receiver.url)
    there = kept(one)
    put(one, {"0123456789abcdef": there[made.id]})
    one.promote("Iris", 1)
    assert one.deliver() == 0
    put(one, there)
    shutil.copytree(one.uri, tmp_path / "copy")
    copy = rn.Registry(tmp_path / "copy")
    assert (copy.deliver(), [found.own for found in copy.subscriptions()]) == (0, [False])
    (tmp_path / "link").symlink_to(one.uri)
    assert rn.Registry(tmp_path / "link").deliver() == 1  # the same place


def test_another_user_does_not_deliver_and_has_no_secret(one, receiver, monkeypatch, tmp_path):
    made = one.subscribe(receiver.url)
    one.promote("Iris", 1)
    monkeypatch.setenv("REGISTRY_NB_HOME", str(tmp_path / "home"))
    for _ in range(2):
        assert one.deliver() == 0
        with pytest.raises(rn.Invalid, match="not your own"):
            _ = subscription(one).secret
        assert "another key" in str(one.subscriptions())
        assert keys.secret(create=True)
    monkeypatch.undo()
    assert one.deliver() == 1
    assert made.secret.startswith("whsec_")
    assert made.secret.removeprefix("whsec_") not in str(kept(one))


def test_an_ended_subscription_does_not_come_back(one, receiver):
    made = one.subscribe(receiver.url)
    there = kept(one)
    one.unsubscribe(made.id)
    assert list(one.subscriptions()) == []
    put(one, there)
    with one.store.transaction() as tx:
        deliveries.put_progress(tx, made.id, deliveries.Progress())
    one.promote("Iris", 1)
    assert (one.deliver(), receiver.got) == (0, [])
    one.unsubscribe(made.id)
    for verb in (one.unsubscribe, lambda which: one.deliver(retry=which)):
        with pytest.raises(rn.NotFound, match="there is no subscription"):
            verb(made.id)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "[]",
        "{",
        '{"cursor": 7, "failures": "x", "due": "soon", "lease": {"until": 7}, "dead": [7, {}], "again": {"a": 1}}',
        '{"lease": {"token": "", "until": "later", "host": "", "process": ""}, "due": "2020-01-01T00:00:00"}',
        '{"again": [{"event": "x", "problem": "", "after": "gone"}, {"event": "y", "problem": "", "after": null}]}',
    ],
)
def test_progress_that_is_damaged_begins_anew(one, receiver, state):
    made = one.subscribe(receiver.url)
    with one.store.transaction() as tx:
        tx.put_run(deliveries.record_of(f"subscription-{made.id}", {"state": state}))
    assert one.deliver() == 2
    assert receiver.events == [("Iris", "created"), ("Iris", "registered")]


# -- what may be subscribed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        *(
            "",
            "notify-send",
            "ftp://example.org",
            "https://",
            "https://ada:secret@example.org",
            "https://example.org/é",
        ),
        *(
            "http://example.org:http/",
            "http://a b/",
            "http://a/\r\nx: y",
            "https://a/" + "b" * 3000,
            "http://[",
            7,
            None,
        ),
        *([], [""], ["a", 7], ["a\0b"], ["x" * 3000], {"a": 1}, "http://a:0/"),
    ],
)
def test_what_is_neither_an_address_nor_a_command_is_refused(one, target):
    with pytest.raises(rn.Invalid):
        one.subscribe(target)
    assert list(one.subscriptions()) == []


@pytest.mark.parametrize("on", ["promoted", [], ["promotd"], [7], 7])
def test_actions_that_do_not_exist_are_refused(one, on):
    with pytest.raises(rn.Invalid):
        one.subscribe("https://example.org", on)
    with pytest.raises(rn.ModelNotFound):
        one.subscribe("https://example.org", model="Irs")
    with pytest.raises(rn.Invalid, match="formats: json, slack, teams"):
        one.subscribe("https://example.org", format="xml")
    assert list(one.subscriptions()) == []


def test_every_action_that_the_history_knows_may_be_subscribed(one):
    assert one.subscribe("https://example.org", on=subscriptions.ACTIONS).on == tuple(subscriptions.ACTIONS)
    documented = " ".join(rn.Event.__doc__.split())
    assert [action for action in subscriptions.ACTIONS if f"``{action}``" not in documented] == []


def test_nobody_is_subscribed_to_an_empty_registry(registry):
    assert "nobody is subscribed" in str(registry.subscriptions())
    assert registry.subscribe("https://example.org").delivered == 0


def test_subscriptions_are_no_runs(one):
    one.subscribe("https://example.org")
    assert list(one.runs()) == []
    assert one.check().ok


# -- bodies ----------------------------------------------------------------------------------------------------------


def test_the_host_says_the_form_of_the_body():
    for url, form in {
        "https://hooks.slack.com/services/T/B/X": "slack",
        "https://HOOKS.slack.com/x": "slack",
        "https://acme.webhook.office.com/x": "teams",
        "https://prod-1.westeurope.logic.azure.com:443/x": "teams",
        "https://nothooks.slack.com.example.org/x": "json",
        "https://evilhooks.slack.com/x": "json",
    }.items():
        assert subscriptions.checked_format(None, url) == form
    assert subscriptions.checked_format(None, ("a",)) == "json"


def test_nothing_in_an_event_becomes_markup(one):
    event = one.comment("Iris", 1, "<!channel> & <https://evil.example|click> [a](https://evil.example) *b* \x1b[31m")
    slack = json.loads(bodies.body(event, "slack"))
    assert "<" not in slack["text"]
    assert ">" not in slack["text"]
    assert "&lt;!channel&gt; &amp; &lt;" in slack["text"]
    assert slack["mrkdwn"] is False
    teams = json.loads(bodies.body(event, "teams"))
    (block,) = teams["attachments"][0]["content"]["body"]
    assert (block["type"], block["inlines"][0]["type"]) == ("RichTextBlock", "TextRun")
    assert "\x1b" not in block["inlines"][0]["text"]
    one.promote("Iris", 1, because="<b>")
    assert json.loads(bodies.body(one.history()[-1], "slack"))["text"].endswith(
        "promoted Iris 1 to Production (&lt;b&gt;)"
    )


def test_an_id_that_fits_no_header_is_replaced_by_the_hash(one):
    (event, *_) = one.since()
    assert sending.message_id(event) == event.id
    hostile = rn.Event.from_dict({**event.to_dict(), "id": "a\r\nx: y"})
    assert sending.message_id(hostile) == hostile.hash


def test_times_are_read_with_and_without_a_zone():
    assert deliveries.time_of("2026-01-01T00:00:00").tzinfo is not None
    assert deliveries.time_of("2026-01-01T00:00:00+01:00") == datetime.fromisoformat("2025-12-31T23:00:00+00:00")
    assert (deliveries.time_of("soon"), deliveries.time_of(7)) == (None, None)
