import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";

/** The project's own folder. */
export const ROOT = realpathSync(join(import.meta.dirname, "../.."));

/** The path of a tool in `node_modules/.bin`. */
export function tool(name: string): string {
  return join(ROOT, "node_modules/.bin", name);
}

/** The folder of the local fleet: `WINDHOVER_DIR`, or `.windhover` in the project. */
export function dataFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env["WINDHOVER_DIR"] ? resolve(env["WINDHOVER_DIR"]) : join(ROOT, ".windhover");
}

/** The folder of the guest's kernel: `WINDHOVER_GUEST_DIR`, or `guest` in the data folder. */
export function guestFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env["WINDHOVER_GUEST_DIR"] ? resolve(env["WINDHOVER_GUEST_DIR"]) : join(dataFolder(env), "guest");
}
