import { UserError } from "../lib/errors.ts";
import { ROOT, tool } from "../lib/paths.ts";
import type { Progress } from "../lib/progress.ts";
import { installWithApt } from "./apt.ts";
import { missingPackages, type SystemPackage } from "./packages.ts";
import { restoreSettings } from "./quiet-services.ts";

/** Installs missing packages as root; otherwise throws an error with the command to run. */
export async function ensureSystemPackages(
  needs: "run" | "test",
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) restoreSettings();
  const missing = missingPackages(needs);
  if (missing.length === 0) return;
  if (!isRoot) throw new UserError(request(missing, needs));
  const names = missing.map((each) => each.name);
  progress.say(`system packages: installing ${names.join(", ")}`);
  await installWithApt(names, progress, signal);
  const absent = missing.filter((each) => !each.isPresent()).map((each) => each.name);
  if (absent.length > 0) throw new Error(`installed, but still not found: ${absent.join(", ")}`);
}

/** Asks for our own installer, since apt would start and enable services. */
function request(missing: readonly SystemPackage[], needs: "run" | "test"): string {
  const width = Math.max(...missing.map((each) => each.name.length));
  const list = missing.map((each) => `  ${each.name.padEnd(width)}  ${each.reason}`);
  return [
    "These Debian packages are missing:",
    ...list,
    "Run this line, then start again. It installs them with apt and leaves no service running:",
    `  sudo ${tool("node")} ${ROOT}/tools/commands/packages.ts ${needs}`,
  ].join("\n");
}
