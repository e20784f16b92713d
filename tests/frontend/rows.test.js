import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./module.js";

const { Rows } = load("Rows");

const versions = () => new Rows({
  revision: 7,
  model: "Iris",
  better: { accuracy: 1, loss: -1 },
  version: [1, 2, 3],
  stage: ["Archived", "Production", "None"],
  user: ["ada", "Bob", "ada"],
  tags: [{ team: "risk" }, {}, null],
  aliases: [[], ["champion"], []],
  metrics: { accuracy: [0.8, 0.9, null], loss: [0.5, 0.25, 0.25], __proto__: null },
}, "version");

const keys = (rows, order) => order.map((i) => rows.at(i, "version"));

test("columns are read as rows", () => {
  const rows = versions();
  assert.equal(rows.count, 3);
  assert.equal(rows.revision, 7);
  assert.equal(rows.model, "Iris");
  assert.equal(rows.find(2), 1);
  assert.deepEqual(rows.row(2), { version: 2, stage: "Production", user: "Bob", tags: {}, aliases: ["champion"],
    metrics: { accuracy: 0.9, loss: 0.25 } });
  assert.equal(rows.row(9), null);
  assert.equal(rows.at(0, "nothing"), undefined);
});

test("there may be no rows at all", () => {
  const rows = new Rows(null, "name");
  assert.equal(rows.count, 0);
  assert.equal(rows.revision, null);
  assert.deepEqual(rows.order(), []);
});

test("a metric may have the name of something that every object has", () => {
  const rows = new Rows(JSON.parse('{"version": [1], "metrics": {"__proto__": [0.5], "constructor": [1]}}'), "version");
  assert.deepEqual(Object.keys(rows.metrics).sort(), ["__proto__", "constructor"]);
  assert.equal(rows.metrics.constructor[0], 1);
});

test("the newest comes first, and what has no value last, up or down", () => {
  const rows = versions();
  const by = (name) => (i) => rows.metrics[name][i];
  assert.deepEqual(keys(rows, rows.order()), [3, 2, 1]);
  assert.deepEqual(keys(rows, rows.order({ by: "version", down: false })), [1, 2, 3]);
  assert.deepEqual(keys(rows, rows.order({ by: "accuracy", value: by("accuracy"), down: true })), [2, 1, 3]);
  assert.deepEqual(keys(rows, rows.order({ by: "accuracy", value: by("accuracy"), down: false })), [1, 2, 3]);
  assert.deepEqual(keys(rows, rows.order({ by: "loss", value: by("loss"), down: false })), [3, 2, 1], "ties: the newest first");
});

test("words are sorted without regard to their case", () => {
  const rows = versions();
  const user = (i) => rows.at(i, "user");
  assert.deepEqual(keys(rows, rows.order({ by: "user", value: user, down: false })), [3, 1, 2]);
  assert.deepEqual(keys(rows, rows.order({ by: "user", value: user, down: true })), [2, 3, 1]);
});

test("rows are found by words in any field, and by what the kernel found", () => {
  const rows = versions();
  assert.deepEqual(keys(rows, rows.order({ words: ["bob"] })), [2]);
  assert.deepEqual(keys(rows, rows.order({ words: ["team=risk"] })), [1]);
  assert.deepEqual(keys(rows, rows.order({ words: ["@champion", "production"] })), [2]);
  assert.deepEqual(keys(rows, rows.order({ words: ["nobody"] })), []);
  assert.deepEqual(keys(rows, rows.order({ wanted: (version) => version !== 2 })), [3, 1]);
});

test("a patch changes rows, adds them, and takes them out", () => {
  const rows = versions();
  assert.deepEqual(rows.patch({ 2: { stage: "Archived", metrics: { accuracy: 0.95 } }, 4: { stage: "None", metrics: { f1: 0.5 } } }), [2, 4]);
  assert.equal(rows.at(rows.find(2), "stage"), "Archived");
  assert.deepEqual(rows.row(2).metrics, { accuracy: 0.95, loss: null, f1: null });
  assert.deepEqual(rows.row(4), { version: 4, stage: "None", user: null, tags: null, aliases: null,
    metrics: { accuracy: null, loss: null, f1: 0.5 } });
  rows.patch({ 1: null, 3: null });
  assert.deepEqual(rows.fields.version, [2, 4]);
  assert.deepEqual(rows.metrics.accuracy, [0.95, null]);
  assert.equal(rows.find(4), 1);
  assert.equal(rows.find(1), undefined);
});

test("names are keys as they are", () => {
  const rows = new Rows({ name: ["1", "Iris"] }, "name");
  rows.patch({ 1: null, 2: {} });
  assert.deepEqual(rows.fields.name, ["Iris", "2"]);
});

test("badges come as bits, all at once", () => {
  const rows = versions();
  rows.patch({}, { foreign: btoa(String.fromCharCode(0b1100)), altered: btoa(String.fromCharCode(0b100)) });
  assert.deepEqual(rows.fields.badges, [[], ["foreign", "altered"], ["foreign"]]);
});

test("what is sorted and found follows a patch", () => {
  const rows = versions();
  const accuracy = (i) => rows.metrics.accuracy[i];
  rows.order({ by: "accuracy", value: accuracy, words: ["ada"] });
  rows.patch({ 1: { user: "eve", metrics: { accuracy: 0.99 } } });
  assert.deepEqual(keys(rows, rows.order({ by: "accuracy", value: accuracy })), [1, 2, 3]);
  assert.deepEqual(keys(rows, rows.order({ words: ["eve"] })), [1]);
});

test("the best of a metric is the most or the least, where bars mean something", () => {
  const rows = versions();
  assert.equal(rows.best("accuracy"), 0.9);
  assert.equal(rows.best("loss"), 0.25);
  assert.equal(rows.best("unknown"), null);
  rows.patch({ 1: { metrics: { accuracy: -1, loss: 0 } } });
  assert.equal(rows.best("accuracy"), null, "a share of a negative number says nothing");
  assert.equal(rows.best("loss"), null, "everything is endlessly more than nothing");
});
