// Menus and dialogs. Both are native (popover, dialog): the browser handles Escape, the focus and the top layer.

let popups = 0;

// `items`: [{label, act, mark, checked, locked, danger, hint}], null for a separator. `anchor`: an element, or a click
// event.
function openMenu(root, label, items, anchor, restore) {
  root.querySelector(".popup")?.remove();
  const choose = (item) => (event) => {
    event.stopPropagation();
    if (item.locked) return;
    if (item.checked !== undefined) {
      item.checked = !item.checked;
      event.currentTarget.setAttribute("aria-checked", String(item.checked));
      item.act(item.checked);
      return;
    }
    close(true);
    item.act();
  };
  const made = items.map((item) => (item === null ? h("hr", { role: "separator" })
    : h(`button.item${item.danger ? ".danger" : ""}`, {
      type: "button", tabindex: "-1", role: item.checked === undefined ? "menuitem" : "menuitemcheckbox",
      "aria-checked": item.checked === undefined ? null : String(item.checked), "aria-disabled": item.locked ? "true"
        : null,
      title: item.hint, onclick: choose(item),
    }, item.mark ?? null, item.checked === undefined ? null : h("span.tick", {}, icon("check")),
      h("span", {}, item.label))));
  const node = h("div.popup", { popover: "auto", role: "menu", "aria-label": label }, made);
  root.append(node);
  node.showPopover();
  const box = anchor instanceof Event ? { left: anchor.clientX, right: anchor.clientX, top: anchor.clientY,
    bottom: anchor.clientY }
    : anchor.getBoundingClientRect();
  const { width, height } = node.getBoundingClientRect();
  const left = Math.max(4, Math.min(anchor.dataset?.align === "left" ? box.left : box.right - width,
    innerWidth - width - 4));
  const top = box.bottom + height + 4 > innerHeight && box.top > height ? box.top - height - 2 : box.bottom + 2;
  node.style.setProperty("--left", `${left}px`);
  node.style.setProperty("--top", `${Math.max(4, top)}px`);

  const close = (back) => {
    if (!node.isConnected) return;
    node.remove();
    if (anchor.setAttribute && anchor.hasAttribute("aria-expanded")) anchor.setAttribute("aria-expanded", "false");
    if (back) restore();
  };
  node.addEventListener("toggle", (event) => {
    if (event.newState === "closed") close(node.contains(root.activeElement) || root.activeElement === null);
  });
  const buttons = [...node.querySelectorAll("button")];
  node.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(root.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to !== undefined) buttons[(to + buttons.length) % buttons.length].focus();
    else if (event.key === "Tab" || event.key === "Escape") close(true);
    else if (event.key.length === 1 && event.key !== " ") {
      const later = [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)];
      later.find((one) => one.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
      return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  if (anchor.setAttribute && anchor.hasAttribute("aria-haspopup")) anchor.setAttribute("aria-expanded", "true");
  buttons[0]?.focus();
}

function menuButton(root, label, items, { text = "", glyph = "more", kind = "flat", align = "right",
  locked = false } = {}) {
  return button(text, (control) => openMenu(root, label, items(), control, () => control.focus()), {
    glyph, kind, locked, "aria-label": text ? null : label, title: text ? null : label, "aria-haspopup": "menu",
      "aria-expanded": "false", "data-align": align,
  });
}

// A labelled field. `kind`: text, area, select (with options) or check.
function field({ name, label, kind = "text", value = "", hint = "", options = [], suggestions = null, required = false,
  placeholder = "" }) {
  popups += 1;
  const id = `field${popups}`;
  const common = { id, name, "aria-describedby": hint ? `${id}-hint` : null, required, "aria-required": required
    ? "true" : null,
    placeholder: placeholder || null, autocomplete: "off", spellcheck: "false", list: suggestions ? `${id}-list`
      : null };
  const control = kind === "area" ? h("textarea", { ...common, rows: "3", value })
    : kind === "select" ? h("select", common, options.map(([key, text]) => h("option", { value: key },
      visible(text, 200))))
      : h("input", { ...common, type: "text", value });
  if (kind === "select" && value) control.value = value;
  return h("div.field", {}, h("label", { for: id }, label), control,
    suggestions ? h("datalist", { id: `${id}-list` }, suggestions.map((one) => h("option", { value: one }))) : null,
    hint ? h("p.hint", { id: `${id}-hint` }, hint) : null);
}

// JupyterLab cancels Enter in a cell's output: a field would not submit, and a text area would have no line breaks. Both
// are implemented here.
function enters(form) {
  form.addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.key !== "Enter" || event.isComposing || !target.matches("input, textarea, select")) return;
    event.preventDefault();
    if (!target.matches("textarea") || event.ctrlKey || event.metaKey) form.requestSubmit();
    else if (!document.execCommand("insertText", false, "\n")) target.setRangeText("\n", target.selectionStart,
      target.selectionEnd, "end");
  });
}

