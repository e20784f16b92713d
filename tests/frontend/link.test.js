import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { deflateSync } from "node:zlib";
import { load } from "./module.js";

const { fromBits, makeLink, unpack, watchKernel } = load("fromBits", "makeLink", "unpack", "watchKernel");

function makeModel() {
  const heard = new Map();
  const sent = [];
  return {
    sent,
    send: (message) => sent.push(message),
    on: (event, hear) => heard.set(event, [...(heard.get(event) ?? []), hear]),
    off: (event, hear) => heard.set(event, heard.get(event).filter((one) => one !== hear)),
    say: (message) => heard.get("msg:custom").forEach((hear) => hear(message)),
    fire: (event) => heard.get(event)?.forEach((hear) => hear()),
    listeners: () => [...heard.values()].flat().length,
  };
}

function makeControl() {
  const classes = new Set();
  const attributes = new Map();
  return {
    classList: { add: (name) => classes.add(name), remove: (name) => classes.delete(name), contains: (name) => classes.has(name) },
    setAttribute: (name, value) => attributes.set(name, value),
    getAttribute: (name) => attributes.get(name) ?? null,
    removeAttribute: (name) => attributes.delete(name),
  };
}

let [model, said, unasked, status, ends, abort, link] = [];
beforeEach(() => {
  [model, said, unasked, status, ends, abort] = [makeModel(), [], [], "idle", 0, new AbortController()];
  link = makeLink(model, { say: (text, kind) => said.push([text, kind]), notified: (message) => unasked.push(message),
    signal: abort.signal, kernel: { status: () => status, end: () => { ends += 1; link.end(); } } });
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
});

test("columns are unpacked, and nothing is nothing", async () => {
  const packed = deflateSync(Buffer.from(JSON.stringify({ version: [1, 2] })));
  assert.deepEqual(await unpack(new DataView(packed.buffer, packed.byteOffset, packed.byteLength)), { version: [1, 2] });
  assert.equal(await unpack(null), null);
  assert.equal(await unpack(new DataView(new ArrayBuffer(0))), null);
});

test("a set of versions is one bit each", () => {
  const has = fromBits(btoa(String.fromCharCode(0b10, 0, 0b1)));
  assert.deepEqual([0, 1, 2, 8, 16, 17, 1000].filter(has), [1, 16]);
});

test("each question gets its own answer, in any order", async () => {
  const [one, two] = [link.ask("version", { version: 1 }), link.ask("version", { version: 2 })];
  const [first, second] = model.sent;
  assert.notEqual(first.id, second.id);
  assert.deepEqual([first.op, first.args], ["version", { version: 1 }]);
  model.say({ id: second.id, ok: true, result: { found: 2 } });
  model.say({ id: first.id, ok: true });
  assert.deepEqual(await one, {});
  assert.deepEqual(await two, { found: 2 });
  model.say({ id: first.id, ok: true, result: "too late" });
});

test("an error has the kernel's words", async () => {
  const asked = link.ask("promote");
  model.say({ id: model.sent[0].id, ok: false, error: { type: "PolicyFailed", message: "not yet" } });
  await assert.rejects(asked, { name: "PolicyFailed", message: "not yet" });
  const other = link.ask("promote");
  model.say({ id: model.sent[1].id });
  await assert.rejects(other, { name: "Error", message: "it failed" });
});

test("what comes unasked, and what another view asked, is kept apart", () => {
  model.say({ event: "changed" });
  model.say(undefined);
  model.say({ id: -1, ok: true });
  assert.deepEqual(unasked, [{ event: "changed" }, {}]);
});

test("silence is told, and the controls come back", async () => {
  const control = makeControl();
  const asked = link.act(control, "promote");
  assert.ok(control.classList.contains("busy"));
  mock.timers.tick(2000);
  assert.deepEqual(said, [["No answer for 2 s: the kernel is busy or gone.", "wait"]]);
  mock.timers.tick(8000);
  assert.deepEqual(said.at(-1), ["No answer for 10 s: the kernel is busy or gone.", "bad"]);
  assert.ok(!control.classList.contains("busy"));
  model.say({ id: model.sent[0].id, ok: true, result: "late" });
  assert.equal(await asked, "late");
  assert.deepEqual(said.at(-1), ["", undefined], "the line is empty again");
});

test("a kernel that is known to be busy is waited for", () => {
  status = "busy";
  const control = makeControl();
  link.act(control, "promote");
  mock.timers.tick(60000);
  assert.deepEqual(said, [["The kernel is busy; this will be done when it is free.", "wait"]]);
  assert.ok(control.classList.contains("busy"));
});

test("progress is shown, and ends the waiting", () => {
  link.ask("shadow");
  model.say({ id: model.sent[0].id, progress: "half of it" });
  mock.timers.tick(60000);
  assert.deepEqual(said, [["half of it", "wait"]]);
});

test("a second click on a busy control does nothing", () => {
  const control = makeControl();
  link.act(control, "promote");
  link.act(control, "promote");
  assert.equal(model.sent.length, 1);
});

test("a kernel that is gone answers at once", async () => {
  status = "gone";
  await assert.rejects(link.ask("promote"), { name: "KernelLost" });
  assert.equal(ends, 1);
  assert.equal(model.sent.length, 0);
});

test("a line that breaks while something is sent is a lost kernel", async () => {
  model.send = () => { throw new Error("no comm"); };
  await assert.rejects(link.ask("promote"), { name: "KernelLost" });
});

test("a view that is closed hears nothing more", () => {
  link.ask("promote");
  abort.abort();
  mock.timers.tick(60000);
  assert.deepEqual(said, []);
  assert.equal(model.listeners(), 0);
});

const watched = (kernel = { id: "k", status: "idle", connectionStatus: "connected" }) => {
  let gone = 0;
  let connected = true;
  const own = Object.assign(makeModel(), { comm_live: true, widget_manager: { kernel } });
  const el = { closest: () => (connected ? null : {}) };
  const watch = watchKernel(own, el, { gone: () => { gone += 1; }, signal: abort.signal });
  return { own, kernel, watch, gone: () => gone, disconnect: () => { connected = false; } };
};

test("the kernel's own state is what the panel knows", () => {
  const { kernel, watch } = watched();
  assert.equal(watch.known, true);
  assert.equal(watch.status(), "idle");
  kernel.status = "busy";
  assert.equal(watch.status(), "busy");
  kernel.connectionStatus = "disconnected";
  assert.equal(watch.status(), "", "it may come back");
  assert.equal(watched(null).watch.known, false);
  assert.equal(watched(null).watch.status(), "");
});

test("a restart, another kernel, or a lost comm ends the panel, once", () => {
  const ways = {
    restart: ({ kernel }) => { kernel.status = "restarting"; },
    another: ({ own }) => { own.widget_manager.kernel = { id: "other" }; },
    disposed: ({ kernel }) => { kernel.isDisposed = true; },
    comm: ({ own }) => { own.comm_live = false; },
    page: ({ disconnect }) => disconnect(),
  };
  for (const [name, end] of Object.entries(ways)) {
    const it = watched();
    end(it);
    mock.timers.tick(5000);
    assert.equal(it.gone(), 1, name);
    assert.equal(it.watch.status(), "gone", name);
    assert.equal(it.own.listeners(), 0, name);
    it.watch.end();
    assert.equal(it.gone(), 1, name);
  }
});

test("a comm that closes is noticed at once", () => {
  const it = watched();
  it.own.comm_live = false;
  it.own.fire("comm:close");
  assert.equal(it.gone(), 1);
});
