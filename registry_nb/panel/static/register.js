// The form that registers a variable of the notebook, or a file or folder.

function registerView(ctx) {
  const trouble = h("p.trouble", { role: "alert" });
  const form = h("form.page.register", { novalidate: true, "aria-label": "Register a variable" });
  const variables = () => ctx.model.get("variables") ?? [];
  const refresh = button("Refresh", (control) => ctx.link.act(control, "variables", {}).then(() => {},
    (error) => ctx.say(error.message, "bad")), { kind: "link" });
  let go = null;

  function draw() {
    const kept = values(form);
    const found = variables();
    if (/^\w*$/.test(kept.variable ?? "") && !found.some(({ name }) => name === kept.variable)) delete kept.variable;
    const some = found.slice(0, 4).map(({ name, type }) => `${name} (${type})`).join(", ");
    go = h("button.primary", { type: "submit", "aria-disabled": ctx.locked() ? "true" : null },
      "Register");
    const fields = [
      { name: "variable", label: "Variable", value: found[0]?.name ?? "",
        suggestions: found.map(({ name }) => name), hint: found.length
        ? visible(`${some}${found.length > 4 ? ", …" : ""}; or an expression, such as grid.best_estimator_`, 300)
        : "No variable of this notebook has predict() yet: fit a model in a cell, then refresh." },
      { name: "path", label: "Or a file or folder", placeholder: "model.onnx",
        hint: "Registered as it is, instead of a variable: nobody unpickles or runs it." },
      { name: "name", label: "Model name", required: true, suggestions: ctx.data.models.fields.name.slice(0, 500),
        value: ctx.state.model },
      { name: "example", label: "Example", placeholder: "X_test[:5]",
        hint: "Input rows, from which the signature is inferred: a variable or an expression." },
      { name: "metrics", label: "Metrics", placeholder: "accuracy=0.97, auc=$auc",
        hint: "key=value, or a variable that is a dict" },
      { name: "tags", label: "Tags", placeholder: "team=flowers, data=2026-11" },
      WHY,
      { name: "description", label: "Description", kind: "area", placeholder: "Markdown" },
    ].map((one) => field({ ...one, value: kept[one.name] ?? one.value ?? "" }));
    fields[0].append(refresh);
    form.replaceChildren(h("h2", {}, "Register a variable of this notebook"), h("div.fields", {}, fields), trouble,
      h("div.buttons", {}, button("Cancel", () => ctx.go(ctx.state.model ? "versions" : "models")), go));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!idle(go)) return;
    const given = values(form);
    const missing = [...(given.path?.trim() ? [] : ["variable"]), "name"].find((name) => !given[name]?.trim());
    if (missing) {
      const control = form.elements.namedItem(missing);
      trouble.textContent = `Fill in ${named(control.labels[0].textContent)}.`;
      control.focus();
      return;
    }
    trouble.textContent = "";
    try {
      const result = await ctx.link.act(go, "register", given);
      form.reset();
      if (form.isConnected) ctx.open(result.model ?? given.name, result.version);
      ctx.say(result.sentence ?? "Registered", "ok");
    } catch (error) {
      if (error.name !== "KernelLost") ctx.say("Nothing was registered", "bad"); // without a kernel, this is unknown
      trouble.textContent = visible(error.message);
    }
  });
  enters(form);
  draw();
  return { node: form, focus: () => form.querySelector("select, input").focus(),
    update: ({ variables: changed, locked }) => (changed || locked) && idle(go) && keepFocus(ctx.root, form, draw) };
}
