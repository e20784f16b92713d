// May it go live? The rules of a policy as a checklist, and the requests that wait for somebody's yes.

const VERDICTS = { passed: ["good", "check", "passed"], failed: ["bad", "close", "failed"],
  unknown: ["warn", "warn", "not known"] };

function checklist(rows, label) {
  return h("ul.checklist", { "aria-label": label }, rows.map((row) => {
    const [look, glyph, word] = VERDICTS[row.verdict] ?? VERDICTS.unknown;
    return h(`li.${look}`, {}, icon(glyph), h("span", {}, h("span.away", {}, `${word}: `), visible(row.rule, 300),
      row.found === "" ? null : h("span.muted", {}, ` · ${visible(row.found, 300)}`)));
  }));
}

// What a dialog shows below its sentence, where a policy guards the stage, and what it offers where the policy says no:
// first to ask somebody, and last to override it, aloud.
function gateFor(plan, { ask, override }) {
  if (!plan.rows?.length) return {};
  const more = [checklist(plan.rows, "What the policy asks for")];
  if (plan.ok) return { more };
  const asked = (plan.asked ?? []).map((who) => visible(who, 60)).join(", ");
  more.push(h("p.unmet", {}, asked ? `The policy is not met yet. ${asked} asked for approval already.`
    : "The policy is not met yet."));
  return { more, instead: [
    { label: "Ask for approval…", kind: "primary", act: ({ values: { because }, close }) => { close(); ask(because); } },
    { label: "Override…", act: ({ insist }) => {
      override();
      more.at(-1).textContent = "You override the policy. The history will say so, and why.";
      insist("Override and promote", "Give a reason for overriding the policy.");
    } },
  ] };
}

// Requests: who asks for what, and the two answers.
// A request with what one needs to know for an answer. Approval is offered where it would count, and what comes next
// where nothing is against it.
function requestRows(ctx, requests, { withModel = false } = {}) {
  const answer = (op, label, one, name) => button(`${label}…`, () => ctx.moves.answer(op, one),
    { locked: ctx.locked(), "aria-label": `${label} ${name}` });
  return h("ul.requests", { "aria-label": "Requests" }, requests.map((one) => {
    const name = withModel ? both(one.model, one.version) : String(one.version);
    const { rows = [], metrics = {} } = one;
    const may = rows.every((row) => row.verdict !== "failed");
    const met = rows.every((row) => row.verdict === "passed");
    const why = one.why_not ?? "";
    const told = (who) => `${visible(who, 60)}${one.uncounted.includes(who) ? " (does not count)" : ""}`;
    const next = !rows.length ? "" : met ? "Policy met" : may ? "Nothing is against it so far" : "";
    return h("li", {}, h("div", {}, withModel
      ? button(name, () => ctx.open(one.model, one.version), { kind: "link" }) : h("b", {}, name),
    ` to ${visible(one.stage, 60)}: asked by ${visible(one.by, 60)} `, when(one.at),
    one.because ? h("p", {}, visible(one.because, 400)) : null,
    Object.keys(metrics).length ? h("p", {}, Object.entries(metrics).map(([metric, value], n) => [n ? " · " : "",
      h("span", { title: `${metric} = ${value}` }, `${visible(metric, 60)} ${figure(value)}`)])) : null,
    rows.length ? checklist(rows, `What the policy asks of ${name}`) : null,
    h("p.muted", {}, one.approved.length
      ? `approved by ${one.approved.map(told).join(", ")}` : "nobody approved it yet",
    why ? ` · Approve is not offered: ${visible(why, 200)}` : "")),
    h("div.answers", {}, next && may ? h("span.good", {}, met ? icon("check") : null, `${next}: `) : null,
      may ? button("Promote…", () => ctx.moves.to(one.version, one.stage, one.model), { locked: ctx.locked(),
        kind: met && rows.length ? "primary" : "", "aria-label": `Promote ${name} to ${one.stage}` }) : null,
      why ? null : answer("approve", "Approve", one, name), answer("reject", "Reject", one, name)));
  }));
}

function requestsView(ctx) {
  const node = h("div.page.result", { "aria-busy": "true" }, h("p.muted", {}, "Loading…"));
  let asked = 0;
  async function load() {
    asked += 1;
    const mine = asked;
    try {
      const { requests } = await ctx.link.ask("inbox", {});
      if (mine !== asked) return;
      keepFocus(ctx.root, node, () => node.replaceChildren(requests.length
        ? requestRows(ctx, requests, { withModel: true })
        : h("p.muted", {}, "No open requests. On a version's page, “Move to…” asks for one.")));
    } catch (error) {
      if (mine === asked) node.replaceChildren(h("p.trouble", {}, visible(error.message)));
    }
    node.removeAttribute("aria-busy");
  }
  load();
  return { node, focus: () => { node.tabIndex = -1; node.focus(); }, update: ({ models, locked }) => (models || locked)
    && load() };
}
