// All changes to a version or a model, as menu items and dialogs; each sends one message to the kernel.

const WHY = { name: "because", label: "Why?", placeholder: "kept in the history" };

function makeMoves({ root, link, say, state, restore, locked }) {
  const dialog = (options) => question(root, { restore, say, ...options });
  const done = (result) => say(result.sentence ?? "Done", result.doubtful ? "warn" : "ok");
  const change = (op, args, more = (values) => values) => async (values, control, tell) => {
    const result = await link.act(control, op, { ...args, ...more(values) }, tell);
    return () => done(result);
  };

  // Show what the kernel would do, ask for a reason, and do exactly that.
  function confirm(kind, version, { stage = null, title, yes, danger = false, model = state.model }) {
    let plan = {};
    let force = false;
    dialog({
      title, yes, danger, fields: [WHY],
      async prepare(tell) {
        plan = await link.ask("plan", { do: kind, model, version, stage }, { tell });
        force = false;
        return { sentence: plan.sentence, ...gateFor(plan, {
          ask: (because) => moves.request(version, stage, because), override: () => { force = true; } }) };
      },
      run: async ({ because }, control, tell) => {
        const args = {
          promote: { model, version, stage, because, expected: plan.expected ?? null, force },
          stage: { model, version, stage, because, expected: plan.expected ?? null, seen: plan.seen ?? null },
          archive: { model, version, because, seen: plan.seen ?? null },
          rollback: { model, to: plan.target ?? null, because, expected: plan.expected ?? null },
          delete: { model, version, because, seen: plan.seen ?? null },
        }[kind];
        const result = await link.act(control, kind, args, tell);
        return () => done(result);
      },
    });
  }

  const moves = {
    to(version, stage, model = state.model) {
      const what = both(model, version);
      if (stage === "Archived") confirm("archive", version, { title: `Archive ${what}?`, yes: "Archive" });
      else if (stage === "None") confirm("stage", version, { stage, title: `Remove ${what} from its stage?`,
        yes: "Remove" });
      else confirm("promote", version, { model, stage, title: `Promote ${what} to ${stage}?`, yes: "Promote" });
    },
    rollback: () => confirm("rollback", null, { stage: "Production", title: `Roll back ${visible(state.model, 60)}?`,
      yes: "Roll back" }),
    remove: (version) => confirm("delete", version, {
      title: version === null ? `Delete ${visible(state.model, 60)} with all its versions?`
        : `Delete ${both(state.model, version)}?`, yes: "Delete", danger: true,
    }),
    tag: (version) => dialog({
      title: version === null ? `Tag ${visible(state.model, 60)}` : `Tag ${both(state.model, version)}`, yes: "Tag",
      fields: [{ name: "tags", label: "Tags", hint: "key=value, key=value", required: true }],
      run: change("tag", { model: state.model, version }, ({ tags }) => ({ tags })),
    }),
    untag: (control, version, key) => link.act(control, "untag", { model: state.model, version, keys: [key] }),
    describe: (version, text) => dialog({
      title: version === null ? `Describe ${visible(state.model, 60)}` : `Describe ${both(state.model, version)}`,
      yes: "Save",
      fields: [{ name: "text", label: "Description", kind: "area", value: text, hint: "Markdown" }],
      run: change("describe", { model: state.model, version, seen: text }),
    }),
    // The list has only a short description, and no tags: fetch what is edited.
    ofModel: (edit) => link.ask("show", { model: state.model, version: null })
      .then(edit, (error) => say(error.message, "bad")),
    describeModel: () => moves.ofModel(({ description }) => moves.describe(null, description ?? "")),
    untagModel: () => moves.ofModel(({ tags }) => {
      const options = Object.entries(tags ?? {}).map(([key, value]) => [key, `${key}=${value}`]);
      if (!options.length) return say(`${visible(state.model, 60)} has no tags`);
      return dialog({ title: `Remove a tag of ${visible(state.model, 60)}`, yes: "Remove",
        fields: [{ name: "key", label: "Tag", kind: "select", options }],
        run: change("untag", { model: state.model, version: null }, ({ key }) => ({ keys: [key] })) });
    }),
    // Requests for approval, and the answers to them.
    asking: (version, stage) => (stage === "Production" ? [] : [{ label: "Ask for Production…", locked: locked(),
      act: () => moves.request(version, "Production") }]),
    request: (version, stage, because = "") => dialog({
      title: `Ask for ${both(state.model, version)} to go to ${stage}`, yes: "Ask", fields: [{ ...WHY, value: because }],
      run: change("request", { model: state.model, version, stage }),
    }),
    answer: (op, { model, version, stage }) => dialog({
      title: `${op === "approve" ? "Approve" : "Reject"} ${both(model, version)} for ${stage}?`,
      yes: op === "approve" ? "Approve" : "Reject", danger: op === "reject", fields: [WHY],
      run: change(op, { model, version, stage }),
    }),
    alias: (version) => dialog({
      title: `Set an alias of ${both(state.model, version)}`, yes: "Set alias",
      fields: [{ name: "alias", label: "Alias", hint: "letters, digits, _ - . ; if the alias exists, it moves to this version",
        required: true }],
      run: change("alias", { model: state.model, version }),
    }),
    unalias: (control, alias) => link.act(control, "unalias", { model: state.model, alias }),
    rename: () => dialog({
      title: `Rename ${visible(state.model, 60)}`, yes: "Rename",
      fields: [{ name: "new", label: "New name", value: state.model, required: true }],
      run: change("rename", { model: state.model }),
    }),
    // A small change without a dialog: the control waits, and the status line shows the result.
    quick: (promise) => promise.then(done, (error) => say(error.message, "bad")),

    // The stages that a version can move to.
    targets: (version, stage) => STAGES.filter((one) => one !== stage).flatMap((one) => [{
      label: one === "None" ? "No stage" : one, mark: stageMark(one, ""), locked: locked(),
        act: () => moves.to(version, one),
    }, ...(one === "Production" ? moves.asking(version, stage) : [])]),
    // All actions for a version, for the menu of its row.
    menu: (row, { openVersion, compare }) => [
      { label: "Open", act: () => openVersion(row.version) },
      { label: "Compare…", act: () => compare(row.version) },
      null,
      ...[["Production", "Promote to Production…"], ["Staging", "Promote to Staging…"], ["Archived", "Archive…"],
        ["None", "Remove from its stage…"]]
        .filter(([stage]) => stage !== row.stage)
        .flatMap(([stage, label]) => [{ label, mark: stageMark(stage, ""), locked: locked(),
          act: () => moves.to(row.version, stage) }, ...(stage === "Production" ? moves.asking(row.version, row.stage)
          : [])]),
      ...(row.stage === "Production" ? [{ label: "Roll back…", locked: locked(), act: moves.rollback }] : []),
      null,
      { label: "Tag…", locked: locked(), act: () => moves.tag(row.version) },
      { label: "Alias…", locked: locked(), act: () => moves.alias(row.version) },
      { label: "Delete…", danger: true, locked: locked(), act: () => moves.remove(row.version) },
    ],
  };
  return moves;
}
