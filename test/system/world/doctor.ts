import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { guestFolder } from "../../../tools/lib/paths.ts";
import type { TestFleet } from "../../support/fleet.ts";

const MAIN = join(import.meta.dirname, "../../../src/cli/main.ts");

interface Report {
  readonly checks: readonly { readonly name: string; readonly status: string; readonly detail: string }[];
}

/**
 * What `hover doctor` finds wrong with a fleet. That nothing keeps simulated VMs apart is no news, and
 * these fleets have no web console.
 */
export async function doctor(fleet: TestFleet): Promise<readonly string[]> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "",
    WINDHOVER_DIR: fleet.folder,
    WINDHOVER_GUEST_DIR: guestFolder(),
  };
  const ended = promisify(execFile)(process.execPath, [MAIN, "doctor", "--json"], { env, timeout: 30_000 });
  // It fails when something is wrong, and says what all the same.
  const { stdout } = await ended.catch((err: { stdout?: string }) => ({ stdout: err.stdout ?? "" }));
  // Documented as its output.
  const { checks } = JSON.parse(stdout) as Report;
  const isExpected = (name: string, status: string) =>
    status === "ok" || (status === "warn" && (name === "isolation" || name === "console"));
  return checks
    .filter(({ name, status }) => !isExpected(name, status))
    .map(({ name, status, detail }) => `${name}: ${status}, ${detail}`);
}
