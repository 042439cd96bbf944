import { closeSync, constants, openSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PhaseLog } from "../../phase-log.ts";
import type { Shape } from "../../vmm.ts";
import { VM_FILES } from "../process/command-line.ts";
import type { Qmp, QmpEvent } from "../process/qmp.ts";
import { isAsMade, roomOf } from "../process/scratch-disk.ts";
import { type BootOptions, bringUp, type RunningQemu, type VmPlan } from "../process/start-qemu.ts";
import { connectIn } from "../process/unix-socket.ts";
import { warmUp } from "./warm-up.ts";
import { meet, type WaitingOptions } from "./warm-vm.ts";

/** A guest that has booted and rehearsed, kept as a file of memory and the state of its devices. */
export interface Template {
  readonly shape: Shape;
  /** Memory, mapped privately by all that are made from it. */
  readonly memory: string;
  readonly state: Buffer;
  readonly madeAtMs: number;
}

const SAVE_SOCKET = "save.sock";
const LOAD_SOCKET = "load.sock";
/** What a kernel puts off at its boot is done by then: once, and not in every VM that is made from the template. */
const CALM_MS = 3_000;
const MAX_STATE = 64 * 1024 * 1024;
/** Sizes of memory are left out of the state: the file has it. */
const CAPABILITIES = ["x-ignore-shared", "events"].map((capability) => ({ capability, state: true }));

/**
 * Boots a guest, lets it rehearse, and saves it: its memory to `memory`, the state of its devices is returned. It has never seen anything
 * of any machine. Its scratch disk is not saved: a fresh one will do as long as it has not been written to, which is checked. The VM is the
 * caller's to clear, whatever the outcome.
 */
export async function saveTemplate(
  options: WaitingOptions,
  id: string,
  shape: Shape,
  memory: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const plan: VmPlan = {
    ...{ id, shape, startPath: "template", rootfs: options.warmUpDisk, isBackground: true },
    memory: { file: memory, isPrivate: false },
  };
  const running = await bringUp(options, plan, signal, new PhaseLog(options.now));
  const { qmp, alive } = running;
  const { extents, data } = options.assets.scratch;
  const scratch = join(options.dirs.runDir(id), VM_FILES.scratch);
  const room = await roomOf(scratch);
  const agent = await meet(options, id, running);
  await warmUp(agent, alive);
  // Before the guest comes to rest: it must have noticed, or would take the next conversation for one that has ended.
  agent.close();
  await delay(CALM_MS, undefined, { signal: alive });
  await qmp.execute("stop");
  if (!(await isAsMade(scratch, room, extents, data))) throw new Error("the scratch disk was written to");
  return await save(options, id, running);
}

/**
 * Starts a QEMU and gives it the state of a template; it stands still. What it leaves behind when it fails is the caller's to clear.
 */
export async function restore(
  options: BootOptions,
  plan: VmPlan,
  template: Template,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<RunningQemu> {
  const memory = { file: template.memory, isPrivate: true };
  const running = await bringUp(options, { ...plan, memory, isRestored: true }, signal, phases);
  const { qmp, alive } = running;
  await qmp.execute("migrate-set-capabilities", { capabilities: CAPABILITIES });
  const done = migrated(qmp, alive);
  await qmp.execute("migrate-incoming", { uri: `unix:${LOAD_SOCKET}` });
  const socket = await connectIn(options.dirs.runDir(plan.id), LOAD_SOCKET);
  // What matters is whether QEMU has understood it.
  socket.on("error", () => {});
  socket.end(template.state);
  await done;
  phases.mark("vmm.restore");
  return running;
}

async function save(options: BootOptions, id: string, { qmp, alive }: RunningQemu): Promise<Buffer> {
  const runDir = options.dirs.runDir(id);
  const parts: Buffer[] = [];
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      if (bytes > MAX_STATE) socket.destroy();
      else parts.push(chunk);
    });
    socket.on("end", () => ended());
  });
  let ended: () => void = () => {};
  const whole = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const fd = openSync(runDir, constants.O_DIRECTORY | 0o10000000);
  try {
    // By descriptor, as a socket's own path must be short.
    const path = `/proc/self/fd/${fd}/${SAVE_SOCKET}`;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path, writableAll: true, readableAll: true }, resolve);
    });
    await qmp.execute("migrate-set-capabilities", { capabilities: CAPABILITIES });
    const done = migrated(qmp, alive);
    await qmp.execute("migrate", { uri: `unix:${SAVE_SOCKET}` });
    await done;
    await whole;
    return Buffer.concat(parts);
  } finally {
    server.close();
    closeSync(fd);
  }
}

/** Resolves when the state has been given or taken. To be called before that is asked for, and waited for afterwards. */
function migrated(qmp: Qmp, alive: AbortSignal): Promise<void> {
  const isOver = ({ name, data }: QmpEvent): boolean =>
    name === "MIGRATION" && (data["status"] === "completed" || data["status"] === "failed");
  const done = qmp.event(isOver, alive).then(({ data }) => {
    if (data["status"] === "failed") throw new Error("QEMU could not take or give the state of a template");
  });
  // It may fail before anybody waits for it; whoever does then is told all the same.
  done.catch(() => {});
  return done;
}
