import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../../src/lib/stores/durable-file.ts";
import { ROOT } from "../../../tools/lib/paths.ts";
import { README } from "./commit.ts";

const FILE = join(ROOT, README);

/** Replaces the figures of a benchmark in `bench/README.md`. */
export function writeReadme(name: string, text: string): void {
  replaceFileSync(FILE, replaceBetween(readFileSync(FILE, "utf8"), name, text), 0o644);
}

/** Replaces the text between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. Throws without them. */
export function replaceBetween(document: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = document.indexOf(begin);
  const to = document.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`there is no "${begin}" with "${end}" after it`);
  return `${document.slice(0, from + begin.length)}\n${text.trim()}\n${document.slice(to)}`;
}