const values = (form) => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value]));

// A dialog that asks for confirmation. `prepare(tell, blocked)` may fill the sentence and the content below it later, and
// may block the confirmation; `run(values, button, tell)` resolves when the action is done. An error is shown in the
// dialog, which keeps what was typed.
function question(root, { title, fields = [], yes, danger = false, prepare = null, run, restore, say }) {
  root.querySelector("dialog")?.remove();
  popups += 1;
  const said = h("p.sentence", { id: `said${popups}`, "aria-live": "polite" });
  const more = h("div.more");
  const trouble = h("p.trouble", { role: "alert" });
  const form = h("form", { method: "dialog", novalidate: true });
  const node = h("dialog", { "aria-labelledby": `title${popups}`,
    "aria-describedby": prepare ? `said${popups}` : null }, form);
  const end = () => {
    node.remove();
    restore();
  };
  // The browser's close event comes a task later: the notebook would get a key that is pressed until then.
  const close = () => {
    node.close();
    end();
  };
  const cancel = button("Cancel", close, { "data-still": true });
  const go = h(`button.${danger ? "danger" : "primary"}`, { type: "submit", "aria-disabled": prepare ? "true" : null },
    yes);
  form.append(h("h3", { id: `title${popups}` }, title), ...(prepare ? [said, more] : []), ...fields.map(field), trouble,
    h("div.buttons", {}, cancel, go));

  const tell = (text, kind = "bad") => {
    if (!node.open) { // the user closed the dialog before the answer
      say(text, kind);
      return;
    }
    trouble.textContent = visible(text);
    trouble.classList.toggle("wait", kind === "wait");
  };
  // Alternatives to the confirmation: [{label, kind, act(given)}]; Enter chooses the first if it is primary, or else
  // moves to it.
  let instead = [];
  function offer(choices) {
    instead.forEach((one) => one.remove());
    instead = choices.map(({ label, kind = "", act }) => button(label, () => act({ values: values(form), close, insist }),
      { kind }));
    go.hidden = instead.length > 0;
    go.after(...instead);
  }
  // Allow the confirmation after all, with another label and a required reason.
  function insist(label, reason) {
    offer([]);
    const why = form.elements.namedItem("because");
    Object.assign(why, { required: true });
    why.setAttribute("aria-required", "true");
    why.dataset.missing = reason;
    go.textContent = label;
    go.className = "danger";
    go.setAttribute("aria-disabled", "false");
    why.focus();
  }
  async function prepared() {
    if (!prepare) return;
    go.setAttribute("aria-disabled", "true");
    said.classList.add("busy");
    try {
      let withheld = false;
      const blocked = (yes) => {
        withheld = yes;
        go.setAttribute("aria-disabled", String(yes));
      };
      const found = await prepare(tell, blocked);
      said.replaceChildren(visible(found.sentence));
      more.replaceChildren(...[found.more ?? []].flat());
      offer(found.instead ?? []);
      blocked(withheld);
    } catch (error) {
      said.replaceChildren();
      more.replaceChildren();
      tell(error.message);
    } finally {
      said.classList.remove("busy");
    }
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [first] = instead;
    if (first?.classList.contains("primary")) first.click();
    else first?.focus();
    if (first || !idle(go)) return;
    const missing = [...form.elements].find((one) => one.required && !one.value.trim());
    if (missing) {
      tell(missing.dataset.missing ?? `Fill in ${named(missing.labels[0].textContent)}.`);
      missing.focus();
      return;
    }
    tell("");
    try {
      const then = await run(values(form), go, tell);
      close();
      then?.(); // after closing: screen readers do not announce a status behind a dialog
    } catch (error) {
      // After a conflict, prepare again: a second confirmation must be about the current state.
      tell(error.message);
      if (["Conflict", "PolicyFailed"].includes(error.name)) {
        await prepared();
        tell(error.message);
      }
    }
  });
  enters(form);
  node.addEventListener("close", end);
  prepared(); // before drawing: the kernel works meanwhile
  root.append(node);
  node.showModal();
  (form.querySelector("input, textarea, select") ?? (danger ? cancel : go)).focus();
}

