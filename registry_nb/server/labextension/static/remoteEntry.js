// The side bar of JupyterLab: the panel of the registry nearest to the open notebook, without a kernel.
//
// JupyterLab loads extensions as containers of module federation. This one is written by hand, so that there is no build
// step and no copy of JupyterLab's own packages: it takes those that JupyterLab shares.

(() => {
  const NAME = "registry-nb";
  const ICON = '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" '
    + 'fill="#616161" d="M12 2 2 7l10 5 10-5zM2 12l10 5 10-5M2 17l10 5 10-5"/></svg>';
  let scope = null;

  // Several versions of a module may be offered: the one that JupyterLab itself has loaded is meant.
  async function shared(name) {
    const offered = Object.values(scope[name] ?? {});
    const best = offered.find((one) => one.loaded) ?? offered[0];
    if (!best) throw new Error(`JupyterLab does not share ${name}`);
    return (await best.get())();
  }

  async function extension() {
    const { Widget } = await shared("@lumino/widgets");
    const { LabIcon } = await shared("@jupyterlab/ui-components");
    const { ICommandPalette, MainAreaWidget, Clipboard } = await shared("@jupyterlab/apputils");
    const { INotebookTracker, NotebookActions } = await shared("@jupyterlab/notebook");
    const { PageConfig, URLExt } = await shared("@jupyterlab/coreutils");
    const icon = new LabIcon({ name: `${NAME}:icon`, svgstr: ICON });
    const page = import(URLExt.join(PageConfig.getBaseUrl(), "registry-nb/page.js"));

    // A panel that connects when it is first seen, so that nobody pays for one that stays closed.
    class Models extends Widget {
      constructor(folder, place, opened) {
        super();
        Object.assign(this, { folder, place, opened, end: null });
        this.addClass("registry-nb-models");
        Object.assign(this.node.style, { overflow: "auto", padding: "8px", minWidth: "260px" });
      }

      onAfterShow() { this.connect(); }

      onAfterAttach() { if (this.isVisible) this.connect(); }

      async connect() {
        if (this.end || this.isDisposed) return;
        this.end = () => {};
        const { show } = await page;
        this.end = await show(this.node, { folder: this.folder, place: this.place, moved: (place) => {
          this.place = place;
          this.opened?.(place);
        } });
        if (this.isDisposed) this.end();
      }

      // Show the registry of another folder.
      follow(folder) {
        if (folder === this.folder) return;
        this.end?.();
        Object.assign(this, { folder, end: null, place: {} });
        if (this.isVisible) this.connect();
      }

      dispose() {
        this.end?.();
        super.dispose();
      }
    }

    return {
      id: `${NAME}:sidebar`,
      autoStart: true,
      optional: [ICommandPalette, INotebookTracker],
      activate(app, palette, tracker) {
        const folderOf = (panel) => panel?.context?.path?.split("/").slice(0, -1).join("/") || ".";
        const bar = new Models(folderOf(tracker?.currentWidget), {});
        bar.id = `${NAME}-sidebar`;
        Object.assign(bar.title, { caption: "Models", icon });
        bar.node.setAttribute("role", "region");
        bar.node.setAttribute("aria-label", "Models");
        app.shell.add(bar, "left", { rank: 250 });
        tracker?.currentChanged.connect((_, panel) => panel && bar.follow(folderOf(panel)));

        // A link: …/lab?registry=FOLDER&model=Iris&version=3
        const open = (folder, place) => {
          const content = new Models(folder, place);
          const tab = new MainAreaWidget({ content });
          Object.assign(tab.title, { label: place.model || "Models", icon, closable: true });
          app.shell.add(tab, "main");
          app.shell.activateById(tab.id);
        };
        const asked = new URLSearchParams(location.search);
        if (asked.get("model")) {
          app.restored.then(() => open(asked.get("registry") || ".", {
            model: asked.get("model"), version: Number.parseInt(asked.get("version"), 10) || null,
          }));
        }

        const { commands } = app;
        const category = "Model registry";
        const add = (name, label, execute) => {
          commands.addCommand(`${NAME}:${name}`, { label, execute });
          palette?.addItem({ command: `${NAME}:${name}`, category });
        };
        add("show", "Show the models", () => app.shell.activateById(bar.id));
        add("open", "Open the model in a tab", () => open(bar.folder, bar.place));
        add("copy-link", "Copy a link to the model", () => {
          const link = new URL(URLExt.join(PageConfig.getBaseUrl(), "lab"), location.href);
          const { model, version } = bar.place;
          const words = { registry: bar.folder, ...(model ? { model } : {}), ...(version ? { version } : {}) };
          link.search = new URLSearchParams(words);
          Clipboard.copyToSystem(String(link));
        });
        add("insert", "Insert code that loads the model", () => {
          const panel = tracker?.currentWidget;
          const { model, version } = bar.place;
          if (!panel || !model) return;
          const uri = `models:/${model}/${version ?? "Production"}`;
          const code = `import registry_nb as rn\nmodel = rn.load_model(${JSON.stringify(uri)})`;
          NotebookActions.insertBelow(panel.content);
          panel.content.activeCell.model.sharedModel.setSource(code);
        });
      },
    };
  }

  (globalThis._JUPYTERLAB ??= {})[NAME] = {
    init(shareScope) { scope = shareScope; },
    async get() {
      const plugin = await extension();
      return () => ({ __esModule: true, default: [plugin] });
    },
  };
})();
