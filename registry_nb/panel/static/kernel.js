// Detect whether the panel still has a kernel. A restart ends every widget without notifying it: ipywidgets' model loses
// its comm, JupyterLab's manager knows the kernel and its status; other front ends only show it by missing answers. A
// heartbeat was rejected: each beat counts as activity, so a server would never stop an idle kernel, it blinks in
// JupyterLab's toolbar, and it gets no answer while a cell runs.

const ENDED = ["restarting", "autorestarting", "terminating", "dead"];
const LOOK = 1000;
const ENDS = ["comm_live_update", "comm:close", "destroy"];

// `gone()` is called once, also after `end()`, for callers that find out in another way. `status()` is "gone", "busy",
// "idle", or "" if unknown.
function watchKernel(model, el, { gone, signal }) {
  const kernel = () => {
    try {
      return model.widget_manager?.kernel ?? null;
    } catch {
      return null;
    }
  };
  const born = kernel();
  let [over, notified] = [false, false];

  function status() {
    const now = kernel();
    over ||= model.comm_live === false || Boolean(el.closest(".jupyter-widgets-disconnected"))
      || Boolean(born && (now?.id !== born.id || born.isDisposed || ENDED.includes(now.status)));
    if (over) return "gone";
    return now?.connectionStatus === "connected" && ["busy", "idle"].includes(now.status) ? now.status : "";
  }
  function end() {
    over = true;
    if (notified) return;
    notified = true;
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
