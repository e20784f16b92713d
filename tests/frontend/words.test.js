import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { load } from "./module.js";

const { age, asNumber, both, bytes, capital, decimalsOf, exact, figure, isFilter, named, plain, plural, share, visible, words } =
  load("age", "asNumber", "both", "bytes", "capital", "decimalsOf", "exact", "figure", "isFilter", "named", "plain", "plural", "share",
    "visible", "words");

function table(call, cases) {
  for (const [given, expected] of cases) assert.equal(call(given), expected, `of ${JSON.stringify(given)}`);
}

test("invisible characters are spelled out, and line ends stay", () => {
  table(visible, [
    ["Iris", "Iris"], ["a\nb\tc", "a\nb\tc"], ["a\u202eb", "a\\u202eb"], ["a\0b", "a\\x00b"], ["\u2028", "\\u2028"],
    ["a\u200bb", "a\\u200bb"], [null, ""], [undefined, ""], [0, "0"], ["<b>", "<b>"], ["🌸", "🌸"],
  ]);
});

test("a long text is cut", () => {
  assert.equal(visible("x".repeat(20), 10), `${"x".repeat(10)}…`);
  assert.equal(visible("x".repeat(10), 10), "x".repeat(10));
  assert.equal(named("Iris"), "“Iris”");
  assert.equal(both("Iris", 3), "Iris 3");
});

test("a number is written with four digits, or whole where it is large", () => {
  table(figure, [
    [0, "0"], [0.97, "0.97"], [0.123456, "0.1235"], [12.3456, "12.35"], [999.4, "999.4"], [999.96, "1,000"],
    [1234.5, "1,234.5"], [1234.56, "1,234.6"], [123456.7, "123,457"], [1e9, "1,000,000,000"], [-0.5, "−0.5"],
    [1e-5, "1e-05"], [1.23456e-7, "1.235e-07"], [1e15, "1e+15"], [1e100, "1e+100"], [0.0001, "0.0001"],
  ]);
});

test("half a unit of the last digit is rounded to even, as Python does it", () => {
  table(figure, [[0.00012345, "0.0001234"], [1.0005, "1"], [2.5e-9, "2.5e-09"], [1000.25, "1,000.2"], [1000.75, "1,000.8"]]);
  assert.equal(figure(0.125, 2), "0.125", "it needs more decimals than its neighbours");
});

test("numbers that JSON lacks come as words, and a missing one is blank", () => {
  table(figure, [["NaN", "NaN"], ["Infinity", "∞"], ["-Infinity", "−∞"], [null, ""], [undefined, ""], ["soon", "soon"], [true, "true"]]);
  assert.ok(Number.isNaN(asNumber("NaN")));
  assert.equal(asNumber("Infinity"), Infinity);
  assert.equal(asNumber(null), null);
});

test("numbers that stand together have the same decimals, at most four", () => {
  table(decimalsOf, [[[1, 2], 0], [[0.5, 0.25], 2], [[0.123456, 1], 4], [[1e-9, 0.5], 1], [[], 0], [[null, "NaN", 0.5], 1]]);
  assert.equal(figure(0.5, decimalsOf([0.5, 0.25])), "0.50");
  assert.equal(figure(1e-9, 2), "1e-09");
});

test("a size has a unit", () => {
  table(bytes, [[0, "0 B"], [999, "999 B"], [1000, "1.0 KB"], [1234567, "1.2 MB"], [1e12, "1.0 TB"], [1e16, "10000.0 TB"], [null, ""]]);
});

test("an age is told by its largest unit", () => {
  mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 5, 1) });
  const ago = (seconds) => age(Date.now() - seconds * 1000);
  table(ago, [
    [0, "just now"], [59, "just now"], [60, "1 min ago"], [3599, "59 min ago"], [3600, "1 h ago"], [86400, "1 d ago"],
    [2592000, "1 mo ago"], [31536000, "1 y ago"], [-30, "just now"], [-61, "in the future"],
  ]);
  table(age, [[null, ""], [undefined, ""], ["no time", ""]]);
  mock.timers.reset();
});

test("a moment is written in local time", () => {
  assert.match(exact(Date.UTC(2026, 5, 1, 12, 30)), /^2026-0[56]-\d\d \d\d:\d\d:00$/);
  table(exact, [[null, ""], ["no time", ""]]);
});

test("values are written without the braces of their notation", () => {
  table(plain, [
    [null, ""], [true, "yes"], [false, "no"], [0.1, "0.1"], ["x", "x"], [[1, null, [2, 3]], "1, none, (2, 3)"],
    [{ a: 1, b: { c: true } }, "a: 1, b: (c: yes)"], [[], ""],
  ]);
});

test("counts, shares and headings", () => {
  assert.equal(plural(1, "model"), "1 model");
  assert.equal(plural(1200, "model"), "1,200 models");
  table(share, [[0, "0.0 %"], [0.5, "50.0 %"], [1, "100.0 %"], [0.9995, "99.95 %"]]);
  assert.equal(capital("commit of"), "Commit of");
});

test("a search is a filter as soon as it has an operator", () => {
  table(isFilter, [
    ["accuracy", false], ["metrics.accuracy > 0.9", true], ["name = 'x'", true], ["tags.a LIKE 'x%'", true],
    ["stage IN ('a')", true], ["likely in", false], ["", false],
  ]);
  assert.deepEqual(words("  Two  WORDS "), ["two", "words"]);
  assert.deepEqual(words(""), []);
});
