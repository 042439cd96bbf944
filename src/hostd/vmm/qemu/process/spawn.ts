import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { Qmp } from "../monitor/qmp.ts";
import { connectIn } from "../monitor/unix-socket.ts";
import { VM_FILES } from "./command-line.ts";
import type { ConfinedCommand } from "./confinement.ts";
import { identify, type ProcessId } from "./process-id.ts";

export interface SpawnedQemu {
  readonly qemu: ProcessId;
  readonly parent?: ProcessId;
  readonly ended: Promise<void>;
}

/** Makes the kernel kill a VM before hostd or a database when memory is out. */
const OOM_SCORE_ADJ = "500";

/**
 * Starts QEMU in a session of its own, so that it survives hostd, with the file `stderr` for its
 * errors. Resolves as soon as its pid is known.
 */
export async function spawnQemu(command: ConfinedCommand, cwd: string, stderr: string): Promise<SpawnedQemu> {
  const errors = openSync(stderr, "a", 0o600);
  try {
    const args = command.reportsPid ? ["--info-fd", "3", ...command.args] : [...command.args];
    const child = spawn(command.program, args, {
      cwd,
      detached: true,
      env: command.environment,
      stdio: ["ignore", "ignore", errors, ...(command.reportsPid ? (["pipe"] as const) : [])],
    });
    child.unref();
    await once(child, "spawn");
    const ended = once(child, "exit").then(() => {});
    const started = identify(child.pid ?? 0);
    const qemu = command.reportsPid ? identify(await reportedPid(child)) : started;
    if (!started || !qemu) throw new Error(`${command.program} ended at once`);
    setOomScore(qemu);
    return command.reportsPid ? { qemu, parent: started, ended } : { qemu, ended };
  } finally {
    closeSync(errors);
  }
}

export async function openMonitor(runDir: string, signal: AbortSignal): Promise<Qmp> {
  await fileAppears(runDir, VM_FILES.qmp, signal);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await Qmp.open(await connectIn(runDir, VM_FILES.qmp));
    } catch (err) {
      // QEMU has made the socket and does not listen yet.
      if (!isRefused(err)) throw err;
      await delay(1, undefined, { signal });
    }
  }
}

async function reportedPid(child: ChildProcess): Promise<number> {
  const info = child.stdio[3];
  if (!info || !("readable" in info)) throw new Error("no pipe for the pid");
  const report: unknown = JSON.parse((await text(info)) || "{}");
  const pid =
    typeof report === "object" && report !== null && "child-pid" in report ? Number(report["child-pid"]) : 0;
  if (!Number.isInteger(pid) || pid <= 1) throw new Error("QEMU did not start");
  return pid;
}

function setOomScore({ pid }: ProcessId): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, OOM_SCORE_ADJ);
  } catch {
    // This host does not permit it.
  }
}

/** Waits for a file by the kernel's notifications. */
async function fileAppears(dir: string, name: string, signal: AbortSignal): Promise<void> {
  const watcher = watch(dir);
  try {
    while (!existsSync(join(dir, name))) await once(watcher, "change", { signal });
  } catch (err) {
    // The signal's reason says more than an AbortError.
    signal.throwIfAborted();
    throw err;
  } finally {
    watcher.close();
  }
}

function isRefused(err: unknown): boolean {
  return err instanceof Error && "code" in err && (err.code === "ECONNREFUSED" || err.code === "ENOENT");
}
