import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../../tools/lib/run.ts";
import { writeCpio } from "./cpio.ts";
import { orderModules } from "./modules.ts";

/** A kernel module, ready to be loaded. */
export interface Module {
  readonly name: string;
  readonly data: Buffer;
}

const STRIP_TIMEOUT_MS = 30_000;

/**
 * Reads `wanted` modules and those they depend on from an unpacked kernel package, in load order.
 * They are stripped of symbols and of signatures, which take long to check under emulation. `draft`
 * is a folder for intermediate files.
 */
export async function readModules(
  tree: string,
  draft: string,
  wanted: readonly string[],
): Promise<readonly Module[]> {
  const root = join(tree, "lib/modules");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ko"))
    .map((file) => join(root, file));
  const modules: Module[] = [];
  for (const file of orderModules(wanted, files)) {
    const stripped = join(draft, basename(file));
    const signal = AbortSignal.timeout(STRIP_TIMEOUT_MS);
    await run("strip", ["--strip-debug", "-o", stripped, file], { signal });
    modules.push({ name: basename(file, ".ko"), data: readFileSync(stripped) });
  }
  return modules;
}

/** Makes an initramfs. The init loads `/modules` in the order of their names. */
export function makeInitramfs(init: Buffer, modules: readonly Module[]): Buffer {
  return writeCpio([
    { path: "dev", mode: 0o755 },
    // The kernel opens it for init's standard streams.
    { path: "dev/console", mode: 0o600, device: [5, 1] },
    { path: "modules", mode: 0o755 },
    ...modules.map(({ name, data }, index) => ({
      path: `modules/${String(index).padStart(2, "0")}-${name}.ko`,
      mode: 0o644,
      data,
    })),
    { path: "init", mode: 0o755, data: init },
  ]);
}
