import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Progress } from "../lib/progress.ts";
import { withQuietServices } from "./quiet-services.ts";

const ENVIRONMENT = {
  ...process.env,
  LC_ALL: "C.UTF-8",
  DEBIAN_FRONTEND: "noninteractive",
  APT_LISTCHANGES_FRONTEND: "none",
  // Ubuntu restarts services after an installation unless told not to.
  NEEDRESTART_SUSPEND: "1",
};
const OPTIONS = [
  ...["-y", "-qq", "--no-install-recommends"],
  ...["-o", "DPkg::Lock::Timeout=120", "-o", "APT::Status-Fd=3", "-o", "Dpkg::Use-Pty=0"],
  ...["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"],
];

/**
 * Installs Debian packages as root. Downloading can be interrupted; what dpkg has begun is finished first, since half of an
 * installation would have to be mended by hand.
 */
export async function installWithApt(
  names: readonly string[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const download = ["install", ...OPTIONS, "--download-only", ...names];
  if (!hasLists()) await update(progress, signal);
  try {
    await progress.step("system packages", (say) => apt(download, say, signal));
  } catch (cause) {
    signal.throwIfAborted();
    // The lists may be older than the archive. Whatever else it is fails again, and then it is told.
    progress.say(`system packages: ${firstLine(cause)}; trying again with fresh lists`);
    await update(progress, signal);
    await progress.step("system packages", (say) => apt(download, say, signal));
  }
  signal.throwIfAborted();
  const install = ["install", ...OPTIONS, ...names];
  await progress.step("system packages", (say) => withQuietServices(() => apt(install, say)));
  signal.throwIfAborted();
}

async function update(progress: Progress, signal: AbortSignal): Promise<void> {
  await progress.step("package lists", (say) =>
    apt(["update", "-qq", "-o", "APT::Status-Fd=3"], say, signal),
  );
}

function hasLists(): boolean {
  return readdirSync("/var/lib/apt/lists").some((name) => /_Packages(\.\w+)?$/.test(name));
}

async function apt(
  args: readonly string[],
  say: (detail: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const child = spawn("apt-get", args, {
    env: ENVIRONMENT,
    // Its own session: Ctrl-C is ours to pass on, when it does no harm.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    ...(signal ? { signal } : {}),
  });
  // With this `stdio` the streams are there, and are pipes to read from.
  const [, output, errors, status] = child.stdio as [null, Readable, Readable, Readable, undefined];
  const [stdout, stderr, code] = await Promise.all([
    text(output),
    text(errors),
    exitOf(child),
    report(status, say),
  ]);
  if (code !== 0) throw new Error(`apt-get ${args[0]} failed (${code}):\n${stdout}${stderr}`.trimEnd());
}

async function exitOf(child: ChildProcess): Promise<number | string> {
  const [code, signal] = await once(child, "exit");
  return code ?? signal;
}

/** apt tells machines how far it is: `dlstatus:3:41.5:Retrieving file 3 of 7`, `pmstatus:skopeo:80.0:Unpacking skopeo`. */
async function report(status: Readable, say: (detail: string) => void): Promise<void> {
  for await (const line of createInterface({ input: status })) {
    const [kind, , percent, ...message] = line.split(":");
    if (kind !== "dlstatus" && kind !== "pmstatus") continue;
    say(`${Math.round(Number(percent))} % ${message.join(":")}`);
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0] ?? "";
}
