import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE } from "../../../clients/typescript/build/package.ts";

/**
 * Makes one program of the examples in the package's README, in their order: they use each other's
 * names. An example after `<!-- not run -->` is left out.
 *
 * @param names that replace the README's addresses, apps and images
 */
export function documentedProgram(names: Readonly<Record<string, string>>): string {
  const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/(<!-- not run -->\s*)?^```js\n([\s\S]*?)^```$/gm)];
  const examples = blocks.filter(([, isSkipped]) => isSkipped === undefined).map(([, , code]) => code ?? "");
  const program = [...examples, "windhover.close();\n"].join("\n");
  return Object.entries(names).reduce((text, [from, to]) => text.replaceAll(`"${from}"`, `"${to}"`), program);
}
