import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";

/** The project's own folder. */
export const ROOT = realpathSync(join(import.meta.dirname, "../.."));

/** A tool from `node_modules/.bin`. */
export function tool(name: string): string {
  return join(ROOT, "node_modules/.bin", name);
}

/** Where everything that lasts is kept: `WINDHOVER_DIR`, or `.windhover` in the project. */
export function dataFolder(env: NodeJS.ProcessEnv = process.env): string {
  const chosen = env["WINDHOVER_DIR"];
  return chosen === undefined || chosen === "" ? join(ROOT, ".windhover") : resolve(chosen);
}

/** Where the kernel and the initramfs of the guests are: `WINDHOVER_GUEST_DIR`, or `guest` in the data folder. */
export function guestFolder(): string {
  const chosen = process.env["WINDHOVER_GUEST_DIR"];
  return chosen === undefined || chosen === "" ? join(dataFolder(), "guest") : resolve(chosen);
}
