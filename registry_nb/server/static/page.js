// A panel without a notebook: anywidget's `model`, over a WebSocket of Jupyter Server.

const AGAIN = 2000;

// Where this module comes from is where the WebSocket is.
const HERE = new URL(".", import.meta.url);

class Model {
  constructor(socket) {
    this.socket = socket;
    this.state = { served: true }; // there is no notebook to register from
    this.changed = new Set();
    this.listeners = new Map();
    this.comm_live = true;
  }

  get(name) { return this.state[name]; }

  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    this.changed.add(name);
    this.emit(`change:${name}`);
  }

  save_changes() {
    const state = Object.fromEntries([...this.changed].map((name) => [name, this.state[name]]));
    this.changed.clear();
    if (Object.keys(state).length) this.tell({ method: "update", state });
  }

  send(content) { this.tell({ method: "custom", content }); }

  tell(message) {
    if (this.socket.readyState !== WebSocket.OPEN) throw new Error("there is no connection");
    this.socket.send(JSON.stringify(message));
  }

  on(event, act) { this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(act)); }

  off(event, act) { this.listeners.get(event)?.delete(act); }

  emit(event, content) { [...(this.listeners.get(event) ?? [])].forEach((act) => act(content)); }

  // Take a message of the server; true if it brought state.
  hear({ method, state = {}, buffer_paths: paths = [], buffers = [], content }) {
    if (method === "custom") this.emit("msg:custom", content);
    if (method !== "update") return false;
    paths.forEach((path, i) => {
      const bytes = Uint8Array.from(atob(buffers[i]), (char) => char.charCodeAt(0));
      state[path[0]] = new DataView(bytes.buffer);
    });
    Object.assign(this.state, state);
    Object.keys(state).forEach((name) => this.emit(`change:${name}`));
    return true;
  }
}

// Show the panel of a registry in an element, and connect again when the server comes back. `folder` is one of
// Jupyter's; `place` says which model and version, and `moved` is told when another one is looked at. Returns a function
// that ends it.
export async function show(el, { folder = "", place = {}, moved = () => {} } = {}) {
  const { default: { render } } = await import(new URL("panel.js", HERE));
  let [ended, socket, drawn, at] = [false, null, null, { ...place }];

  function message(text) {
    const line = document.createElement("p");
    line.className = "message";
    line.setAttribute("role", "status");
    line.textContent = text;
    el.replaceChildren(line);
  }

  function connect() {
    const address = new URL("socket", HERE);
    address.protocol = address.protocol.replace("http", "ws");
    address.search = new URLSearchParams({ folder, model: at.model ?? "" });
    socket = new WebSocket(address);
    const model = new Model(socket);
    let refused = "";
    socket.addEventListener("message", (event) => {
      const heard = JSON.parse(event.data);
      if (heard.method === "refused") refused = heard.why;
      if (refused) return message(refused);
      if (model.hear(heard) && !drawn) draw(model);
      return undefined;
    });
    socket.addEventListener("close", () => {
      model.comm_live = false;
      drawn?.abort();
      drawn = null;
      if (ended) return;
      if (!refused) message("The server does not answer. Trying again…");
      setTimeout(() => ended || connect(), AGAIN);
    });
  }

  function draw(model) {
    drawn = new AbortController();
    if (model.get("model") === at.model && at.version) {
      Object.assign(model.state, { version: at.version, view: "version" });
    }
    const follow = () => {
      const view = model.get("view");
      at = { model: model.get("model"), version: view === "version" ? model.get("version") : null };
      moved(at);
    };
    ["model", "version", "view"].forEach((name) => model.on(`change:${name}`, follow));
    el.removeAttribute("aria-busy");
    el.replaceChildren();
    render({ model, el, signal: drawn.signal });
    follow();
  }

  connect();
  return () => {
    ended = true;
    drawn?.abort();
    socket.close();
  };
}

// -- the page of its own: its address says what is looked at -----------------------------------------------------------

function placed() {
  const [model = "", version = ""] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { model, version: Number.parseInt(version, 10) || null };
}

const page = document.getElementById("panel");
if (page && document.title === "Models") {
  const given = new URLSearchParams(location.search);
  show(page, {
    folder: given.get("folder") ?? "",
    place: placed(),
    moved: ({ model, version }) => {
      const parts = [model, version].filter(Boolean).map((part) => encodeURIComponent(part));
      history.replaceState(null, "", `${location.pathname}${location.search}#/${parts.join("/")}`);
    },
  });
}
