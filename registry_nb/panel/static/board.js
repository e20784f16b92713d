// The stages as columns, the versions as cards. A card is dragged, or moved by its menu; both open the same dialog.

const CARDS = 40;
const DRAGGED = "application/x-registry-nb-version";

function boardView(ctx) {
  const rows = () => ctx.data.versions;
  const node = h("div.board", {});
  let active = null;
  let dragged = null;

  const cards = () => [...node.querySelectorAll(".card .open")];
  const find = (version) => cards().find((one) => Number(one.dataset.version) === version);

  function card(i, fresh) {
    const version = rows().at(i, "version");
    const stage = rows().at(i, "stage");
    const metric = Object.keys(rows().metrics).find((name) => rows().metrics[name][i] !== null
      && rows().metrics[name][i] !== undefined);
    const move = menuButton(ctx.root, `Move version ${version} to…`, () => ctx.moves.targets(version, stage),
      { locked: ctx.locked() });
    const open = h("button.open.flat", { type: "button", tabindex: "-1", "data-version": String(version),
      onclick: () => ctx.version(version) },
      h("b", {}, `${version}`), h("span.away", {}, ` in ${stage}`), aliasMarks(rows().at(i, "aliases") ?? []));
    move.tabIndex = -1;
    return h(`li.card${fresh?.has(version) ? ".fresh" : ""}`, {
      draggable: ctx.locked() ? null : "true",
      ondragstart: (event) => {
        dragged = { version, stage };
        event.dataTransfer.setData(DRAGGED, String(version));
        event.dataTransfer.effectAllowed = "move";
      },
      ondragend: () => { dragged = null; },
    }, h("div.top", {}, open, move),
    h("div.muted", {}, metric ? h("span", { title: metric }, `${visible(metric, 40)} `
      + figure(rows().metrics[metric][i], rows().decimals(metric))) : null,
      h("span", {}, when(rows().at(i, "created")), " · ", visible(rows().at(i, "user"), 40))),
    badgeMarks(rows().at(i, "badges"), rows().at(i, "user")));
  }

  function column(stage, places, fresh) {
    const title = stage === "None" ? "No stage" : stage;
    const list = h("ul", { "aria-label": `${title}, ${plural(places.length, "version")}` },
      places.slice(0, CARDS).map((i) => card(i, fresh)));
    const made = h("section.lane", { "data-stage": stage,
      ondragover: (event) => {
        if (!dragged || dragged.stage === stage) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "move";
        made.classList.add("over");
      },
      ondragleave: (event) => made.contains(event.relatedTarget) || made.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        event.stopPropagation();
        made.classList.remove("over");
        if (dragged && dragged.stage !== stage) ctx.moves.to(dragged.version, stage);
      },
    }, h("h3", {}, stageMark(stage, title), h("span.count", {}, places.length.toLocaleString("en"))),
    places.length ? list : h("p.muted", {}, stage === "None" ? "–" : "No versions"),
    places.length > CARDS ? button(`${(places.length - CARDS).toLocaleString("en")} more in the table`, () => {
      ctx.table(ctx.state.model).text = `stage = '${stage}'`;
      ctx.go("versions");
    }, { kind: "link" }) : null);
    return made;
  }

  // Tab reaches one card with its menu; arrow keys reach the others.
  function enter(version) {
    active = version;
    for (const one of cards()) {
      const here = Number(one.dataset.version) === active;
      one.tabIndex = here ? 0 : -1;
      one.nextSibling.tabIndex = here ? 0 : -1;
    }
  }

  function show(fresh) {
    const held = node.contains(ctx.root.activeElement);
    const inMenu = held && ctx.root.activeElement.hasAttribute("aria-haspopup");
    const places = { None: [], Staging: [], Production: [], Archived: [] };
    for (let i = rows().count - 1; i >= 0; i -= 1) places[rows().at(i, "stage")]?.push(i);
    node.replaceChildren(...STAGES.map((stage) => column(stage, places[stage], fresh)));
    if (!find(active)) active = Number(cards()[0]?.dataset.version);
    enter(active);
    if (held) (inMenu ? find(active)?.nextSibling : find(active))?.focus();
  }

  node.addEventListener("focusin", (event) => {
    const one = event.target.closest(".card")?.querySelector(".open");
    if (one && Number(one.dataset.version) !== active) enter(Number(one.dataset.version));
  });
  node.addEventListener("keydown", (event) => {
    const mine = event.target.closest(".card");
    if (!mine || event.ctrlKey || event.metaKey || event.altKey) return;
    const lanes = [...node.querySelectorAll(".lane")].map((one) => [...one.querySelectorAll(".card")]);
    const lane = lanes.findIndex((one) => one.includes(mine));
    const n = lanes[lane].indexOf(mine);
    const side = (step) => {
      for (let to = lane + step; to >= 0
        && to < lanes.length; to += step) if (lanes[to].length) return lanes[to][Math.min(n, lanes[to].length - 1)];
      return null;
    };
    const next = { ArrowDown: () => lanes[lane][n + 1], ArrowUp: () => lanes[lane][n - 1], ArrowRight: () => side(1),
      ArrowLeft: () => side(-1),
      Home: () => lanes[lane][0], End: () => lanes[lane].at(-1) }[event.key];
    if (next) next()?.querySelector(".open").focus();
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)
      || event.key === "m") mine.querySelector("[aria-haspopup]").click();
    else return;
    event.preventDefault();
  });
  show();
  return { node, update: ({ versions, anew, locked }) => (versions || locked) && show(anew ? null : versions),
    focus: () => find(active)?.focus() };
}
