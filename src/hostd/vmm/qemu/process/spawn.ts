import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, type Stats, statSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { VM_FILES } from "./command-line.ts";
import { type ConfinedCommand, ENVIRONMENT } from "./confinement.ts";
import { identify, type ProcessId } from "./process-id.ts";
import { Qmp } from "./qmp.ts";
import { connectIn } from "./unix-socket.ts";

/** A QEMU that runs. */
export interface SpawnedQemu {
  readonly qemu: ProcessId;
  readonly parent?: ProcessId;
  /** Resolves when it has ended; only whoever started it is told so. */
  readonly ended: Promise<void>;
}

/** The kernel's killer should take a VM before it takes hostd or a database. */
const OOM_SCORE_ADJ = "500";

/**
 * Starts QEMU in a session of its own, so that it goes on when hostd is killed. `stderr` is the file for its complaints. Resolves as
 * soon as its pid is known.
 */
export async function spawnQemu(command: ConfinedCommand, cwd: string, stderr: string): Promise<SpawnedQemu> {
  const complaints = openSync(stderr, "a", 0o600);
  try {
    const args = command.tellsPid ? ["--info-fd", "3", ...command.args] : [...command.args];
    const child = spawn(command.program, args, {
      cwd,
      detached: true,
      env: ENVIRONMENT,
      stdio: ["ignore", "ignore", complaints, ...(command.tellsPid ? (["pipe"] as const) : [])],
    });
    child.unref();
    await once(child, "spawn");
    const ended = once(child, "exit").then(() => {});
    const started = identify(child.pid ?? 0);
    if (started === undefined) throw new Error(`${command.program} ended at once`);
    if (!command.tellsPid) return adjusted({ qemu: started, ended });
    const qemu = identify(await toldPid(child));
    if (qemu === undefined) throw new Error(`${command.program} ended at once`);
    return adjusted({ qemu, parent: started, ended });
  } finally {
    closeSync(complaints);
  }
}

/** Waits until QEMU's monitor answers. `signal` ends the wait. */
export async function openMonitor(vmDir: string, signal: AbortSignal): Promise<Qmp> {
  await fileAppears(vmDir, VM_FILES.qmp, signal);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await Qmp.open(await connectIn(vmDir, VM_FILES.qmp));
    } catch (err) {
      // Between making the socket and listening on it.
      if (!isRefused(err)) throw err;
      await delay(1, undefined, { signal });
    }
  }
}

async function toldPid(child: ChildProcess): Promise<number> {
  const info = child.stdio[3];
  if (!info || !("readable" in info)) throw new Error("no pipe for the pid");
  const told: unknown = JSON.parse((await text(info)) || "{}");
  const pid =
    typeof told === "object" && told !== null && "child-pid" in told ? Number(told["child-pid"]) : 0;
  if (!Number.isInteger(pid) || pid <= 1) throw new Error("QEMU did not start");
  return pid;
}

function adjusted(spawned: SpawnedQemu): SpawnedQemu {
  try {
    writeFileSync(`/proc/${spawned.qemu.pid}/oom_score_adj`, OOM_SCORE_ADJ);
  } catch {
    // Not ours to change on this host.
  }
  return spawned;
}

/** Resolves when the file is there, told by the kernel rather than by looking again and again. */
async function fileAppears(dir: string, name: string, signal: AbortSignal): Promise<void> {
  const exists = (): Stats | undefined => statSync(join(dir, name), { throwIfNoEntry: false });
  const watcher = watch(dir);
  try {
    while (!exists()) await once(watcher, "change", { signal });
  } catch (err) {
    // The reason says more than that the wait was aborted.
    signal.throwIfAborted();
    throw err;
  } finally {
    watcher.close();
  }
}

function isRefused(err: unknown): boolean {
  return err instanceof Error && "code" in err && (err.code === "ECONNREFUSED" || err.code === "ENOENT");
}
