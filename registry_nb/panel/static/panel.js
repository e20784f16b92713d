// The panel itself: navigation, views and the status line.

const VIEWS = { models: modelsView, versions: versionsView, board: boardView, version: versionView,
  compare: compareView, history: historyView, register: registerView, requests: requestsView };
const TABS = [["versions", "Versions"], ["board", "Board"], ["compare", "Compare"], ["history", "History"]];
const DRAWN_HERE = ["models", "versions", "board", "register"]; // without the kernel
const FRESH = 2500;
const NO_KERNEL = "No kernel answers: this is a snapshot of the registry.";

async function render({ model, el, signal }) {
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });
  const shadow = host.attachShadow({ mode: "open" });
  const bar = h("div.bars");
  const header = h("div.top");
  const stage = h("div.stagearea", { role: "region", "aria-label": "Model registry" });
  const said = h("p.said", { role: "status", "aria-live": "polite" });
  const news = h("p.news", { role: "log", "aria-live": "polite", "aria-label": "What others did" });
  const root = h("div.panel", {}, header, bar, stage, h("div.foot", {}, said, news));
  shadow.append(h("style", {}), root);
  shadow.firstChild.textContent = STYLE;
  el.replaceChildren(host);
  Object.defineProperty(root, "activeElement", { get: () => shadow.activeElement });

  const data = { models: new Rows({}, "name"), versions: new Rows({}, "version"), ready: false, loading: false };
  const tables = new Map();
  const late = [];
  let unpacking = 0;
  const turns = {};
  const state = { model: model.get("model") ?? "", view: "", version: model.get("version") ?? null, compared: {},
    silent: false, waiting: 0, heard: false, lost: false };
  let view = null;

  const toast = makeToast(root, said, signal);
  function say(text, kind = "") {
    said.className = `said ${kind}`;
    said.textContent = visible(text, 1000);
    toast(kind);
  }
  const locked = () => Boolean(model.get("readonly") || model.get("problem") || state.silent || state.lost);
  const kernel = watchKernel(model, el, { gone, signal });
  const link = makeLink(model, { say, notified, signal, kernel });
  const moves = makeMoves({ root, link, say, state, locked, restore });
  const ctx = {
    model, root, data, state, link, moves, say, locked, go, open,
    table(name) {
      if (!tables.has(name)) tables.set(name, { by: null, down: true, active: null, top: 0, text: "", metrics: null,
        marks: [] });
      return tables.get(name);
    },
    version: (version) => { state.version = version; go("version"); },
    compare: (a, b = null) => { state.compared = b === null ? { b: a }
      : { a: Math.min(a, b), b: Math.max(a, b) }; go("compare"); },
    width: () => stage.clientWidth,
  };

  function restore() {
    if (!shadow.activeElement) view.focus();
  }

  // -- navigation ---------------------------------------------------------------------------------------------------

  // A dialog stays open, so typed text is not lost when somebody else deletes the model.
  function go(next, { focus = true } = {}) {
    if (!state.model && !["models", "register", "history", "requests"].includes(next)) next = "models";
    if (next === "version" && state.version === null) next = "versions";
    state.view = next;
    view?.gone?.();
    say("");
    view = VIEWS[next](ctx);
    stage.replaceChildren(view.node);
    drawHeader();
    if (!state.silent) count();
    view.shown?.();
    if (focus) view.focus();
    if (state.lost) freeze();
    if (model.get("view") !== next || (model.get("version") ?? null) !== state.version) {
      model.set("version", state.version); // first: listeners of the view read it
      model.set("view", next);
      model.save_changes();
    }
  }

  async function open(name, version = null) {
    const same = state.model === name;
    state.model = name;
    state.version = version;
    state.compared = {};
    if (!same || data.versions.model !== name) Object.assign(data,
      { versions: new Rows({ model: name }, "version"), loading: Boolean(name) });
    if (model.get("model") !== name) {
      model.set("model", name);
      model.save_changes();
    }
    go(!name ? "models" : version === null ? "versions" : "version");
    if (same || !name) return;
    try {
      await link.ask("open", { model: name });
    } catch (error) {
      open("");
      say(error.message, "bad");
    }
  }

  // Count the open requests, for the label of their tab.
  async function count() {
    if (state.model) return;
    const quietly = { tell() {}, lost() {} };
    const found = await link.ask("waiting", {}, quietly).catch(() => ({}));
    if (!state.model && (found.count ?? 0) !== state.waiting) {
      state.waiting = found.count ?? 0;
      drawHeader();
    }
  }

  function drawHeader() {
    const tab = (name, label) => button(label, () => go(name),
      { kind: "tab", "aria-current": state.view === name || (state.view === "version" && name === "versions") ? "page"
      : null });
    const focused = header.contains(shadow.activeElement) ? shadow.activeElement.textContent : null;
    const place = state.model
      ? [button("Models", () => open(""), { kind: "link" }), h("span.muted", { "aria-hidden": "true" }, "›"),
        h("b", { title: state.model }, visible(state.model, 80)),
        h("span.muted.about", {}, visible(data.models.row(state.model)?.description ?? "", 200))]
      : [h("b", {}, "Models"), h("span.muted.about", { title: model.get("uri") },
        visible(model.get("uri") ?? "", 200))];
    const tabs = state.model ? TABS.map(([name, label]) => tab(name, label))
      : [tab("models", "Models"), tab("requests", state.waiting ? `Requests (${state.waiting})` : "Requests"), tab("history", "History")];
    header.replaceChildren(h("div.place", {}, place), h("nav", { "aria-label": "Views" }, tabs),
      h("div.ends", {}, model.get("served") ? null
        : button("Register…", () => go("register"), { kind: "quiet", locked: locked() }), more()));
    if (focused !== null) [...header.querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
  }

  const more = () => menuButton(root, "More", () => (state.model ? [
    { label: "Roll back…", locked: locked(), act: moves.rollback }, null,
    { label: "Describe the model…", locked: locked(), act: moves.describeModel },
    { label: "Tag the model…", locked: locked(), act: () => moves.tag(null) },
    { label: "Remove a tag of the model…", locked: locked(), act: moves.untagModel },
    { label: "Rename…", locked: locked(), act: moves.rename },
    { label: "Delete the model…", danger: true, locked: locked(), act: () => moves.remove(null) },
  ] : [
    { label: "Check every byte", act: () => check(false) }, { label: "Check and load every model",
      act: () => check(true) },
  ]));

  async function check(deep) {
    try {
      const { ok, lines } = await link.act(header.querySelector("[aria-haspopup]"), "check", { deep });
      say(lines.join("; "), ok ? "ok" : "bad");
    } catch (error) {
      say(error.message, "bad");
    }
  }

  // -- messages from the kernel -------------------------------------------------------------------------------------------

  function drawBars() {
    const problem = model.get("problem");
    const call = `registry.panel(${state.model ? JSON.stringify(state.model) : ""})`;
    const line = state.lost ? h("p.bar.bad", { role: "alert", tabindex: "-1" }, icon("warn"), LOST_IT)
      : problem ? h("p.bar.bad", { role: "alert" }, icon("warn"), visible(problem, 1000),
      h("span.muted", {}, "The rows below may be out of date."))
      : state.silent ? h("p.bar", { role: "note" }, NO_KERNEL, " ", h("code", {}, call), " in a cell starts the panel.")
        : model.get("readonly") ? h("p.bar", { role: "note" }, "This registry is read-only here.") : null;
    bar.replaceChildren(...(line ? [line] : []));
  }

  // Without any answer so far, the panel is a snapshot; otherwise its controls are disabled, as no answer will come.
  function gone() {
    if (!kernel.known && !state.heard) silent();
    else if (!state.lost) {
      state.lost = true;
      say("");
      lock();
      freeze();
      toast.show(LOST_IT, "bad", bar);
    }
    link.end();
  }

  function silent() {
    state.silent = true;
    if (!DRAWN_HERE.includes(state.view)) go("versions", { focus: false });
    lock();
  }

  // Everything can still be read, selected and scrolled, but not sent. A focused field passes the focus to the message,
  // or the notebook would get the next key.
  function freeze() {
    root.classList.add("lost");
    root.querySelectorAll("button:not([data-still])").forEach((one) => one.setAttribute("aria-disabled", "true"));
    for (const one of root.querySelectorAll("input, select, textarea")) {
      if (one === shadow.activeElement && !one.closest("dialog")) bar.firstChild?.focus();
      if (one.matches("textarea, [type=text], [type=search]")) one.readOnly = true;
      else one.disabled = true;
    }
  }
  const frozen = (event) => {
    if (!state.lost || event.target.closest("[data-still], summary, a")) return;
    if (event.type === "keydown" && !["Enter", " ", "ContextMenu", "F10", "m"].includes(event.key)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  for (const type of ["click", "keydown", "submit", "contextmenu", "dragstart", "input", "change"]) {
    root.addEventListener(type, frozen, true);
  }

  function lock() {
    drawBars();
    if (view) drawHeader();
    view?.update({ locked: true });
  }

  function notified(message) {
    state.heard = true;
    if (message.patch) {
      const { patch } = message;
      if (unpacking) late.push(patch);
      const models = new Set(data.models.patch(patch.models ?? {}));
      const mine = (patch.model ?? data.versions.model) === data.versions.model && data.versions.model === state.model;
      const versions = mine ? new Set(data.versions.patch(patch.versions ?? {}, patch.badges)) : new Set();
      data.models.revision = patch.revision;
      data.versions.revision = patch.revision;
      if (view) drawHeader();
      if (mine) Object.entries(patch.better ?? {}).forEach(([name, way]) => data.versions.better.set(name, way));
      const badges = Boolean(patch.badges); // they do not highlight rows
      view?.update({ models: models.size ? models : null, versions: versions.size || badges ? versions : null,
        badges });
      setTimeout(() => shadow.querySelectorAll(".fresh").forEach((one) => one.classList.remove("fresh")), FRESH);
    }
    const last = message.news?.at(-1);
    if (last) {
      const others = message.news.length - 1;
      news.replaceChildren(h("span", {}, visible(last.text, 400), others > 0 ? `, and ${others} more` : ""), " ",
        h("time.muted", { title: exact(last.at) }, exact(last.at).slice(11, 16)));
    }
  }

  // Unpacking is asynchronous: a patch that arrives meanwhile is newer than the rows, and is applied to them as well. When
  // several unpack at once, the last call counts. Comparing the bytes was rejected: after a restart, a front end reads the
  // state of all widgets again, and gets equal bytes in another object without an event.
  async function take(name, key) {
    let columns = null;
    const turn = (turns[name] = (turns[name] ?? 0) + 1);
    unpacking += 1;
    try {
      columns = await unpack(model.get(name));
    } catch {
      say("These rows could not be read.", "bad");
    }
    unpacking -= 1;
    const newer = late.filter((patch) => patch.revision > (columns?.revision ?? Infinity));
    if (!unpacking) late.length = 0;
    if (signal.aborted || turn !== turns[name]) return;
    data[name] = new Rows(columns ?? { model: "" }, key);
    if (name === "models") data.ready = true;
    else if (data.versions.model === state.model) data.loading = false;
    else data[name] = new Rows({ model: state.model }, key);
    for (const patch of newer) {
      if (name === "models") data.models.patch(patch.models ?? {});
      else if (patch.model === data.versions.model) data.versions.patch(patch.versions ?? {}, patch.badges);
      data[name].revision = patch.revision;
    }
    if (!view) return;
    drawHeader();
    view.update({ [name]: new Set(data[name].fields[key]), anew: true });
  }

  const follow = {
    "change:models": () => take("models", "name"),
    "change:versions": () => take("versions", "version"),
    "change:variables": () => view?.update({ variables: true }),
    "change:readonly": lock,
    "change:problem": lock,
    "change:view": () => model.get("view") !== state.view && model.get("view") !== "version"
      && go(model.get("view"), { focus: false }),
    "change:model": () => {
      if (model.get("model") === state.model) return;
      state.model = model.get("model");
      state.version = null;
      state.compared = {};
      if (data.versions.model !== state.model) data.versions = new Rows({ model: state.model }, "version");
      go(state.model ? "versions" : "models", { focus: Boolean(shadow.activeElement) });
      take("versions", "version");
    },
  };
  for (const [event, act] of Object.entries(follow)) model.on(event, act);
  signal.addEventListener("abort", () => Object.entries(follow).forEach(([event, act]) => model.off(event, act)));

  // While the panel has the focus, saving is the only shortcut that the notebook still gets.
  window.addEventListener("keydown", (event) => {
    const saves = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key === "s";
    host.toggleAttribute("data-lm-suppress-shortcuts", !saves);
  }, { capture: true, signal });

  let width = 0;
  const resized = new ResizeObserver(() => {
    if (stage.clientWidth !== width) view?.resized?.();
    width = stage.clientWidth;
  });
  resized.observe(stage);
  signal.addEventListener("abort", () => resized.disconnect());

  await Promise.all([take("models", "name"), take("versions", "version")]);
  if (signal.aborted) return;
  go(VIEWS[model.get("view")] ? model.get("view") : "models", { focus: false });
  drawBars();

  const heard = () => {
    state.heard = true;
    if (!state.silent) return;
    state.silent = false;
    say("");
    lock();
  };
  link.ask("sync", { models: data.models.revision, model: state.model, versions: data.versions.revision }, {
    unheard: silent,
  }).then(heard, (error) => error.name !== "KernelLost" && heard());
}

export default { render };
