// The line to the kernel: numbered questions, answers that may be late, and controls that act once.

const QUEUED = 2000;
const LOST = 10000;
const NOBODY = "no answer: is the kernel running?";

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

// `say` shows a line, `told` takes what comes unasked. Each view counts from a number of its own: all views of one
// widget hear all answers.
function makeLink(model, { say, told, signal }) {
  const waiting = new Map();
  let last = Math.floor(Math.random() * 2 ** 31) * 4096;

  function forget(entry) {
    entry.timers.forEach(clearTimeout);
    entry.timers = [];
  }

  function hear(message) {
    if (message?.id === undefined) return told(message ?? {});
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

  // The answer settles the promise whenever it comes; `back` gives the controls back, at the latest after ten seconds.
  // `tell` shows that one waits, where one looks for it.
  function ask(op, args = {}, { tell = say, back = () => {}, lost = () => tell(NOBODY, "bad") } = {}) {
    last += 1;
    const id = last;
    return new Promise((resolve, reject) => {
      const entry = { resolve, reject, back, tell, waited: false };
      entry.timers = [
        setTimeout(() => { entry.waited = true; tell("queued: the kernel is busy", "wait"); }, QUEUED),
        setTimeout(() => { back(); lost(); }, LOST),
      ];
      waiting.set(id, entry);
      try {
        model.send({ id, op, args });
      } catch {
        // There is no line at all: nobody will answer, and that is what is said when the time is over.
      }
    });
  }

  // Ask on behalf of a control: it is busy until the answer, and a second click on it does nothing.
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

  return { ask, act };
}
