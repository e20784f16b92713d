import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Window } from "happy-dom";
import { load } from "./module.js";

const window = new Window();
for (const name of ["document", "Node", "requestAnimationFrame", "addEventListener"]) {
  globalThis[name] = typeof window[name] === "function" && name !== "Node" ? window[name].bind(window) : window[name];
}
const { Rows, badgeMarks, bar, button, checklist, drawTimeline, h, icon, makeGrid, scaleOf, tagMarks } = load("Rows", "badgeMarks", "bar",
  "button", "checklist", "drawTimeline", "h", "icon", "makeGrid", "scaleOf", "tagMarks");

beforeEach(() => document.body.replaceChildren());

const press = (node, key, how = {}) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...how }));
const click = (node) => node.dispatchEvent(new window.MouseEvent("click", { bubbles: true }));

test("a text of a user is a text, wherever it stands", () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const made = h("p.one.two", { title: hostile, "data-x": hostile }, hostile, [h("b", {}, hostile)]);
  assert.equal(made.className, "one two");
  assert.equal(made.textContent, hostile + hostile);
  assert.equal(made.querySelector("img"), null);
  assert.equal(made.getAttribute("title"), hostile);
  assert.equal(tagMarks({ [hostile]: hostile })[0].children.length, 0);
  assert.equal(badgeMarks([hostile])[0].textContent, hostile);
});

test("what is null, false or empty leaves nothing", () => {
  const made = h("div", { id: null, hidden: false, "aria-busy": true, "--width": "3px" }, null, "", undefined, 0);
  assert.deepEqual([...made.attributes].map((one) => one.name).sort(), ["aria-busy", "style"]);
  assert.equal(made.style.getPropertyValue("--width"), "3px");
  assert.equal(made.textContent, "0");
});

test("a locked button keeps the focus and does nothing", () => {
  let clicks = 0;
  const act = () => { clicks += 1; };
  click(button("Promote", act));
  const locked = button("Promote", act, { locked: true });
  click(locked);
  assert.equal(clicks, 1);
  assert.equal(locked.getAttribute("aria-disabled"), "true");
  assert.equal(locked.hasAttribute("disabled"), false);
});

test("tags beyond the first are counted", () => {
  assert.deepEqual(tagMarks({ a: "1", b: "2", c: "3" }).map((one) => one.textContent), ["a=1", "+2"]);
  assert.deepEqual(tagMarks({ a: "" }, 9).map((one) => one.textContent), ["a", "+8"]);
  assert.deepEqual(tagMarks(null), []);
});

test("a badge says who registered it", () => {
  const [mark] = badgeMarks(["foreign"], "eve");
  assert.equal(mark.textContent, "untrusted");
  assert.match(mark.getAttribute("title"), /eve registered it/);
  assert.equal(icon("warn").getAttribute("aria-hidden"), "true");
});

test("a rule of a policy is said in words, not by its colour alone", () => {
  const list = checklist([{ verdict: "failed", rule: "accuracy >= 0.9", found: "0.8" }, { verdict: "odd", rule: "r", found: "" }], "rules");
  assert.deepEqual([...list.children].map((one) => one.textContent), ["failed: accuracy >= 0.9 · 0.8", "not known: r"]);
});

test("a bar is a share of the best, whichever way is better", () => {
  const part = (value, best) => bar(value, best)?.style.getPropertyValue("--part");
  assert.equal(part(0.5, 1), "0.500");
  assert.equal(part(4, 1), "0.250");
  assert.equal(part(1, 1), "1.000");
  assert.equal(part(null, 1), undefined);
  assert.equal(part(1, null), undefined);
});

// -- the table ---------------------------------------------------------------------------------------------------------

function grid(count, how = {}) {
  const calls = [];
  const state = { by: "version", down: true, active: null };
  const rows = new Rows({ version: Array.from({ length: count }, (_, i) => i + 1) }, "version");
  const made = makeGrid({ label: "Versions", state, sort: (...given) => calls.push(["sort", ...given]),
    open: (key) => calls.push(["open", key]), mark: (key) => calls.push(["mark", key]), ...how });
  const columns = [{ id: "version", title: "Version", kind: "version", value: (i) => i, cell: (i) => String(rows.at(i, "version")) },
    { id: "name", title: "Name", value: (i) => i, cell: () => "x" }];
  document.body.append(made.node);
  const node = made.node.querySelector("[role=grid]");
  Object.defineProperty(node, "clientHeight", { value: 12 * 28 });
  made.show({ columns, rows, order: rows.order() });
  return { made, node, rows, state, calls, columns, shown: () => [...node.querySelectorAll(".row")].map((row) => row.firstChild.textContent) };
}

