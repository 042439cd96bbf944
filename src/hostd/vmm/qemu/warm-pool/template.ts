import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PhaseLog } from "../../phase-log.ts";
import type { Shape } from "../../vmm.ts";
import { connectGuest } from "../guest-channel/connect-guest.ts";
import { CAPABILITIES, migrationEnds, saveState } from "../monitor/save-state.ts";
import { connectIn } from "../monitor/unix-socket.ts";
import { VM_FILES } from "../process/command-line.ts";
import { allocatedBlocks, isUnwritten } from "../process/scratch-disk.ts";
import { type QemuHost, type RunningQemu, startQemu, type VmPlan } from "../process/start-qemu.ts";
import { warmUp } from "./warm-up.ts";

/** A saved guest after boot and warm-up: a file of memory and the state of its devices. */
export interface Template {
  readonly shape: Shape;
  /** The memory file. Clones map it privately. */
  readonly memory: string;
  readonly state: Buffer;
  readonly madeAtMs: number;
}

const LOAD_SOCKET = "load.sock";
/** After this time the kernel has done what it defers at boot, so that not every clone does it. */
const BOOT_WORK_MS = 3_000;
const MAX_STATE_BYTES = 64 * 1024 * 1024;

/**
 * Boots a guest, warms it up, and saves it: its memory in the file `memory`, the state of its
 * devices in the result. Clones get a fresh scratch disk, so this one must not have been written
 * to. The caller removes the VM.
 */
export async function saveTemplate(
  host: QemuHost,
  plan: Pick<VmPlan, "id" | "shape" | "rootfs">,
  memory: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const running = await startQemu(
    host,
    { ...plan, startPath: "template", isBackground: true, memory: { file: memory, isPrivate: false } },
    signal,
    new PhaseLog(),
  );
  const { qmp, lifetime } = running;
  const runDir = host.dirs.runDir(plan.id);
  const scratch = join(runDir, VM_FILES.scratch);
  const blocks = await allocatedBlocks(scratch);
  const agent = await connectGuest(runDir, running);
  await warmUp(agent, lifetime);
  // Before the pause, in which the guest notices: a clone must not take its first session for one
  // that has ended.
  agent.close();
  await delay(BOOT_WORK_MS, undefined, { signal: lifetime });
  await qmp.execute("stop");
  const { extents, data } = host.assets.scratch;
  if (!(await isUnwritten(scratch, blocks, extents, data)))
    throw new Error("the scratch disk was written to");
  return await saveState(runDir, qmp, lifetime, readState);
}

/** Starts a QEMU with a template's state, paused. After a failure the caller removes the VM. */
export async function cloneTemplate(
  host: QemuHost,
  plan: VmPlan,
  template: Template,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<RunningQemu> {
  const memory = { file: template.memory, isPrivate: true };
  const running = await startQemu(host, { ...plan, memory, isRestored: true }, signal, phases);
  const { qmp, lifetime } = running;
  await qmp.execute("migrate-set-capabilities", { capabilities: CAPABILITIES });
  const done = migrationEnds(qmp, lifetime);
  await qmp.execute("migrate-incoming", { uri: `unix:${LOAD_SOCKET}` });
  const socket = await connectIn(host.dirs.runDir(plan.id), LOAD_SOCKET);
  // QEMU reports a state that it cannot read.
  socket.on("error", () => {});
  socket.end(template.state);
  await done;
  phases.mark("vmm.restore");
  return running;
}

async function readState(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of socket) {
    bytes += chunk.length;
    if (bytes > MAX_STATE_BYTES) throw new Error("the state of the devices is too large");
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
