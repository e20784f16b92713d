// The list of models: versions in Production, the newest version, the last change.

// A search field; its error is shown below it without moving anything.
function searchField({ label, placeholder, value, change }) {
  const trouble = h("p.trouble", { role: "alert" });
  const input = h("input", { type: "search", "aria-label": label, placeholder, value, autocomplete: "off",
    spellcheck: "false" });
  input.addEventListener("input", () => change(input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !input.value) return;
    input.value = "";
    change("");
    event.stopPropagation();
  });
  return {
    input,
    node: h("div.search", {}, icon("find"), input, trouble),
    complain(text) {
      trouble.textContent = visible(text, 400);
      input.setAttribute("aria-invalid", String(Boolean(text)));
    },
  };
}

const held = (versions) => (versions ?? []).map((version) => String(version)).join(", ");

function modelsView(ctx) {
  const state = ctx.table("");
  state.by ??= "changed"; // users look for recent changes first
  const rows = () => ctx.data.models;
  const at = (field) => (i) => rows().at(i, field);
  const holders = (stage) => (i) => {
    const found = held(stages(i)[stage]);
    return found ? stageMark(stage, found) : h("span.muted", {}, "–");
  };
  const stages = (i) => rows().at(i, "stages") ?? {};
  let sizes = null; // counted on request: it takes a look at every version
  const size = (i) => sizes[rows().at(i, "name")] ?? 0;
  const columns = () => [
    { id: "name", title: "Model", kind: "name", value: at("name"),
      cell: (i) => h("b", { title: rows().at(i, "name") }, visible(rows().at(i, "name"), 120)) },
    { id: "production", title: "Production", kind: "held", value: at("production"), cell: holders("Production") },
    { id: "staging", title: "Staging", kind: "held", hide: "small", value: (i) => stages(i).Staging?.at(-1) ?? null,
      cell: holders("Staging") },
    { id: "newest", title: "Newest", kind: "number", hide: "small", value: at("newest"),
      cell: (i) => String(rows().at(i, "newest") ?? "") },
    { id: "count", title: "Versions", kind: "number", value: at("count"),
      cell: (i) => (rows().at(i, "count") ?? 0).toLocaleString("en") },
    ...sizes ? [{ id: "size", title: "Stored", kind: "number", hide: "small", value: size, cell: (i) => bytes(size(i)) }]
      : [],
    { id: "changed", title: "Changed", kind: "time", value: at("changed"), cell: (i) => when(rows().at(i, "changed")) },
    { id: "description", title: "Description", kind: "words", hide: "medium", value: at("description"),
      cell: (i) => h("span.muted", { title: rows().at(i, "description") }, visible(rows().at(i, "description"), 200)) },
  ];
  const grid = makeGrid({
    label: "Models", state, open: (name) => ctx.open(name),
    sort: (by, down) => { Object.assign(state, { by, down }); show(); },
  });
  const count = h("span.count", { role: "status" });
  const search = searchField({ label: "Search models", placeholder: "Search", value: state.text,
    change: (text) => { state.text = text; show(); } });
  const start = `%registry register model as Iris --example X[:5]`;
  const nothing = h("div.start", {},
    h("h2", {}, "Nothing is registered yet"),
    h("p", {}, "Fit a model, and type in a cell:"), code(start, ctx.say),
    h("p", {}, "or ", button("register a variable", () => ctx.go("register"), { kind: "link", locked: ctx.locked() }),
      " of this notebook here."));
  const table = h("div.page", {}, h("div.tools", {}, search.node, count,
    button("Sizes", async (control) => {
      try {
        ({ sizes } = await ctx.link.act(control, "usage"));
        show();
      } catch (error) {
        ctx.say(error.message, "bad");
      }
    }, { title: "Add up the bytes that each model stores" })), grid.node);
  const node = h("div", {});

  function show(fresh) {
    const empty = ctx.data.ready && !rows().count;
    if (node.firstChild !== (empty ? nothing : table)) node.replaceChildren(empty ? nothing : table);
    if (empty) return;
    const column = columns().find((one) => one.id === state.by);
    const order = rows().order({ by: state.by, value: column?.value, down: state.down, words: words(state.text) });
    count.textContent = order.length === rows().count ? plural(order.length, "model")
      : `${order.length.toLocaleString("en")} of ${plural(rows().count, "model")}`;
    grid.show({ columns: columns(), rows: rows(), order, fresh, nothing: ctx.data.ready ? `No model matches ${named(state.text)}`
      : "Loading…" });
  }
  show();
  return { node, update: ({ models, anew }) => models && show(anew ? null : models),
    focus: () => (node.firstChild === table ? grid.focus() : node.querySelector("button")?.focus()), shown: grid.go };
}
