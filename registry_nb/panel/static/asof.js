// The state at a moment: a slider below the timeline. Arrow keys move from event to event, the mouse to any moment.

const FAR = 10;

// `first`: the oldest moment; `moments`: those of the events, the oldest first; `moved(at)`: updates the picture.
function lookBack(ctx, { model, first, moments, shared, moved }) {
  const now = Date.now();
  const said = h("output.moment", { "aria-live": "polite" });
  const result = h("div.result");
  const slider = h("input.slider", { type: "range", min: String(first), max: String(now), step: "1",
    "aria-label": "State at a moment", value: String(shared.at ?? now) });
  const back = button("Now", () => { show(null); slider.focus(); }, { kind: "flat" });
  let asked = 0;
  let running = false;

  function describe() {
    const text = shared.at === null ? "now" : exact(shared.at);
    said.textContent = shared.at === null ? "Move the slider to see an earlier state" : `State on ${text}`;
    slider.setAttribute("aria-valuetext", text);
    slider.value = String(shared.at ?? now);
    back.hidden = shared.at === null;
    moved(shared.at);
  }

  function draw({ rows, count }) {
    const more = count - rows.length;
    result.replaceChildren(rows.length ? table("Versions at that moment",
      ["Version", "Stage", "Since", "By", "Why", "Aliases"], rows.map((row) => [
        h("span", {}, String(row.version), row.deleted ? h("span.muted", {}, " deleted since") : null),
        stageMark(row.stage), row.since === null ? "" : exact(row.since), visible(row.by, 60),
        visible(row.because, 400), h("span", {}, aliasMarks(row.aliases))]), ["", "", "time"])
      : h("p.muted", {}, "There were no versions."),
    more > 0 ? h("p.muted", {}, `and ${plural(more, "version")} more`) : "");
  }

  // The slider may move while the kernel answers: one request is open at a time, and the last position counts.
  async function load() {
    asked += 1;
    if (running) return;
    running = true;
    for (let mine = 0; mine !== asked;) {
      mine = asked;
      const { at } = shared;
      if (at === null) result.replaceChildren();
      else {
        try {
          const answer = await ctx.link.ask("asof", { model, at });
          if (mine === asked) draw(answer);
        } catch (error) {
          result.replaceChildren(h("p.trouble", {}, visible(error.message)));
        }
      }
    }
    running = false;
  }

  function show(at) {
    shared.at = at === null || at >= now ? null : Math.max(at, first); // the slider would round other values
    describe();
    load();
  }

  slider.addEventListener("input", () => show(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -FAR, PageUp: FAR,
      Home: -Infinity, End: Infinity }[event.key];
    if (steps === undefined) return;
    event.preventDefault();
    const here = shared.at ?? Infinity;
    const place = steps < 0 ? moments.filter((one) => one < here).length : moments.filter((one) => one <= here).length;
    const to = Math.max(0, steps < 0 ? place + steps : place + steps - 1);
    show(moments[to] ?? null);
  });
  describe();
  if (shared.at !== null) load();
  return h("div.back", {}, slider, h("div.tools", {}, said, back), result);
}
