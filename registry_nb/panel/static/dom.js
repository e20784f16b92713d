// DOM elements and text for all views. A user's string becomes a text node or an attribute, never HTML.

const SVG = "http://www.w3.org/2000/svg";
const STAGES = ["None", "Staging", "Production", "Archived"];

// Spell out invisible characters, which could disguise a text; line ends stay.
function visible(value, most = 10000) {
  const text = String(value ?? "");
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  return cut.replace(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu, (char) => {
    const code = char.codePointAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

// h("div.row", {role: "row", onclick: f, "--width": "3px"}, "text", node, …); a null attribute is left out.
function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) made.style.setProperty(name, value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, name === "title" || name === "aria-label" ? visible(value, 1000) : value === true ? ""
      : value);
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== "")
    .map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

const ICONS = {
  more: "M3 8h.01M8 8h.01M13 8h.01",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  check: "M3 8.5l3.2 3.2L13 5",
  warn: "M8 2.5l6 11H2zM8 6.5v3.2M8 11.6v.1",
  down: "M4.5 6.5L8 10l3.5-3.5",
  up: "M4.5 9.5L8 6l3.5 3.5",
  back: "M9.5 4L5.5 8l4 4",
  close: "M4 4l8 8M12 4l-8 8",
  find: "M7 2.5a4.5 4.5 0 110 9 4.5 4.5 0 010-9M10.4 10.4l3.4 3.4",
};

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map((child) => (child instanceof Node ? child : visible(child, 200))));
  return made;
}

function icon(name) {
  return svg("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

// Buttons are aria-disabled: a disabled button would lose the focus, and the notebook would get the next key.
function button(label, act, { kind = "", glyph = null, locked = false, ...attributes } = {}) {
  const made = h(`button${kind ? `.${kind}` : ""}`, {
    type: "button",
    "aria-disabled": locked ? "true" : null,
    ...attributes,
  }, glyph ? icon(glyph) : null, label);
  made.addEventListener("click", (event) => {
    event.stopPropagation();
    if (!idle(made)) event.preventDefault();
    else act(made, event);
  });
  return made;
}

const idle = (control) => control.getAttribute("aria-disabled") !== "true" && !control.classList.contains("busy");

function copyButton(text, say) {
  return button("", async (control) => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages without a secure origin have no clipboard API: copy a selection instead.
      const field = h("textarea", { value: text, class: "away" });
      control.after(field);
      field.select();
      copied = document.execCommand("copy");
      field.remove();
      control.focus();
    }
    say(copied ? "Copied" : "The browser does not allow copying; select the text instead", copied ? "" : "bad");
  }, { glyph: "copy", kind: "flat", "aria-label": "Copy", title: "Copy", "data-still": true });
}

// -- words ----------------------------------------------------------------------------------------------------------

const plural = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const STEPS = [[31536000, "y"], [2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"]];

function age(moment) {
  if (moment === null || moment === undefined || Number.isNaN(new Date(moment).getTime())) return "";
  const seconds = (Date.now() - new Date(moment)) / 1000;
  for (const [length, unit] of STEPS) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  return seconds < -60 ? "in the future" : "just now";
}

function exact(moment) {
  const when = new Date(moment);
  return moment === null || moment === undefined || Number.isNaN(when.getTime()) ? "" : when.toLocaleString("sv");
}

const when = (moment) => h("time", { title: exact(moment) }, age(moment));

function bytes(size) {
  if (typeof size !== "number") return "";
  let [value, unit] = [size, "B"];
  for (const larger of ["KB", "MB", "GB", "TB"]) if (value >= 1000) [value, unit] = [value / 1000, larger];
  return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
}

// Metrics are numbers, null, or names of the numbers that JSON lacks.
const asNumber = (value) => (typeof value === "string" ? Number(value) : value);
// Round half to even, as Python does: `short` in digits.py writes the same numbers into tables beside the panel.
const steady = (number) => (/[02468]\.?50*e/.test(number.toExponential(20)) ? number * (1 - Number.EPSILON) : number);

function figure(value, decimals = 0) {
  if (value === null || value === undefined) return "";
  const number = asNumber(value);
  if (typeof number !== "number") return String(value);
  if (Number.isNaN(number)) return typeof value === "string" && value !== "NaN" ? value : "NaN";
  const sign = number < 0 ? "−" : "";
  if (!Number.isFinite(number)) return `${sign}∞`;
  const size = steady(Math.abs(number));
  const point = (places) => size.toFixed(places).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ",");
  if (decimals) {
    const own = figure(value);
    return /[e,]/.test(own) || (own.split(".")[1]?.length ?? 0) > decimals ? own : sign + point(decimals);
  }
  if (size >= 999.95 && size < 1e15) return sign + point(size >= 1e5 ? 0 : 1).replace(/\.0$/, "");
  const four = Number(size.toPrecision(4));
  return sign + (four && (four < 1e-4 || four >= 1e15)
    ? four.toExponential().replace(/([+-])(\d)$/, (_, way, digit) => `${way}0${digit}`) : String(four));
}

// The decimals that a group of numbers shares, at most four; a number that needs more has its own.
function decimalsOf(values) {
  let most = 0;
  for (const value of values) {
    const text = Number.isFinite(asNumber(value ?? NaN)) ? figure(value) : "";
    if (!/[e,]/.test(text)) most = Math.max(most, text.split(".")[1]?.length ?? 0);
    if (most >= 4) break;
  }
  return Math.min(most, 4);
}

// -- small marks ----------------------------------------------------------------------------------------------------

const stageMark = (stage, text = stage) => h(`span.stage.${String(stage).toLowerCase()}`, {}, text);
const aliasMarks = (aliases) => aliases.map((alias) => h("span.alias", { title: `alias @${alias}` },
  `@${visible(alias, 100)}`));
const tagMark = (key, value) => h("span.tag", { title: `${key} = ${value}` },
  visible(value === "" ? key : `${key}=${value}`, 100));

function tagMarks(tags, count = 0, most = 1) {
  const found = Object.entries(tags ?? {});
  const rest = Math.max(count, found.length) - most;
  const marks = found.slice(0, most).map(([key, value]) => tagMark(key, value));
  return rest > 0 ? [...marks, h("span.muted", {}, `+${rest}`)] : marks;
}

const BADGES = new Map(Object.entries({
  unverified: ["warn", "unverified", "its bytes are not verified"],
  foreign: ["warn", "untrusted", "no signer whom you trust vouches for it", (user) => `according to the record, ${user} `
    + "registered it: ask them for registry_nb.signing_key(), or open the version to see how to trust it"],
  altered: ["bad", "altered", "its record was changed after it was registered"],
  changed: ["bad", "probe changed", "its predictions for the probe rows are not those of its registration"],
  known: ["muted", "known", "it is signed by a signer whom you trust"],
  trusted: ["muted", "trusted", "you trust this whole registry: anyone who can write to it can run code as you"],
}));
const badgeMarks = (badges, user = "") => (badges ?? []).map((badge) => {
  const [look, text, why, more] = BADGES.get(badge) ?? ["muted", badge, badge];
  const title = more && user ? `${why}; ${more(visible(user, 60))}` : why;
  return h(`span.badge.${look}`, { title }, look === "muted" ? null : icon("warn"), text);
});

const named = (name) => `“${visible(name, 60)}”`;
const both = (model, version) => `${visible(model, 60)} ${version}`;
const code = (text, say) => h("div.code", {}, h("pre", { tabindex: "0" }, h("code", {}, text)), copyButton(text, say));
