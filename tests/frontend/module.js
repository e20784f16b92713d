// The panel's files as one module, as `registry_nb/panel/frontend.py` joins them: they share one scope.

import { readFileSync } from "node:fs";

const PANEL = new URL("../../registry_nb/panel/", import.meta.url);
const read = (name) => readFileSync(new URL(name, PANEL), "utf8");

// The files in the order in which they are read, which `PARTS` in frontend.py has.
export const parts = [...read("frontend.py").match(/PARTS = \(\n([^)]*)\)/)[1].matchAll(/"(\w+\.js)"/g)].map(([, name]) => ({
  name,
  source: read(`static/${name}`),
}));

// Run the module, and return what it declares under these names.
export function load(...names) {
  const source = parts.map((part) => part.source).join("\n").replace(/^export default .*$/m, "");
  return new Function("STYLE", `${source}\nreturn { ${names.join(", ")} };`)("");
}