test("of ten thousand rows those that can be seen exist, and a few around them", () => {
  const it = grid(10000);
  assert.equal(it.shown().length, 24);
  assert.equal(it.shown()[0], "10000");
  assert.equal(it.node.getAttribute("aria-rowcount"), "10001");
  assert.equal(it.node.querySelector(".body").style.getPropertyValue("--tall"), "280000px");
});

test("the keys go through all rows, and stop at the ends", () => {
  const it = grid(10000);
  const at = () => it.state.active;
  assert.equal(at(), 10000);
  press(it.node, "ArrowDown");
  assert.equal(at(), 9999);
  press(it.node, "PageDown");
  assert.equal(at(), 9989, "a page is what fits, less two rows");
  press(it.node, "End");
  assert.equal(at(), 1);
  assert.equal(it.node.scrollTop, 10000 * 28 - 11 * 28);
  press(it.node, "ArrowDown");
  assert.equal(at(), 1);
  assert.ok(it.shown().includes("1"));
  assert.equal(it.node.querySelector(".active").id, it.node.getAttribute("aria-activedescendant"));
  press(it.node, "Home");
  assert.equal(at(), 10000);
  assert.equal(it.node.scrollTop, 0);
});

test("Enter opens, the space bar marks, and other keys are the page's", () => {
  const it = grid(3);
  press(it.node, "ArrowDown");
  press(it.node, "Enter");
  press(it.node, " ");
  press(it.node, "Enter", { shiftKey: true });
  press(it.node, "ArrowDown", { ctrlKey: true });
  press(it.node, "x");
  assert.deepEqual(it.calls, [["open", 2], ["mark", 2]]);
  assert.equal(it.state.active, 2);
});

test("a heading sorts: the other way the second time, numbers from the largest", () => {
  const it = grid(3);
  const [version, name] = it.node.querySelectorAll(".head button");
  click(version);
  click(name);
  assert.deepEqual(it.calls, [["sort", "version", false], ["sort", "name", false]]);
  it.state.by = "name";
  it.made.show({ columns: it.columns, rows: it.rows, order: it.rows.order() });
  click(it.node.querySelectorAll(".head button")[0]);
  assert.deepEqual(it.calls.at(-1), ["sort", "version", true]);
  assert.deepEqual([...it.node.querySelectorAll("[role=columnheader]")].map((one) => one.getAttribute("aria-sort")), [null, "descending"]);
});

test("the active row is kept while it is there, and is the first one after that", () => {
  const it = grid(5);
  press(it.node, "ArrowDown");
  it.made.show({ rows: it.rows, order: it.rows.order({ by: "version", down: false }) });
  assert.equal(it.state.active, 4);
  it.made.show({ rows: it.rows, order: it.rows.order({ wanted: (version) => version < 3 }) });
  assert.equal(it.state.active, 2);
  it.made.show({ rows: it.rows, order: [], nothing: "No version fits" });
  assert.equal(it.state.active, null);
  assert.equal(it.made.node.querySelector(".empty").textContent, "No version fits");
  press(it.node, "ArrowDown");
});

// -- who held a stage when ---------------------------------------------------------------------------------------------

test("a moment lies at its share of the width", () => {
  const now = Date.now();
  const { first, last, x } = scaleOf([{ from: now - 1000, to: now - 500 }], [{ at: now - 2000 }], 686);
  assert.equal(first, now - 2000);
  assert.ok(last >= now);
  assert.equal(x(first), 78);
  assert.equal(x(last), 678);
  assert.equal(x((first + last) / 2), 378);
});

test("each stage that was held has a lane, and a stint can be seen however short it was", () => {
  const now = Date.now();
  const stints = [{ stage: "Production", version: 1, from: now - 1e9, to: now - 1e9 + 1, by: "ada" },
    { stage: "Production", version: 2, from: now - 1e9 + 1, to: null, by: "<b>", because: "better" }];
  const picture = drawTimeline(stints, 686, scaleOf(stints, [], 686));
  assert.deepEqual([...picture.querySelectorAll(".label")].map((one) => one.textContent), ["Production"]);
  const widths = [...picture.querySelectorAll("rect")].map((one) => Number(one.getAttribute("width")));
  assert.equal(widths.length, 2);
  assert.equal(widths.at(-1), 6, "the shortest is drawn last");
  assert.match(picture.querySelector(".now title").textContent, /^2 in Production, .* to now, by <b>: better$/);
});
