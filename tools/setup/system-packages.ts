import { UserError } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import type { Progress } from "../lib/progress.ts";
import { installWithApt } from "./apt.ts";
import { missingPackages, type SystemPackage } from "./packages.ts";
import { restoreSettings } from "./quiet-services.ts";

/** Sees to it that the machine has what Windhover needs. Asks a person to do it where we may not. */
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
  progress.say(`system packages: installing ${missing.map((each) => each.name).join(", ")}`);
  await installWithApt(
    missing.map((each) => each.name),
    progress,
    signal,
  );
  const still = missing.filter((each) => !each.isPresent());
  if (still.length > 0) {
    throw new Error(`installed, but still not found: ${still.map((each) => each.name).join(", ")}`);
  }
}

/** The line runs our own installer rather than apt itself, which would start and enable the services that come along. */
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
