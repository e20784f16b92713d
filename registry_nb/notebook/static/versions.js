// The versions of a model, as a table of any length.

const METRICS_SHOWN = 3;

function bar(value, [low, high]) {
  if (!Number.isFinite(value)) return null;
  const part = high > low ? 0.06 + 0.94 * ((value - low) / (high - low)) : 1;
  return h("i.bar", { "--part": part.toFixed(3) });
}

function versionsView(ctx) {
  const state = ctx.table(ctx.state.model);
  state.by ??= "version";
  const rows = () => ctx.data.versions;
  const at = (field) => (i) => rows().at(i, field);
  const metrics = () => Object.keys(rows().metrics);
  const chosen = () => metrics().filter((name, n) => (state.metrics ? state.metrics.has(name) : n < METRICS_SHOWN));
  let matches = null; // whether the kernel found a version, or null
  let asked = 0;
  let timer = null;

  const metricColumn = (name, n) => ({
    id: `metric ${name}`, title: name, about: `metric ${name}`, kind: "number.metric", hide: n ? "small" : null,
    cell: (i) => {
      const value = rows().metrics[name]?.[i];
      return [h("span", { title: value ?? null }, figure(value, true)), bar(value, rows().range(name))];
    },
    value: (i) => {
      const value = rows().metrics[name]?.[i];
      return value === null || value === undefined ? null : asNumber(value);
    },
  });
  const any = (field, some) => (rows().fields[field] ?? []).some((value) => value && some(value));
  // A column in which nothing would stand is left out.
  const columns = () => [
    { id: "mark", title: "Compare", kind: "mark", hide: "small",
      cell: (i) => h("span.box", { "data-do": "mark", title: "Mark for comparison (Space)" }, icon("check")) },
    { id: "version", title: "Version", kind: "version", cell: (i) => h("b", {}, String(rows().at(i, "version"))),
      value: at("version") },
    { id: "stage", title: "Stage", kind: "stages", cell: (i) => stageMark(rows().at(i, "stage")), value: at("stage") },
    !any("aliases", (aliases) => aliases.length) ? null : { id: "aliases", title: "Aliases", kind: "chips",
      hide: "small", cell: (i) => aliasMarks(rows().at(i, "aliases") ?? []),
      value: (i) => (rows().at(i, "aliases") ?? []).join(" ") },
    ...chosen().map(metricColumn),
    !any("tags", (tags) => Object.keys(tags).length) ? null : { id: "tags", title: "Tags", kind: "chips",
      hide: "medium", cell: (i) => tagMarks(rows().at(i, "tags"), rows().at(i, "tag_count") ?? 0),
      about: "tags: the first, and how many more",
      value: (i) => Object.entries(rows().at(i, "tags") ?? {}).map(([key, value]) => `${key}=${value}`).join(" ") },
    !any("badges", (badges) => badges.length) ? null : { id: "badges", title: "Trust", kind: "chips.trust",
      hide: "small", cell: (i) => badgeMarks(rows().at(i, "badges"), rows().at(i, "user")),
      value: (i) => (rows().at(i, "badges") ?? []).join(" ") },
    { id: "created", title: "Age", kind: "time", cell: (i) => when(rows().at(i, "created")), value: at("created") },
    { id: "user", title: "By", kind: "user", hide: "medium",
      cell: (i) => h("span", { title: rows().at(i, "user") }, visible(rows().at(i, "user"), 60)), value: at("user") },
    { id: "size", title: "Size", kind: "number.size", hide: "medium", cell: (i) => bytes(rows().at(i, "size")),
      value: at("size") },
    { id: "menu", title: "Actions", kind: "menu", cell: () => h("span.dots",
      { "data-do": "menu", title: "Actions (Shift+F10)" }, icon("more")) },
  ].filter(Boolean);

  const grid = makeGrid({
    label: `Versions of ${ctx.state.model}`, state,
    open: (version) => ctx.version(version),
    mark: (version) => {
      state.marks = state.marks.includes(version) ? state.marks.filter((one) => one !== version)
        : [...state.marks, version].slice(-2);
      show();
    },
    isMarked: (version) => state.marks.includes(version),
    menu: (version, anchor) => openMenu(ctx.root, `Actions for version ${version}`,
      ctx.moves.menu(rows().row(version), {
      openVersion: ctx.version, compare: (one) => ctx.compare(one),
    }), anchor, grid.focus),
    sort: (by, down) => { Object.assign(state, { by, down }); show(); },
  });

  const count = h("span.count", { role: "status" });
  const search = searchField({
    label: "Search or filter versions", placeholder: "Search, or filter: metrics.accuracy > 0.9", value: state.text,
    change: (text) => { state.text = text; sift(); },
  });
  const chooser = menuButton(ctx.root, "Metric columns", () => metrics().map((name) => ({
    label: visible(name, 80), checked: chosen().includes(name),
    act: (on) => {
      const next = new Set(chosen());
      if (on) next.add(name);
      else next.delete(name);
      state.metrics = next;
      show();
    },
  })), { text: "Metrics", glyph: "down", kind: "flat.wide" });
  const compare = button("Compare", () => ctx.compare(...state.marks), { kind: "flat" });
  const node = h("div.page", {}, h("div.tools", {}, search.node, count, chooser, compare), grid.node);

  // Plain words are looked for here, at once; a filter is the registry's own grammar, and the kernel's to answer.
  function sift() {
    clearTimeout(timer);
    asked += 1;
    search.complain("");
    if (!isFilter(state.text)) {
      matches = null;
      show();
      return;
    }
    const mine = asked;
    timer = setTimeout(async () => {
      try {
        const answer = await ctx.link.ask("filter", { model: ctx.state.model, filter: state.text }, {
          tell: (text) => mine === asked && search.complain(text),
        });
        if (mine !== asked) return;
        matches = fromBits(answer.matches);
        search.complain("");
        show();
      } catch (error) {
        if (mine === asked) search.complain(error.message);
      }
    }, 250);
  }

  function show(fresh) {
    const shown = columns();
    const column = shown.find((one) => one.id === state.by);
    const order = rows().order({
      by: column ? state.by : null, value: column?.value, down: state.down,
      words: isFilter(state.text) ? [] : words(state.text), wanted: matches,
    });
    state.marks = state.marks.filter((one) => rows().find(one) !== undefined);
    count.textContent = order.length === rows().count ? plural(order.length, "version")
      : `${order.length.toLocaleString("en")} of ${plural(rows().count, "version")}`;
    chooser.hidden = !metrics().length;
    const two = state.marks.length === 2;
    compare.replaceChildren(two ? `Compare ${state.marks.join(" and ")}` : "Compare");
    compare.setAttribute("title", two ? "What differs"
      : "Mark two versions with Space, or with a click on their boxes");
    compare.setAttribute("aria-disabled", String(!two));
    grid.show({ columns: shown, rows: rows(), order, fresh,
      nothing: ctx.data.loading ? "Loading…" : rows().count ? "No version fits" : "No versions yet" });
  }

  if (isFilter(state.text)) sift();
  show();
  return {
    node, focus: grid.focus, shown: grid.go,
    update({ versions, anew, locked }) {
      if (versions) {
        if (matches) sift();
        show(anew ? null : versions);
      } else if (locked) show();
    },
  };
}
