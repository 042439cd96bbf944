/**
 * Checks who imports whom: `node tools/check/imports.ts`.
 *
 * Rules for single imports are the data in `import-rules.ts`. Cycles have one rule, for files and
 * folders alike: the entries of a folder (its files, and each sub-folder as a whole) import each
 * other in one direction only. So a sub-folder may import a file of its parent folder, unless that
 * file imports something in the sub-folder, directly or through others; and two folders side by
 * side never import each other, whichever of their files do so. The entries of the project are
 * those of its top folders: `src/api`, `tools/lib`. Type imports count. Test files (`*.test.ts`)
 * are left out of cycles: nothing imports them.
 */
import { globSync, readFileSync } from "node:fs";
import { join, matchesGlob, posix } from "node:path";
import { ROOT } from "../lib/paths.ts";
import { RULES, type Rule } from "./import-rules.ts";

/** One import statement, or one `import()` of a literal. */
export interface Import {
  /** Path of a file, relative to the project. */
  readonly from: string;
  /** Path of a file, or the name of a package: `pg`, `node:fs`. */
  readonly to: string;
}

const SOURCES = "{src,otel,dev,tools,guest,bench,test,clients}/**/*.{ts,tsx,mjs}";
const SPECIFIER = /^(?:import|export|\}).*?from "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** Reads the imports of all sources below `root`, generated code excepted. */
export function readImports(root: string): readonly Import[] {
  return globSync(SOURCES, { cwd: root })
    .filter((file) => !isGenerated(file))
    .sort()
    .flatMap((from) => {
      const text = readFileSync(join(root, from), "utf8");
      return [...text.matchAll(SPECIFIER)].map(([, ...names]) => {
        const specifier = names.find((name) => name !== undefined) ?? "";
        const to = specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : specifier;
        return { from, to };
      });
    });
}

/** Describes every import that breaks a rule. */
export function brokenRules(imports: readonly Import[], rules: readonly Rule[]): readonly string[] {
  return imports.flatMap(({ from, to }) =>
    rules
      .filter((rule) => matches(rule.from, from) && matches(rule.to, to))
      .map(({ says }) => `${from} imports ${to}: ${says}`),
  );
}

/** Describes every cycle between the entries of a folder, with an import for each arrow. */
export function cycles(imports: readonly Import[]): readonly string[] {
  const folders = new Map<string, Map<string, Map<string, Import>>>();
  for (const each of imports) {
    if (each.from.includes(".test.") || !isFile(each.to)) continue;
    const [folder, a, b] = split(each);
    if (a === b) continue;
    const arrows = getOrAdd(folders, folder, () => new Map<string, Map<string, Import>>());
    const targets = getOrAdd(arrows, a, () => new Map<string, Import>());
    getOrAdd(targets, b, () => each);
  }
  return [...folders].flatMap(([folder, arrows]) =>
    components(arrows).map((entries) => describeCycle(folder, entries, arrows)),
  );
}

function matches(patterns: readonly string[], path: string): boolean {
  const [excluded, allowed] = [true, false].map((isExclusion) =>
    patterns
      .filter((pattern) => pattern.startsWith("!") === isExclusion)
      .map((pattern) => pattern.replace("!", "")),
  );
  return (
    !!allowed?.some((each) => matchesGlob(path, each)) && !excluded?.some((each) => matchesGlob(path, each))
  );
}

/** Packages have no extension; generated code imports nothing of ours. */
function isFile(path: string): boolean {
  return /\.(tsx?|mjs)$/.test(path) && !isGenerated(path);
}

/** Neither ours to check, nor copies of what is checked. */
function isGenerated(path: string): boolean {
  return /^(?:src\/gen|clients\/typescript\/(?:src\/gen|dist|docs|\.build))\//.test(path);
}

/** The deepest folder that holds both ends, and the entries of it that do. */
function split({ from, to }: Import): readonly [folder: string, from: string, to: string] {
  const [a, b] = [from.split("/"), to.split("/")];
  let depth = 0;
  while (a[depth] === b[depth] && depth < a.length - 1) depth++;
  if (depth < 2) return ["", a.slice(0, 2).join("/"), b.slice(0, 2).join("/")];
  return [a.slice(0, depth).join("/"), a[depth] ?? "", b[depth] ?? ""];
}

/** The sets of entries that reach each other. */
function components(arrows: ReadonlyMap<string, ReadonlyMap<string, unknown>>): readonly string[][] {
  const reachable = new Map([...arrows.keys()].map((entry) => [entry, reach(entry, arrows)]));
  const members = [...arrows.keys()].filter((entry) => reachable.get(entry)?.has(entry));
  const byReach = Map.groupBy(members, (entry) => {
    const mutual = members.filter(
      (each) => reachable.get(entry)?.has(each) && reachable.get(each)?.has(entry),
    );
    return mutual.join();
  });
  return [...byReach.values()];
}

function reach(
  entry: string,
  arrows: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
): ReadonlySet<string> {
  const found = new Set(arrows.get(entry)?.keys());
  for (const each of found) for (const target of arrows.get(each)?.keys() ?? []) found.add(target);
  return found;
}

function describeCycle(
  folder: string,
  entries: readonly string[],
  arrows: ReadonlyMap<string, ReadonlyMap<string, Import>>,
): string {
  const examples = entries.flatMap((entry) =>
    entries.flatMap((other) => {
      const example = arrows.get(entry)?.get(other);
      return example === undefined
        ? []
        : [`\n    ${entry} -> ${other}: ${example.from} imports ${example.to}`];
    }),
  );
  return `${folder === "" ? "the project" : folder}: a cycle of ${entries.join(", ")}${examples.join("")}`;
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

if (import.meta.main) {
  const imports = readImports(ROOT);
  const findings = [...brokenRules(imports, RULES), ...cycles(imports)];
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
