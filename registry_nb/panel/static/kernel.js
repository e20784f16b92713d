// Whether there still is a kernel behind the panel. A restart ends every widget for good, and nobody tells the widget:
// ipywidgets' model loses its comm, JupyterLab's manager knows the kernel and its status; in other front ends it only
// shows by who does not answer. A heartbeat was the alternative: each beat counts as activity, so that no server would
// ever stop an idle kernel, and it blinks in JupyterLab's toolbar; while a cell runs, nobody could answer it.

const ENDED = ["restarting", "autorestarting", "terminating", "dead"];
const LOOK = 1000;
const ENDS = ["comm_live_update", "comm:close", "destroy"];

// `gone()` is called once, and `end()` is for whoever finds out otherwise. `status()`: "gone", "busy", "idle", or "" where nothing can be known.
function watchKernel(model, el, { gone, signal }) {
  const kernel = () => {
    try {
      return model.widget_manager?.kernel ?? null;
    } catch {
      return null;
    }
  };
  const born = kernel();
  let [over, told] = [false, false];

  function status() {
    const now = kernel();
    over ||= model.comm_live === false || Boolean(el.closest(".jupyter-widgets-disconnected"))
      || Boolean(born && (now?.id !== born.id || born.isDisposed || ENDED.includes(now.status)));
    if (over) return "gone";
    return now?.connectionStatus === "connected" && ["busy", "idle"].includes(now.status) ? now.status : "";
  }
  function end() {
    over = true;
    if (told) return;
    told = true;
    stop();
    gone();
  }
  const look = () => status() === "gone" && end();
  const timer = setInterval(look, LOOK);
  const stop = () => {
    clearInterval(timer);
    ENDS.forEach((event) => model.off(event, look));
    born?.statusChanged?.disconnect?.(look);
    born?.disposed?.disconnect?.(look);
  };
  ENDS.forEach((event) => model.on(event, look));
  born?.statusChanged?.connect?.(look);
  born?.disposed?.connect?.(look);
  signal.addEventListener("abort", stop);
  return { status, end, known: Boolean(born) };
}
