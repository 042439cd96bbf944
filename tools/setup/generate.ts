import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ROOT, tool } from "../lib/paths.ts";
import { run } from "../lib/run.ts";

/** Generated code: where it lies, and by which template. */
interface Target {
  readonly folder: string;
  readonly template: string;
  /** Whether the descriptors lie there too, for reflection. */
  readonly hasDescriptors: boolean;
}

const TARGETS: readonly Target[] = [
  { folder: "src/gen", template: "buf.gen.yaml", hasDescriptors: true },
  // The client has a part of the contracts, and maps as plain objects.
  {
    folder: "clients/typescript/src/gen",
    template: "clients/typescript/buf.gen.yaml",
    hasDescriptors: false,
  },
];

/**
 * Makes `src/gen` and the client's from `proto/`, unless they are up to date; returns whether it
 * did. Swaps finished folders in, so that an interrupted run changes nothing.
 */
export async function generate(signal?: AbortSignal, isForced = false): Promise<boolean> {
  let isNew = false;
  for (const target of TARGETS) {
    const inputs = hashInputs(target);
    if (!isForced && readStamp(target) === inputs) continue;
    await make(target, inputs, signal);
    isNew = true;
  }
  return isNew;
}

async function make(target: Target, inputs: string, signal: AbortSignal | undefined): Promise<void> {
  const generated = join(ROOT, target.folder);
  const draft = `${generated}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  try {
    const options = {
      cwd: ROOT,
      signal,
      env: { ...process.env, PATH: [join(ROOT, "node_modules/.bin"), process.env["PATH"]].join(delimiter) },
    };
    const template = readFileSync(join(ROOT, target.template), "utf8").replace(
      `out: ${target.folder}\n`,
      `out: ${draft}\n`,
    );
    await run(tool("buf"), ["generate", "--template", template], options);
    if (target.hasDescriptors) {
      await run(tool("buf"), ["build", "-o", join(draft, "descriptors.binpb")], options);
    }
    writeFileSync(join(draft, ".inputs"), inputs);
    swap(draft, generated);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function swap(draft: string, generated: string): void {
  const old = `${draft}.old`;
  try {
    renameSync(generated, old);
  } catch {
    // There was none.
  }
  renameSync(draft, generated);
  rmSync(old, { recursive: true, force: true });
}

function hashInputs({ template }: Target): string {
  const files = globSync("proto/**/*.proto", { cwd: ROOT }).sort();
  const tools = [
    "buf.yaml",
    template,
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

function readStamp({ folder }: Target): string {
  try {
    return readFileSync(join(ROOT, folder, ".inputs"), "utf8");
  } catch {
    return "";
  }
}
