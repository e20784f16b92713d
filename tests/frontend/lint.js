// Lint the panel's files: each name that one of them uses has to be declared in one of them, or by the browser, and used.

import js from "@eslint/js";
import { ESLint } from "eslint";
import globals from "globals";
import { parts } from "./module.js";

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    js.configs.recommended,
    {
      languageOptions: { globals: { ...globals.browser, STYLE: "readonly" } },
      linterOptions: { reportUnusedDisableDirectives: "error" },
      rules: {
        "array-callback-return": "error",
        eqeqeq: "error",
        "no-eval": "error",
        "no-implied-eval": "error",
        "no-new-func": "error",
        "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({
          property,
          message: "a user's string becomes a text node, never HTML",
        }))],
        "no-script-url": "error",
        "no-var": "error",
        "object-shorthand": "error",
        "prefer-const": ["error", { destructuring: "all" }],
      },
    },
  ],
});

const found = await eslint.lintText(parts.map((part) => part.source).join("\n"));
for (const { line, column, message, ruleId } of found.flatMap((file) => file.messages)) {
  let [n, rest] = [0, line];
  for (let lines; rest > (lines = parts[n].source.split("\n").length); n += 1) rest -= lines;
  console.error(`${parts[n].name}:${rest}:${column}: ${message} (${ruleId})`);
  process.exitCode = 1;
}
