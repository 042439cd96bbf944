import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ROOT, tool } from "../lib/paths.ts";
import { run } from "../lib/run.ts";

const GENERATED = join(ROOT, "src/gen");
const STAMP = join(GENERATED, ".inputs");

/**
 * Makes `src/gen` from `proto/`, unless it is up to date; returns whether it did. Swaps a finished
 * folder in, so that an interrupted run changes nothing.
 */
export async function generate(signal?: AbortSignal, isForced = false): Promise<boolean> {
  const inputs = hashInputs();
  if (!isForced && readStamp() === inputs) return false;
  const draft = `${GENERATED}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  try {
    const options = {
      cwd: ROOT,
      signal,
      env: { ...process.env, PATH: [join(ROOT, "node_modules/.bin"), process.env["PATH"]].join(delimiter) },
    };
    const template = readFileSync(join(ROOT, "buf.gen.yaml"), "utf8").replace(
      "out: src/gen",
      `out: ${draft}`,
    );
    await run(tool("buf"), ["generate", "--template", template], options);
    await run(tool("buf"), ["build", "-o", join(draft, "descriptors.binpb")], options);
    writeFileSync(join(draft, ".inputs"), inputs);
    swap(draft);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return true;
}

function swap(draft: string): void {
  const old = `${draft}.old`;
  try {
    renameSync(GENERATED, old);
  } catch {
    // There was none.
  }
  renameSync(draft, GENERATED);
  rmSync(old, { recursive: true, force: true });
}

function hashInputs(): string {
  const files = globSync("proto/**/*.proto", { cwd: ROOT }).sort();
  const tools = [
    "buf.yaml",
    "buf.gen.yaml",
    "node_modules/ts-proto/package.json",
    "node_modules/@bufbuild/buf/package.json",
  ];
  const hash = createHash("sha256");
  for (const file of [...files, ...tools])
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(ROOT, file)));
  return hash.digest("hex");
}

function readStamp(): string {
  try {
    return readFileSync(STAMP, "utf8");
  } catch {
    return "";
  }
}
