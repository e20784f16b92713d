// The versions of a model, as a table of any length.

const METRICS_SHOWN = 3;

function bar(value, best) {
  if (!Number.isFinite(value) || best === null) return null;
  return h("i.bar", { "--part": (value === best ? 1 : value < best ? value / best : best / value).toFixed(3) });
}

function versionsView(ctx) {
  const state = ctx.table(ctx.state.model);
  state.by ??= "version";
  const rows = () => ctx.data.versions;
  const at = (field) => (i) => rows().at(i, field);
  const metrics = () => Object.keys(rows().metrics);
  const chosen = () => metrics().filter((name, n) => (state.metrics ? state.metrics.has(name) : n < METRICS_SHOWN));
  let matches = null; // the predicate of a filter, or null
  let asked = 0;
  let timer = null;

  // The rows have only the digits that are shown; the others are fetched when the pointer is on a value.
  const digits = new Map();
  const tooltip = (name, value, version) => `${name} ${digits.has(version) ? `= ${digits.get(version)[name]}`
    : `≈ ${figure(value)}`}`;
  const WAYS = { "1": "; more is better: the bar is its share of the most", "-1": "; less is better: the longer "
    + "the bar, the less" };
  const metricColumn = (name, n) => ({
    id: `metric ${name}`, title: name, kind: "number.metric", hide: ["", "small"][n] ?? "medium",
    about: `metric ${name}${rows().best(name) === null ? "" : WAYS[rows().better.get(name)]}`,
    cell: (i) => {
      const value = rows().metrics[name]?.[i] ?? null;
      if (value === null) return "";
      const version = rows().at(i, "version");
      return [h("span", { title: tooltip(name, value, version), "data-of": version, "data-name": name },
        figure(value, rows().decimals(name))), bar(value, rows().best(name))];
    },
    value: (i) => {
      const value = rows().metrics[name]?.[i];
      return value === null || value === undefined ? null : asNumber(value);
    },
  });
  const any = (field, some) => (rows().fields[field] ?? []).some((value) => value && some(value));
  // Empty columns are left out.
  const columns = () => [
    { id: "mark", title: "Compare", kind: "mark", act: "mark",
      cell: () => h("span.box", { title: "Mark for comparison (Space)" }, icon("check")) },
    { id: "version", title: "Version", kind: "version", cell: (i) => h("b", {}, String(rows().at(i, "version"))),
      value: at("version") },
    { id: "stage", title: "Stage", kind: "stages", cell: (i) => stageMark(rows().at(i, "stage")), value: at("stage") },
    !any("aliases", (aliases) => aliases.length) ? null : { id: "aliases", title: "Aliases", kind: "chips",
      hide: "small", cell: (i) => aliasMarks(rows().at(i, "aliases") ?? []),
      value: (i) => (rows().at(i, "aliases") ?? []).join(" ") },
    ...chosen().map(metricColumn),
    !any("tags", (tags) => Object.keys(tags).length) ? null : { id: "tags", title: "Tags", kind: "chips",
      hide: "medium", cell: (i) => tagMarks(rows().at(i, "tags"), rows().at(i, "tag_count") ?? 0),
      about: "the first tag, and the number of others",
      value: (i) => Object.entries(rows().at(i, "tags") ?? {}).map(([key, value]) => `${key}=${value}`).join(" ") },
    !any("badges", (badges) => badges.length) ? null : { id: "badges", title: "Trust", kind: "chips.trust",
      hide: "small", cell: (i) => badgeMarks(rows().at(i, "badges"), rows().at(i, "user")),
      value: (i) => (rows().at(i, "badges") ?? []).join(" ") },
    { id: "created", title: "Age", kind: "time", hide: "tiny", cell: (i) => when(rows().at(i, "created")), value: at("created") },
    { id: "user", title: "By", kind: "user", hide: "medium",
      cell: (i) => h("span", { title: rows().at(i, "user") }, visible(rows().at(i, "user"), 60)), value: at("user") },
    { id: "size", title: "Size", kind: "number.size", hide: "medium", cell: (i) => bytes(rows().at(i, "size")),
      value: at("size") },
    { id: "menu", title: "Actions", kind: "menu", act: "menu", cell: () => h("span.dots",
      { title: "Actions (Shift+F10)" }, icon("more")) },
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

  let pointing = null;
  grid.node.addEventListener("pointerover", (event) => {
    const version = Number(event.target.closest(".metric")?.querySelector("[data-of]")?.dataset.of ?? NaN);
    clearTimeout(pointing);
    if (!version || digits.has(version)) return;
    pointing = setTimeout(async () => {
      const quietly = { tell() {}, lost() {} };
      const { metrics = {} } = await ctx.link.ask("exact", { model: ctx.state.model, version }, quietly)
        .catch(() => ({}));
      digits.set(version, metrics);
      for (const one of grid.node.querySelectorAll(`[data-of="${version}"]`)) {
        const { name } = one.dataset;
        if (name in metrics) one.title = visible(`${name} = ${metrics[name]}`, 1000);
        else digits.delete(version);
      }
    }, 100);
  });

  const count = h("span.count", { role: "status" });
  const search = searchField({
    label: "Search or filter versions", placeholder: "Search, or filter: metrics.accuracy > 0.9", value: state.text,
    change: (text) => { state.text = text; sift(); },
  });
  const chooser = menuButton(ctx.root, "Metric columns", () => metrics().map((name) => ({
    label: visible(name, 80), hint: name, checked: chosen().includes(name),
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

  // Plain words are searched here; a filter has the registry's grammar, which the kernel evaluates.
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
      nothing: ctx.data.loading ? "Loading…" : rows().count ? "No version matches" : "No versions yet" });
  }

  if (isFilter(state.text)) sift();
  show();
  return {
    node, focus: grid.focus, shown: grid.go,
    update({ versions, anew, locked }) {
      if (versions) {
        digits.clear();
        if (matches) sift();
        show(anew ? null : versions);
      } else if (locked) show();
    },
  };
}
