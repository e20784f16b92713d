// Events as a list; the versions in Production and Staging over time as a picture and as a table.

const LANE = 26;
const LEFT = 78;
const RIGHT = 8; // half the width of the slider's knob
const LEAST = 6;
const DAY = 86400000;
const MINUTE = 60000;

// The position of a moment in the picture; the slider below has the same length.
function scaleOf(stints, events, width) {
  const now = Date.now();
  const first = Math.min(...stints.map((one) => one.from), ...events.map((one) => one.at));
  const last = Math.max(now, ...stints.map((one) => one.to ?? now));
  return { first, last, x: (moment) => LEFT + ((moment - first) / Math.max(1, last - first)) * (width - LEFT - RIGHT) };
}

// Bars on one line for each stage, with a time axis below.
function drawTimeline(stints, width, { first, last, x }) {
  const now = Date.now();
  const lanes = ["Production", "Staging"].filter((stage) => stints.some((one) => one.stage === stage));
  const height = lanes.length * LANE + 22;
  const picture = svg("svg", { class: "timeline", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `Versions by stage over time: ${plural(stints.length, "bar")}; the table below has the same data`,
  });
  lanes.forEach((stage, n) => {
    picture.append(svg("text", { x: 0, y: n * LANE + 16, class: "label" }, stage));
    const long = (one) => (one.to ?? now) - one.from;
    // Short stints are drawn at a visible width, and last: their successors would hide them.
    for (const one of stints.filter((stint) => stint.stage === stage).sort((a, b) => long(b) - long(a))) {
      const [from, to] = [x(one.from), x(one.to ?? now)];
      const wide = Math.max(LEAST, to - from - 1);
      const tooltip = `${one.version} in ${stage}, ${exact(one.from)} to ${one.to === null ? "now" : exact(one.to)}`;
      const group = svg("g", { class: `stint ${stage.toLowerCase()}${one.to === null ? " now" : ""}` },
        svg("title", {}, `${tooltip}, by ${one.by}${one.because ? `: ${one.because}` : ""}`),
        svg("rect", { x: Math.min(from, width - wide), y: n * LANE + 3, width: wide, height: LANE - 8, rx: 2 }));
      if (wide > 9 * String(one.version).length + 6) group.append(svg("text", { x: from + 5, y: n * LANE + 16 },
        String(one.version)));
      picture.append(group);
    }
  });
  const ticks = Math.max(2, Math.floor((width - LEFT) / 150));
  const [from, to] = last - first > 3 * DAY ? [0, 10] : last - first > ticks * MINUTE ? [5, 16] : [11, 19];
  for (let n = 0; n < ticks; n += 1) {
    const moment = first + ((last - first) * n) / (ticks - 1);
    picture.append(svg("text", { x: x(moment), y: height - 5, class: "tick", "text-anchor": n === 0 ? "start"
      : n === ticks - 1 ? "end" : "middle" }, exact(moment).slice(from, to)));
  }
  return picture;
}

function historyView(ctx) {
  const model = ctx.state.model || null;
  const node = h("div.page.history", { "aria-busy": "true" }, h("p.muted", {}, "Loading…"));
  let answer = null;
  let limit = 200;
  let asked = 0;
  let tabled = false;
  const moment = { at: null };

  // The slider, and its line in the picture.
  const back = (scale, line) => lookBack(ctx, { model, first: scale.first, shared: moment,
    moments: answer.events.map((one) => one.at),
    moved: (at) => {
      line?.setAttribute("visibility", at === null ? "hidden" : "visible");
      for (const side of ["x1", "x2"]) line?.setAttribute(side, scale.x(at ?? scale.last));
    } });

  function draw() {
    const stints = answer.timeline ?? [];
    const events = answer.events ?? [];
    const width = Math.max(260, Math.min(1400, (node.clientWidth || ctx.width()) - 4));
    const scale = scaleOf(stints, events, width);
    const picture = stints.length ? drawTimeline(stints, width, scale) : null;
    const line = picture?.appendChild(svg("line", { class: "held", y1: 0, y2: picture.getAttribute("height") - 18 }));
    const words = h("details", { ontoggle: (event) => { tabled = event.target.open; } },
      h("summary", {}, "Versions by stage, as a table"),
      table("Versions by stage", ["Stage", "Version", "From", "To", "By", "Why"],
        [...stints].reverse().map((one) => [stageMark(one.stage), String(one.version), exact(one.from),
          one.to === null ? "now" : exact(one.to), visible(one.by, 60), visible(one.because ?? "", 400)])));
    words.open = tabled;
    node.replaceChildren(...[
      model && events.length ? section("Production history", picture, back(scale, line), picture ? words : null)
        : null,
      answer.forced ? h("p.badge.warn", {}, icon("warn"),
        `${plural(answer.forced, "promotion")} overrode the policy`) : null,
      events.length ? section(model ? "Events" : "Events of the registry", eventList(events, { withModel: !model }))
        : h("p.muted", {}, "No events yet."),
      answer.more ? button("Older events", (control) => { limit *= 5; load(control); }, { kind: "link" })
        : null].filter(Boolean));
    node.removeAttribute("aria-busy");
  }

  async function load(control = null) {
    asked += 1;
    const mine = asked;
    const args = { model, limit };
    try {
      const found = await (control ? ctx.link.act(control, "history", args) : ctx.link.ask("history", args));
      if (mine !== asked) return;
      answer = found;
      keepFocus(ctx.root, node, draw);
    } catch (error) {
      ctx.say(error.message, "bad");
      if (!answer) node.replaceChildren(h("p.trouble", {}, visible(error.message)));
    }
  }
  load();
  return {
    node, focus: () => { node.tabIndex = -1; node.focus(); }, resized: () => answer && keepFocus(ctx.root, node, draw),
    update: ({ versions, models }) => ((model ? versions : models)) && load(),
  };
}
