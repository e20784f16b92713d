// A table of any length that creates only the visible rows. The table itself keeps the focus, and names the active row
// to screen readers, so scrolling does not lose it.

const ROW = 28;
const SHOWN = 12;
const SPARE = 6;
let grids = 0;

// `columns`: [{id, title, kind, cell(i), value(i), hide, act}]; a cell with an action ("mark", "menu") reacts everywhere.
// Enter, Space and Shift+F10 call `open(key)`, `mark(key)` and `menu(key, anchor)`. The caller keeps `state` =
// {by, down, active}, so it survives when the view is left.
function makeGrid({ label, state, sort, open, mark = null, menu = null, isMarked = () => false }) {
  grids += 1;
  const id = `grid${grids}`;
  const head = h("div.head", { role: "row", "aria-rowindex": "1" });
  const body = h("div.body", { role: "rowgroup" });
  const node = h("div.grid", { role: "grid", tabindex: "0", "aria-label": label, "aria-multiselectable": mark ? "true"
    : null },
    h("div.heads", { role: "rowgroup" }, head), body);
  const empty = h("p.empty");
  const frame = h("div.frame", {}, node, empty);
  let columns = [];
  let rows = null;
  let order = [];

  const key = (i) => rows.at(i, rows.key);
  const place = () => order.findIndex((i) => key(i) === state.active);

  function drawHead() {
    const before = node.getRootNode().activeElement;
    const focused = head.contains(before) ? before.dataset.id : null;
    head.replaceChildren(...columns.map((column) => {
      const sorted = state.by === column.id;
      const cell = h(`div.cell.${column.kind ?? "text"}`, { role: "columnheader", "data-hide": column.hide,
        "aria-sort": sorted ? (state.down ? "descending" : "ascending") : null, title: column.about ?? column.title });
      if (!column.value) cell.append(h("span.away", {}, column.title));
      else {
        cell.append(h("button.flat", { type: "button", tabindex: "-1", "data-id": column.id, onclick: (event) => {
          event.stopPropagation();
          sort(column.id, sorted ? !state.down : /^(number|time|version)/.test(column.kind));
        } }, h("span", {}, visible(column.title, 60)), sorted ? icon(state.down ? "down" : "up") : null));
      }
      return cell;
    }));
    const buttons = [...head.querySelectorAll("button")];
    const first = buttons.find((one) => one.dataset.id === (focused ?? state.by)) ?? buttons[0];
    if (first) first.tabIndex = 0;
    if (focused) first?.focus();
  }

  function drawRow(n, fresh) {
    const i = order[n];
    const active = key(i) === state.active;
    const marked = isMarked(key(i));
    return h(`div.row${active ? ".active" : ""}${fresh?.has(key(i)) ? ".fresh" : ""}`, {
      id: `${id}-${n}`, role: "row", "aria-rowindex": String(n + 2), "aria-selected": mark ? String(marked) : null,
      "--top": `${n * ROW}px`, "data-n": String(n),
    }, columns.map((column) => h(`div.cell.${column.kind ?? "text"}`, { role: "gridcell", "data-hide": column.hide,
      "data-do": column.act },
      column.cell(i))));
  }

  // `fresh`: the rows that changed just now, which are highlighted once.
  function draw(fresh = null) {
    const from = Math.max(0, Math.floor(node.scrollTop / ROW) - SPARE);
    const to = Math.min(order.length, from + SHOWN + 2 * SPARE);
    const shown = [];
    for (let n = from; n < to; n += 1) shown.push(drawRow(n, fresh));
    body.replaceChildren(...shown);
    const active = body.querySelector(".active");
    if (active) node.setAttribute("aria-activedescendant", active.id);
    else node.removeAttribute("aria-activedescendant");
  }

  function show(next) {
    ({ columns = columns, rows = rows, order = order } = next);
    if (place() < 0) state.active = order.length ? key(order[0]) : null;
    node.setAttribute("aria-rowcount", String(order.length + 1));
    node.style.setProperty("--rows", Math.max(1, Math.min(rows.count, SHOWN)));
    body.style.setProperty("--tall", `${order.length * ROW}px`);
    empty.textContent = order.length ? "" : visible(next.nothing ?? "No match");
    drawHead();
    draw(next.fresh);
  }

  function go(n) {
    if (!order.length) return;
    const to = Math.max(0, Math.min(order.length - 1, n));
    state.active = key(order[to]);
    const room = node.clientHeight - ROW;
    if (to * ROW < node.scrollTop) node.scrollTop = to * ROW;
    else if ((to + 1) * ROW > node.scrollTop + room) node.scrollTop = (to + 1) * ROW - room;
    draw();
  }

  function headKey(event) {
    const buttons = [...head.querySelectorAll("button")].filter((one) => one.offsetParent);
    const at = buttons.indexOf(event.target.closest("button"));
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -at, End: buttons.length - 1 - at }[event.key];
    if (event.key === "ArrowDown") node.focus();
    else if (step !== undefined) {
      const next = buttons[Math.max(0, Math.min(buttons.length - 1, at + step))];
      buttons.forEach((one) => { one.tabIndex = one === next ? 0 : -1; });
      next.focus();
    } else return;
    event.preventDefault();
  }

  node.addEventListener("keydown", (event) => {
    if (event.target !== node) return headKey(event);
    if (event.ctrlKey || event.metaKey || event.altKey || !order.length) return undefined;
    const at = place();
    const page = Math.max(1, Math.floor(node.clientHeight / ROW) - 2);
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0,
      End: order.length - 1 };
    const asksMenu = menu && (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey));
    if (event.key in steps) go(steps[event.key]);
    else if (asksMenu) { go(at); menu(state.active, body.querySelector(".active")); }
    else if (event.key === "Enter" && !event.shiftKey) open(state.active);
    else if (event.key === " " && mark) mark(state.active);
    else return undefined;
    event.preventDefault();
    return undefined;
  });

  body.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    state.active = key(order[Number(row.dataset.n)]);
    const what = event.target.closest("[data-do]")?.dataset.do;
    node.focus({ preventScroll: true });
    if (what === "mark") mark(state.active);
    else if (what === "menu") { draw(); menu(state.active, body.querySelector(".active [data-do=menu]")); }
    else open(state.active);
  });
  body.addEventListener("contextmenu", (event) => {
    const row = event.target.closest(".row");
    if (!row || !menu || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    state.active = key(order[Number(row.dataset.n)]);
    draw();
    // On Linux and macOS the press opens the menu, and the release would count as a click beside it and close it.
    const ask = () => menu(state.active, event);
    if (event.buttons & 2) addEventListener("mouseup", ask, { once: true });
    else ask();
  });

  let asked = 0;
  node.addEventListener("scroll", () => {
    state.top = node.scrollTop;
    asked ||= requestAnimationFrame(() => { asked = 0; draw(); });
  });

  return { node: frame, show, focus: () => node.focus({ preventScroll: true }), go: () => go(Math.max(0, place())) };
}
