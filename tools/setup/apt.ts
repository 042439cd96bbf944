import { spawn } from "node:child_process";
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

/** Installs Debian packages as root. Only the download can be interrupted. */
export async function installWithApt(
  names: readonly string[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const download = () =>
    progress.step("system packages", (say) =>
      apt(["install", ...OPTIONS, "--download-only", ...names], say, signal),
    );
  if (!hasLists()) await update(progress, signal);
  try {
    await download();
  } catch (cause) {
    signal.throwIfAborted();
    // The lists may be older than the archive. Any other error comes again.
    const [why] = String(cause).split("\n", 1);
    progress.say(`system packages: ${why}; trying again with fresh lists`);
    await update(progress, signal);
    await download();
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
    // Its own session, so that Ctrl-C reaches it only through `signal`.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    ...(signal ? { signal } : {}),
  });
  // With this `stdio` these are pipes to read from.
  const [, output, errors, status] = child.stdio as [null, Readable, Readable, Readable, undefined];
  const [stdout, stderr, [code, killer]] = await Promise.all([
    text(output),
    text(errors),
    once(child, "exit"),
    report(status, say),
  ]);
  if (code !== 0)
    throw new Error(`apt-get ${args[0]} failed (${killer ?? code}):\n${stdout}${stderr}`.trimEnd());
}

/** Reads the progress of apt, e.g. `dlstatus:3:41.5:Retrieving file 3 of 7`. */
async function report(status: Readable, say: (detail: string) => void): Promise<void> {
  for await (const line of createInterface({ input: status })) {
    const [kind, , percent, ...message] = line.split(":");
    if (kind !== "dlstatus" && kind !== "pmstatus") continue;
    say(`${Math.round(Number(percent))} % ${message.join(":")}`);
  }
}
