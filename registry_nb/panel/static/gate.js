// The rules of a policy as a checklist, and open requests for approval.

const VERDICTS = { passed: ["good", "check", "passed"], failed: ["bad", "close", "failed"],
  unknown: ["warn", "warn", "not known"] };

function checklist(rows, label) {
  return h("ul.checklist", { "aria-label": label }, rows.map((row) => {
    const [look, glyph, word] = VERDICTS[row.verdict] ?? VERDICTS.unknown;
    return h(`li.${look}`, {}, icon(glyph), h("span", {}, h("span.away", {}, `${word}: `), visible(row.rule, 300),
      row.found === "" ? null : h("span.muted", {}, ` · ${visible(row.found, 300)}`)));
  }));
}

// The checklist of a dialog, if the stage has a policy, and its alternatives if the policy is not met: ask for approval,
// or override with a reason. Asking comes first, and Enter chooses it, if an approval is what is missing. Otherwise it
// comes last: it changes no verdict. Then Enter only moves to Override: a policy must not be overridden by accident.
function gateFor(plan, { ask, override }) {
  if (!plan.rows?.length) return {};
  const more = [checklist(plan.rows, "Rules of the policy")];
  if (plan.ok) return { more };
  const asked = (plan.asked ?? []).map((who) => visible(who, 60)).join(", ");
  more.push(h("p.unmet", {}, asked ? `The policy is not met yet. ${asked} asked for approval already.`
    : "The policy is not met yet."));
  const asking = { label: "Ask for approval…", kind: plan.lacks_approval ? "primary" : "",
    act: ({ values: { because }, close }) => { close(); ask(because); } };
  const overriding = { label: "Override…", act: ({ insist }) => {
    override();
    more.at(-1).textContent = "You override the policy. The history records this, with your reason.";
    insist("Override and promote", "Give a reason for overriding the policy.");
  } };
  return { more, instead: plan.lacks_approval ? [asking, overriding] : [overriding, asking] };
}

// Requests with the facts for an answer. Approve is offered if it would count, Promote if no rule fails.
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
    const next = !rows.length ? "" : met ? "Policy met" : may ? "No rule fails so far" : "";
    return h("li", {}, h("div", {}, withModel
      ? button(name, () => ctx.open(one.model, one.version), { kind: "link" }) : h("b", {}, name),
    ` to ${visible(one.stage, 60)}: asked by ${visible(one.by, 60)} `, when(one.at),
    one.because ? h("p", {}, visible(one.because, 400)) : null,
    Object.keys(metrics).length ? h("p", {}, Object.entries(metrics).map(([metric, value], n) => [n ? " · " : "",
      h("span", { title: `${metric} = ${value}` }, `${visible(metric, 60)} ${figure(value)}`)])) : null,
    rows.length ? checklist(rows, `Rules of the policy for ${name}`) : null,
    h("p.muted", {}, one.approved.length
      ? `approved by ${one.approved.map(told).join(", ")}` : "no approvals yet",
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