// The visible part of an element: within the window, and within all scrolling ancestors.
function visibleBox(node) {
  let { left, top, right, bottom } = node.getBoundingClientRect();
  const within = (box) => {
    [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
    [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
  };
  within({ left: 0, top: 0, right: document.documentElement.clientWidth, bottom: innerHeight });
  for (let at = node.getRootNode().host; at && at !== document.body; at = at.parentElement ?? at.getRootNode().host) {
    if (getComputedStyle(at).overflowY !== "visible") within(at.getBoundingClientRect());
  }
  return { left, top, right, bottom };
}

const STAYS = 7000;
const EDGE = 8;

// A visible copy of the status line while the line itself is scrolled out of view. Screen readers read the line instead.
// The copy lets clicks through, and does not cover controls.
function makeToast(root, line, signal) {
  const node = h("p.toast", { popover: "manual", "aria-hidden": "true" });
  root.append(node);
  let timer = null;
  let shown = false;
  let home = line;
  function hide() {
    if (node.matches(":popover-open")) node.hidePopover();
  }
  function place() {
    const seen = visibleBox(root);
    const own = home.getBoundingClientRect();
    const inView = own.top >= seen.top - 1 && own.bottom <= seen.bottom + 1;
    if (!shown || inView || seen.bottom - seen.top < 40) return hide();
    if (!node.matches(":popover-open")) node.showPopover();
    const { width, height } = node.getBoundingClientRect();
    const controls = [...root.querySelectorAll("button, input, select, textarea")].map((one) =>
      one.getBoundingClientRect());
    const free = ({ left, top }) => !controls.some((box) => box.width && box.left < left + width && box.right > left
      && box.top < top + height && box.bottom > top);
    const lefts = [seen.left + EDGE, seen.right - width - EDGE, (seen.left + seen.right - width) / 2];
    const places = [];
    for (let top = seen.bottom - height - EDGE; top > seen.top; top -= height) {
      places.push(...lefts.map((left) => ({ left: Math.max(EDGE, left), top })));
    }
    const { left, top } = places.find(free) ?? places[0] ?? { left: seen.left, top: seen.top };
    node.style.setProperty("--left", `${left}px`);
    node.style.setProperty("--top", `${top}px`);
    return undefined;
  }
  const around = () => shown && place();
  addEventListener("scroll", around, { capture: true, passive: true, signal });
  const watcher = new IntersectionObserver(around);
  watcher.observe(line);
  signal.addEventListener("abort", () => { watcher.disconnect(); clearTimeout(timer); });
  function show(text, kind, where = line) {
    clearTimeout(timer);
    home = where;
    shown = Boolean(text);
    node.replaceChildren(...[{ ok: icon("check"), bad: icon("warn"), warn: icon("warn") }[kind], text].filter(Boolean));
    node.className = `toast ${kind}`;
    place();
    if (shown && kind !== "wait") timer = setTimeout(() => { shown = false; hide(); }, STAYS);
  }
  return Object.assign((kind) => show(line.textContent, kind), { show });
}
