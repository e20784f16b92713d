// Two versions side by side: the differences, or everything.

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
    h("label.check", {}, everything, "show equal values")), trouble, shadow.report, result);

  // Both values and their difference: metrics rounded as everywhere unless they would look equal, sizes with their unit,
  // settings with all digits.
  function texts(row) {
    const { a, b, difference } = row;
    const signed = (text) => `${difference < 0 ? "−" : "+"}${text}`;
    if (row.section === "record" && row.name === "size") return [bytes(a), bytes(b), difference === null ? ""
      : signed(bytes(Math.abs(difference)))];
    if (row.section !== "metrics") return [plain(a), plain(b), difference === null ? ""
      : signed(plain(Math.abs(difference)))];
    const places = decimalsOf([a, b]);
    const short = [figure(a, places), figure(b, places)];
    return [...(difference && short[0] === short[1] ? [String(a), String(b)] : short), difference === null ? ""
      : signed(figure(Math.abs(difference), places))];
  }

  function draw(rows) {
    const groups = new Map();
    for (const row of rows) groups.set(row.section, [...(groups.get(row.section) ?? []), row]);
    const heads = [String(state.a), String(state.b), "Difference"];
    const better = () => h("span.better", {}, icon("check"), "better");
    const line = (row) => {
      const [a, b, between] = texts(row);
      const side = (name, text) => h("span", { title: typeof row[name] === "number" ? String(row[name]) : null },
        row.better === name ? [better(), " "] : null, text);
      return [visible(row.name, 300), side("a", a), side("b", b), between];
    };
    result.replaceChildren(...(groups.size ? [...groups].map(([name, found]) => {
      const title = SECTIONS.get(name) ?? visible(name, 80);
      const numbers = found.every((row) => [row.a, row.b].every((one) => one === null || typeof one === "number"
        || (name === "metrics" && Number.isNaN(Number(one)) === (one === "NaN"))));
      const kind = numbers ? "number" : "";
      const made = section(title, table(title, [h("span.away", {}, "Name"), ...heads], found.map(line),
        ["name", kind, kind, kind]));
      made.classList.add("compared");
      return made;
    }) : [h("p.muted", {}, state.a === state.b ? "Both are the same version."
      : "No recorded value differs.")]));
  }

  async function load() {
    asked += 1;
    const mine = asked;
    shadow.report.replaceChildren(); // it is about the previous pair
    trouble.textContent = "";
    if (!state.a || !state.b) {
      result.replaceChildren(h("p.muted", {}, numbers.length < 2 ? "There is only one version; a comparison needs two."
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
