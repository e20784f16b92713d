// One version: its facts, how to load it, and the actions on it.

const section = (title, ...content) => h("section", {}, h("h3", {}, title), ...content);

function table(label, heads, rows, kinds = []) {
  return h("div.scroll", { tabindex: "0", role: "region", "aria-label": label }, h("table", { "aria-label": label },
    h("thead", {}, h("tr", {}, heads.map((head, n) => h("th", { scope: "col", class: kinds[n] }, head)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, n) => h("td", { class: kinds[n] }, cell)))))));
}

const facts = (pairs) => h("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
  .map(([name, value]) => h("div", {}, h("dt", {}, visible(name, 100)),
    h("dd", {}, value instanceof Node || Array.isArray(value) ? value : visible(value)))));
// Lists and objects are written without brackets.
function plain(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "object") return String(value); // settings keep all digits
  const inner = (one) => (typeof one === "object" && one !== null ? `(${plain(one)})` : plain(one ?? "none"));
  return Array.isArray(value) ? value.map(inner).join(", ")
    : Object.entries(value).map(([name, one]) => `${name}: ${inner(one)}`).join(", ");
}

// The cells that were run, the origin, and identifiers in a closed section.
const VOUCHES = { local: "you: it was registered here", known: "a signer whom you trust",
  trusted: "anyone who can write here: you trust the whole registry", foreign: "no signer whom you trust" };
function provenance({ provenance: record = {}, origin, way_out: wayOut }) {
  const { cells = [], note, facts: described = [], ids = [] } = record;
  return h("section.provenance", {}, h("h3", {}, "Provenance"),
    facts([...described.map(([name, value]) => [capital(name), plain(value)]), ["Vouched for by", VOUCHES[origin] ?? origin],
      ["To trust it", wayOut]]),
    cells.map(({ count, source }) => h("div.code.cell", {}, h("span.prompt", {}, `In [${count ?? " "}]`),
      h("pre", { tabindex: "0", role: "region", "aria-label": `Cell ${count ?? ""}` }, h("code", {}, source)))),
    note ? h("p.hint.muted", {}, visible(note)) : null,
    ids.length ? h("details", {}, h("summary", {}, "Identifiers"),
      facts(ids.map(([name, value]) => [capital(name), h("code", {}, visible(value))]))) : null);
}
const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);

function eventList(events, { withModel = false } = {}) {
  return table("History", ["When", "Who", "What", "Why"], [...events].reverse().map((event) => [
    when(event.at), visible(event.user, 60),
      visible(event.text ?? `${event.action} ${withModel ? event.name : ""} ${event.version ?? ""}`, 400),
      h("span", {},
        event.forced ? [h("span.badge.warn", { title: "the policy was overridden" }, icon("warn"), "forced"), " "] : null,
        visible(event.because ?? "", 1000)),
  ]), ["time", "", "", ""]);
}

// What stands beside a model. Nothing of it runs: a picture is only drawn, and a page has no scripts and loads nothing.
const QUIET = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; "
  + "style-src 'unsafe-inline'\">";
function attached(name, { kind, type, data }) {
  if (kind === "picture") return h("img", { src: `data:${type};base64,${data}`, alt: visible(name, 200) });
  if (kind === "page") return h("iframe", { sandbox: "", srcdoc: QUIET + data, title: name });
  return kind === "text" ? h("pre", { tabindex: "0", role: "region", "aria-label": name }, data) : h("p.muted", {}, data);
}

