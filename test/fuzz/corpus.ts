import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../tools/lib/paths.ts";

const CORPUS = join(ROOT, "test/fuzz/corpus");
const FINDINGS = join(ROOT, ".windhover/fuzz");

/** Reads the inputs kept for a target, by file name. */
export function readCorpus(target: string): Map<string, Buffer> {
  const dir = join(CORPUS, target);
  mkdirSync(dir, { recursive: true });
  return new Map(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name))]),
  );
}

/** Makes the inputs of a target those given, but for ones with a name of their own, which reproduce what was mended. */
export function writeCorpus(target: string, inputs: readonly Buffer[]): void {
  const kept = new Map(inputs.map((input) => [hashOf(input), input]));
  for (const name of readCorpus(target).keys())
    if (/^[0-9a-f]{16}$/.test(name) && !kept.has(name)) rmSync(join(CORPUS, target, name));
  for (const [name, input] of kept) writeFileSync(join(CORPUS, target, name), input);
}

/** Writes an input for which something does not hold. @returns its path */
export function writeFinding(target: string, input: Buffer): string {
  mkdirSync(FINDINGS, { recursive: true });
  const path = join(FINDINGS, `${target}-${hashOf(input)}`);
  writeFileSync(path, input);
  return path;
}

function hashOf(input: Buffer): string {
  return createHash("sha256").update(input).digest("hex").slice(0, 16);
}
