import { spawn } from "node:child_process";
import { closeSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, tool } from "../../tools/lib/paths.ts";
import { identify, type ProcessIdentity } from "../../tools/lib/processes.ts";
import { argumentsOf, type FleetOptions } from "../settings/fleet-options.ts";
import type { Layout } from "../settings/layout.ts";
import { openLog } from "../supervisor/log-file.ts";

/** Starts a supervisor that outlives this process and the terminal. */
export function startSupervisor(layout: Layout, options: FleetOptions): ProcessIdentity {
  mkdirSync(dirname(layout.supervisorLog), { recursive: true, mode: 0o700 });
  const log = openLog(layout.supervisorLog);
  try {
    const child = spawn(tool("node"), [join(ROOT, "dev/commands/supervise.ts"), ...argumentsOf(options)], {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", log, log],
    });
    child.unref();
    const supervisor = child.pid === undefined ? undefined : identify(child.pid);
    if (supervisor === undefined)
      throw new Error(`the supervisor did not start; see ${layout.supervisorLog}`);
    return supervisor;
  } finally {
    closeSync(log);
  }
}
