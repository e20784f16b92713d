// Compare the predictions of two versions on the same data.

// As `percent` in digits.py: what is not all or nothing does not read so.
function share(value) {
  const whole = steady(100 * value);
  let places = 1;
  while (value > 0 && value < 1 && [0, 100].includes(Number(whole.toFixed(places))) && places < 20) places += 1;
  return `${whole.toFixed(places)} %`;
}

const NONE = "–";

function agreementBar(agreement) {
  return h("div.agreement", { role: "img", "aria-label": `They agree on ${share(agreement)} of the rows` },
    h("i", { "--part": String(agreement) }));
}

function shadowReport(found) {
  const sides = [`${found.a}`, `${found.b}`];
  const heads = (one) => one.heads.map((head, n) => head || h("span.away", {}, n ? "Note" : "What"));
  const part = (one) => section(one.title, table(`${one.title}, on the data`, heads(one),
    one.rows.map((row) => {
      const measured = (cell, n) => typeof cell === "number" && one.measured.includes(n);
      const places = decimalsOf(row.filter(measured));
      return row.map((cell, n) => (measured(cell, n) ? h("span", { title: cell }, figure(cell, places)) : plain(cell)));
    }),
    one.heads.map((_, n) => (n && one.rows.every((row) => typeof row[n] !== "string" || row[n] === NONE) ? "number" : "name"))),
  one.note ? h("p.muted", {}, visible(one.note, 1000)) : null);
  return h("div.shadow", {}, h("p.summary", {}, visible(found.sentence, 1000)),
    typeof found.agreement === "number" ? agreementBar(found.agreement) : null,
    found.parts.map(part),
    found.saved ? h("p.good", {}, icon("check"), `Kept in the history of ${sides[1]}`) : null);
}

// The form and the report; `pair()` returns the two versions.
function shadowPart(ctx, pair) {
  const report = h("div.report", { "aria-live": "polite" });
  const ask = (keep) => question(ctx.root, {
    title: keep ? "Compare on data, and keep it" : "Compare on data", yes: "Compare", say: ctx.say,
    restore: () => run.focus(),
    fields: [
      { name: "data", label: "Data", required: true, hint: "a variable or an expression, such as X_test[:100]" },
      { name: "truth", label: "True answers", hint: "such as y_test; optional" },
      { name: "by", label: "Slices", hint: "a column to group the rows by; optional" },
      ...(keep ? [{ name: "because", label: "Why?", placeholder: "kept in the history" }] : []),
    ],
    run: async (values, control, tell) => {
      const { a, b } = pair();
      const args = { model: ctx.state.model, a, b, save: keep, ...values };
      const found = await ctx.link.act(control, "shadow", args, tell);
      report.replaceChildren(shadowReport(found));
      return () => ctx.say(found.sentence, "ok");
    },
  });
  const run = menuButton(ctx.root, "Compare on data", () => [
    { label: "Compare on data…", act: () => ask(false) },
    { label: "Compare on data, and keep it in the history…", locked: ctx.locked(), act: () => ask(true) },
  ], { text: "On data…", glyph: "down", kind: "wide", align: "left", locked: ctx.locked() });
  return { run, report };
}