function versionView(ctx) {
  const version = ctx.state.version;
  const node = h("article.page.version", { "aria-busy": "true" });
  let record = null;
  let asked = 0;

  const row = () => ctx.data.versions.row(version);

  const opened = h("div.attached", { "aria-live": "polite" }); // stays open when the facts are drawn again
  async function open(control, name) {
    try {
      opened.replaceChildren(attached(name, await ctx.link.act(control, "attachment",
        { model: ctx.state.model, version, name })));
    } catch (error) {
      ctx.say(error.message, "bad");
    }
  }

  function actions(stage) {
    const locked = ctx.locked();
    const { moves } = ctx;
    const step = (label, act, kind = "") => button(label, act, { kind, locked });
    return h("div.actions", { role: "toolbar", "aria-label": `Actions for version ${version}` },
      stage === "Production" ? step("Roll back…", moves.rollback)
        : step("Promote…", () => moves.to(version, "Production"), "primary"),
      menuButton(ctx.root, "Move to…", () => moves.targets(version, stage),
        { text: "Move to…", glyph: "down", kind: "wide", align: "left", locked }),
      stage === "Archived" ? null : step("Archive…", () => moves.to(version, "Archived")),
      step("Tag…", () => moves.tag(version)),
      step("Describe…", () => moves.describe(version, record.description ?? "")),
      step("Alias…", () => moves.alias(version)),
      button("Compare…", () => ctx.compare(version)),
      step("Delete…", () => moves.remove(version), "danger"));
  }

  const remover = (label, act) => button("", (control) => ctx.moves.quick(act(control)),
    { glyph: "close", kind: "flat.tiny", "aria-label": label, title: label, locked: ctx.locked() });

  function draw() {
    const found = record;
    const stage = row()?.stage ?? found.stage;
    const side = (name) => (found.signature ?? []).filter((one) => one.side === name).map((one) =>
      [h("code", {}, visible(one.name ?? "", 200)), visible(one.dtype, 100), one.required === false ? "optional"
        : "required"]);
    const tags = Object.entries(found.tags ?? {});
    const metrics = Object.entries(found.metrics ?? {});
    const params = Object.entries(found.params ?? {});
    const described = h("div.markdown");
    // The only innerHTML: the kernel sanitised it.
    // eslint-disable-next-line no-restricted-properties
    described.innerHTML = found.description_html ?? "";
    for (const link of described.querySelectorAll("a")) Object.assign(link,
      { target: "_blank", rel: "noopener noreferrer" });
    const [inputs, outputs] = [side("input"), side("output")];
    node.replaceChildren(
      h("div.title", {}, button("", () => ctx.go("versions"),
        { glyph: "back", kind: "flat", "aria-label": "Back to the versions", title: "Back (Escape)" }),
        h("h2", { tabindex: "-1" }, both(ctx.state.model, version)), stageMark(stage),
        (found.aliases ?? []).map((alias) => h("span.alias", {}, `@${visible(alias, 100)}`,
          remover(`Remove alias ${alias}`, (control) => ctx.moves.unalias(control, alias)))),
        badgeMarks(row()?.badges, row()?.user)),
      h("p.muted", {}, [`registered ${age(found.created)} by ${visible(found.user, 60)}`, bytes(found.size),
        found.flavor, visible(found.environment?.holds ?? "", 60), found.python_version && `Python ${found.python_version}`]
        .filter(Boolean).join(" · ")),
      actions(stage),
      found.requests?.length ? requestRows(ctx, found.requests) : "",
      h("div.sections", {},
        found.description_html ? section("Description", described) : null,
        metrics.length ? section("Metrics", facts(metrics.map(([name, value]) => [name,
          h("span.figure", { title: `${name} = ${value}` }, figure(value))]))) : null,
        params.length ? section("Parameters", facts(params.map(([name, value]) => [name, plain(value)]))) : null,
        tags.length ? section("Tags", h("ul.tags", {}, tags.map(([key, value]) => h("li.tag", {},
          h("span", {}, visible(value === "" ? key : `${key}=${value}`)),
          remover(`Remove tag ${key}`, (control) => ctx.moves.untag(control, version, key)))))) : null,
        section("Load it", ...[found.load ?? []].flat().map((line) => code(line, ctx.say))),
        inputs.length ? section("Inputs", table("Inputs", ["Name", "Type", "Needed"], inputs)) : null,
        outputs.length ? section("Outputs", table("Outputs", ["Name", "Type"], outputs.map((one) => one.slice(0, 2))))
          : null,
        found.attachments?.length ? section("Beside it", h("ul.tags", {}, found.attachments.map(({ name, size }) =>
          h("li", {}, button(`${visible(name, 100)} (${bytes(size)})`, (control) => open(control, name), { kind: "link" })))),
        opened) : null,
        found.requirements?.length ? section("Requirements", code(found.requirements.join("\n"), ctx.say)) : null,
        found.altered ? h("p.trouble", {}, found.altered) : null,
        provenance(found),
        found.history?.length ? section("History", eventList(found.history), found.history_more
          ? h("p.muted", {}, "Older events are in the model's history.") : null) : null));
    node.removeAttribute("aria-busy");
  }

  async function load() {
    asked += 1;
    const mine = asked;
    const focused = node.contains(ctx.root.activeElement);
    if (!record) node.replaceChildren(h("div.title", {}, h("h2", { tabindex: "-1" }, both(ctx.state.model, version)),
      row() && stageMark(row().stage)), h("p.muted", {}, "Loading…"));
    try {
      const answer = await ctx.link.ask("show", { model: ctx.state.model, version });
      if (mine !== asked) return;
      record = answer;
      keepFocus(ctx.root, node, draw);
    } catch (error) {
      ctx.say(error.message, "bad");
      if (!record) node.replaceChildren(h("div.title", {}, button("", () => ctx.go("versions"),
        { glyph: "back", kind: "flat", "aria-label": "Back to the versions" }),
        h("h2", { tabindex: "-1" }, both(ctx.state.model, version))), h("p.trouble", {}, error.message));
    }
    if (focused && !node.contains(ctx.root.activeElement)) node.querySelector("h2")?.focus();
  }

  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    ctx.go("versions");
  });
  load();
  return {
    node, focus: () => node.querySelector("h2").focus(),
    update({ versions, badges, locked }) {
      if (versions && !row()) {
        ctx.go("versions");
        ctx.say(`${both(ctx.state.model, version)} no longer exists`);
      } else if (versions?.has(version)) load();
      else if ((locked || badges) && record) keepFocus(ctx.root, node, draw);
    },
  };
}

// Draw again, and give the focus back to the control with the same name.
function keepFocus(root, node, draw) {
  const before = root.activeElement;
  const name = node.contains(before) ? before.getAttribute("aria-label") ?? before.textContent : null;
  draw();
  if (name === null) return;
  const same = [...node.querySelectorAll("button, h2, input")]
    .find((one) => (one.getAttribute("aria-label") ?? one.textContent) === name);
  (same ?? node.querySelector("h2"))?.focus();
}
