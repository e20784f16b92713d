// Rows as columns; sorting, searching and patching work without the kernel.

class Rows {
  // `columns` has one array for each field, and one object of arrays for the metrics; `key` names the field that
  // identifies a row. Values that rise from row to row are sent as differences (`steps`).
  constructor(columns, key) {
    const { revision, model, better, steps, ...fields } = columns ?? {};
    for (const [name, values] of Object.entries(steps ?? {})) fields[name] = summed(values);
    this.revision = revision ?? null;
    this.model = model ?? "";
    this.better = new Map(Object.entries(better ?? {})); // 1: more is, −1: less is
    this.fields = { [key]: [], ...fields };
    this.metrics = Object.assign(Object.create(null), fields.metrics); // "__proto__" is a name like any other
    delete this.fields.metrics;
    this.key = key;
    this.number();
  }

  get count() { return this.fields[this.key].length; }

  number() {
    this.index = new Map(this.fields[this.key].map((key, i) => [key, i]));
    this.forget();
  }

  forget() {
    this.texts = [];
    this.bests = Object.create(null);
    this.places = Object.create(null);
    this.ranks = Object.create(null);
  }

  at(i, field) { return this.fields[field]?.[i]; }
  find(key) { return this.index.get(key); }

  row(key) {
    const i = this.find(key);
    if (i === undefined) return null;
    const row = Object.fromEntries(Object.entries(this.fields).map(([name, values]) => [name, values[i]]));
    row.metrics = Object.fromEntries(Object.entries(this.metrics).map(([name, values]) => [name, values[i]]));
    return row;
  }

  // Insert or replace rows, or remove those whose new row is null; `badges` are the badges of all rows. Returns the
  // changed keys.
  patch(rows, badges = null) {
    const gone = new Set();
    const numeric = this.key === "version";
    const keys = Object.keys(rows).map((key) => (numeric ? Number(key) : key));
    for (const key of keys) {
      const row = rows[key];
      if (row === null) gone.add(key);
      else this.put(key, row);
    }
    if (gone.size) {
      const kept = this.fields[this.key].map((key) => !gone.has(key));
      const keep = (values) => values.filter((_, i) => kept[i]);
      for (const name of Object.keys(this.fields)) this.fields[name] = keep(this.fields[name]);
      for (const name of Object.keys(this.metrics)) this.metrics[name] = keep(this.metrics[name]);
      this.number();
    }
    if (badges) {
      const found = Object.entries(badges).map(([badge, text]) => [badge, fromBits(text)]);
      this.fields.badges = this.fields[this.key].map((key) => found.filter(([, has]) => has(key))
        .map(([badge]) => badge));
    }
    this.forget();
    return keys;
  }

  put(key, row) {
    const found = this.find(key);
    const i = found ?? this.count;
    const length = Math.max(this.count, i + 1);
    const { metrics = {}, ...fields } = { ...row, [this.key]: key };
    for (const [name, value] of Object.entries(fields)) (this.fields[name] ??= Array(length - 1).fill(null))[i] = value;
    for (const name of Object.keys(this.fields)) if (this.fields[name].length < length) this.fields[name][i] = null;
    for (const [name, value] of Object.entries(metrics)) {
      (this.metrics[name] ??= Array(length - 1).fill(null))[i] = value;
    }
    for (const name of Object.keys(this.metrics)) if (!(name in metrics)) this.metrics[name][i] = null;
    this.index.set(key, i);
  }

  // The best value of a metric has the longest bar; the other bars are shares of it, or its share of them. It is null if
  // the better direction is unknown, or if shares have no meaning.
  best(name) {
    if (name in this.bests) return this.bests[name];
    const better = this.better.get(name);
    let best = null;
    for (const value of better ? this.metrics[name] ?? [] : []) {
      if (!Number.isFinite(value)) continue;
      if (value < 0 || (value === 0 && better < 0)) return (this.bests[name] = null);
      best = best === null ? value : better > 0 ? Math.max(best, value) : Math.min(best, value);
    }
    return (this.bests[name] = best || null);
  }

  decimals(name) { return (this.places[name] ??= decimalsOf(this.metrics[name] ?? [])); }

  // The text that a search looks through.
  text(i) {
    return (this.texts[i] ??= [this.at(i, this.key), this.at(i, "stage"), this.at(i, "user"), this.at(i, "flavor"),
      this.at(i, "description"), ...(this.at(i, "aliases") ?? []).map((alias) => `@${alias}`),
        ...(this.at(i, "badges") ?? []),
      ...Object.entries(this.at(i, "tags") ?? {}).map(([key, value]) => `${key}=${value}`)].join("\n").toLowerCase());
  }

  // Numbers in the order of the values, NaN for missing ones. Equal words are ranked once.
  rank(name, value) {
    if (this.ranks[name]) return this.ranks[name];
    const values = Array.from({ length: this.count }, (_, i) => value(i));
    if (values.every((one) => one === null || one === undefined || typeof one === "number")) {
      return (this.ranks[name] = Float64Array.from(values, (one) => one ?? NaN));
    }
    const words = [...new Set(values)].filter((word) => word !== "" && word !== null && word !== undefined);
    const folded = new Map(words.map((word) => [word, String(word).toLowerCase()]));
    words.sort((a, b) => (folded.get(a) < folded.get(b) ? -1 : folded.get(a) > folded.get(b) ? 1 : 0));
    const places = new Map(words.map((word, place) => [word, place]));
    return (this.ranks[name] = Float64Array.from(values, (word) => places.get(word) ?? NaN));
  }

  // The indices of the matching rows, sorted; ties keep the newest first, and missing values come last.
  order({ by = null, value = null, down = true, words = [], wanted = null } = {}) {
    const found = [];
    for (let i = this.count - 1; i >= 0; i -= 1) {
      if (wanted && !wanted(this.at(i, this.key))) continue;
      if (words.length && !words.every((word) => this.text(i).includes(word))) continue;
      found.push(i);
    }
    if (!by) return found;
    if (by === "version") return down ? found : found.reverse(); // rows are in this order
    const rank = this.rank(by, value);
    const sign = down ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [rank[a], rank[b]];
      if (x === y) return b - a;
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || b - a;
      return x < y ? -sign : sign;
    });
  }
}

function summed(steps) {
  let sum = 0;
  return steps.map((step) => (sum += step));
}

const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
// A filter always has an operator; any other text is a search for words.
const isFilter = (text) => /[=<>]|\si?like\s|\sin\s*\(/i.test(text);
