// The connection to the kernel: numbered requests, answers that may be late, and controls that act once.

const QUEUED = 2000;
const LOST = 10000;
const LOST_IT = "This panel lost its kernel. Run the cell again.";
const BUSY = "The kernel is busy; this will be done when it is free.";
const silence = (milliseconds) => `No answer for ${milliseconds / 1000} s: the kernel is busy or gone.`;

async function unpack(view) {
  if (!view || !view.byteLength) return null;
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

// A set of versions, one bit each.
function fromBits(text) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return (version) => Boolean((bytes[version >> 3] >> (version & 7)) & 1);
}

// `say` shows a line, `notified` takes messages that are not answers. Each view starts counting at its own number: all
// views of one widget receive all answers. `kernel` comes from `watchKernel`.
function makeLink(model, { say, notified, signal, kernel }) {
  const waiting = new Map();
  const lost = () => Object.assign(new Error(LOST_IT), { name: "KernelLost" });
  let last = Math.floor(Math.random() * 2 ** 31) * 4096;

  function forget(entry) {
    entry.timers.forEach(clearTimeout);
    entry.timers = [];
  }

  function hear(message) {
    if (message?.id === undefined) return notified(message ?? {});
    const entry = waiting.get(message.id);
    if (!entry) return undefined;
    forget(entry);
    if (message.progress !== undefined) return entry.tell(message.progress, "wait");
    waiting.delete(message.id);
    entry.back();
    if (entry.waited) entry.tell("");
    if (message.ok) return entry.resolve(message.result ?? {});
    return entry.reject(Object.assign(new Error(message.error?.message ?? "it failed"),
      { name: message.error?.type ?? "Error" }));
  }
  model.on("msg:custom", hear);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", hear);
    waiting.forEach(forget);
  });

  // The answer settles the promise whenever it comes. `tell` shows the waiting state near the control. `back` unlocks the
  // controls: after ten seconds, unless the kernel is known to be busy and will answer.
  function ask(op, args = {}, { tell = say, back = () => {}, unheard = () => tell(silence(LOST), "bad") } = {}) {
    if (kernel.status() === "gone") kernel.end();
    last += 1;
    const id = last;
    return new Promise((resolve, reject) => {
      const entry = { resolve, reject, back, tell, waited: false };
      const busy = () => kernel.status() === "busy";
      entry.timers = [
        setTimeout(() => { entry.waited = true; tell(busy() ? BUSY : silence(QUEUED), "wait"); }, QUEUED),
        setTimeout(() => { if (!busy()) { back(); unheard(); } }, LOST),
      ];
      waiting.set(id, entry);
      if (kernel.status() === "gone") return end();
      try {
        model.send({ id, op, args });
      } catch { // there is no connection
        kernel.end();
      }
      return undefined;
    });
  }

  // No answer will come.
  function end() {
    for (const [id, entry] of waiting) {
      waiting.delete(id);
      forget(entry);
      entry.back();
      entry.reject(lost());
    }
  }

  // Send the request of a control: it is busy until the answer, and a second click does nothing.
  function act(control, op, args, tell = say) {
    if (!idle(control)) return new Promise(() => {});
    control.classList.add("busy");
    control.setAttribute("aria-busy", "true");
    const back = () => {
      control.classList.remove("busy");
      control.removeAttribute("aria-busy");
    };
    return ask(op, args, { tell, back });
  }

  return { ask, act, end };
}
