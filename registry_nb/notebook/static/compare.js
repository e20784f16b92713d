// Two versions side by side: only what differs, or all.

const SECTIONS = new Map(Object.entries({ metrics: "Metrics", params: "Parameters", signature: "Signature",
  requirements: "Requirements", tags: "Tags", record: "Record", estimator: "Estimator", provenance: "Provenance",
  data: "Data" }));

function compareView(ctx) {
  const state = ctx.state.compared;
  const numbers = ctx.data.versions.fields.version;
  const holder = ctx.data.versions.fields.stage?.lastIndexOf("Production") ?? -1;
  state.b ??= numbers.at(-1);
  state.a ??= holder >= 0 && numbers[holder] !== state.b ? numbers[holder] : numbers.at(-2);
  const result = h("div.result", { "aria-live": "polite" });
  const trouble = h("p.trouble", { role: "alert" });
  let asked = 0;

  function picker(side, label) {
    const input = h("input.short", { type: "number", min: "1", step: "1", "aria-label": label,
      value: state[side] ?? "" });
    const take = () => {
      if (state[side] === Number(input.value)) return;
      state[side] = Number(input.value);
      load();
    };
    input.addEventListener("change", take);
    input.addEventListener("keydown", (event) => event.key === "Enter" && take());
    return input;
  }
  const inputs = { a: picker("a", "First version"), b: picker("b", "Second version") };
  const everything = h("input",
    { type: "checkbox", onchange: (event) => { state.all = event.target.checked; load(); } });
  everything.checked = state.all ?? false;
  const swap = button("Swap", () => {
    [state.a, state.b] = [state.b, state.a];
    for (const side of ["a", "b"]) inputs[side].value = state[side] ?? "";
    load();
  }, { kind: "flat" });
  const shadow = shadowPart(ctx, () => state);
  const node = h("div.page.compare", {}, h("div.tools", {}, h("span", {}, "Version"), inputs.a, h("span", {}, "with"),
    inputs.b, swap, shadow.run,
    h("label.check", {}, everything, "what is the same, too")), trouble, shadow.report, result);

  const cell = (value, better) => h("span", {}, typeof value === "number" ? figure(value) : plain(value), " ", better
    ? h("span.better", {}, icon("check"), "better") : null);

  function draw(rows) {
    const groups = new Map();
    for (const row of rows) groups.set(row.section, [...(groups.get(row.section) ?? []), row]);
    const heads = [String(state.a), String(state.b), "Difference"];
    result.replaceChildren(...(groups.size ? [...groups].map(([name,
      found]) => section(SECTIONS.get(name) ?? visible(name, 80),
      table(SECTIONS.get(name) ?? visible(name, 80), [h("span.away", {}, "Name"), ...heads], found.map((row) => [
        visible(row.name, 300), cell(row.a, row.better === "a"), cell(row.b, row.better === "b"),
        typeof row.difference === "number" ? `${row.difference > 0 ? "+" : ""}${figure(row.difference)}`
          : plain(row.difference)]), ["name", "", "", "number"])))
      : [h("p.muted", {}, state.a === state.b ? "It is the same version."
        : "They differ in nothing that is recorded.")]));
  }

  async function load() {
    asked += 1;
    const mine = asked;
    shadow.report.replaceChildren(); // it is about the two that were compared
    trouble.textContent = "";
    if (!state.a || !state.b) {
      result.replaceChildren(h("p.muted", {}, numbers.length < 2 ? "There is one version only; a comparison needs two."
        : "Choose two versions."));
      return;
    }
    try {
      const { a, b, all = false } = state;
      const answer = await ctx.link.ask("compare", { model: ctx.state.model, a, b, all });
      if (mine === asked) draw(answer.rows ?? []);
    } catch (error) {
      if (mine === asked) trouble.textContent = visible(error.message);
    }
  }
  load();
  return { node, focus: () => inputs.a.focus(), update: ({ versions }) => versions
    && (versions.has(state.a) || versions.has(state.b)) && load() };
}
