import { createReadStream } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { PhaseLog } from "../../phase-log.ts";
import { wallClockUs } from "../../phase-log.ts";
import { type LaunchRequest, type ResumeFrom, untilStored } from "../../vmm.ts";
import { Agent } from "../guest-channel/agent.ts";
import { GuestVm } from "../guest-channel/guest-vm.ts";
import { LogCursor } from "../guest-channel/log-cursor.ts";
import { migrationEnds } from "../monitor/save-state.ts";
import { connectIn } from "../monitor/unix-socket.ts";
import { forwardPorts } from "../process/port-forwards.ts";
import { type QemuHost, type RunningQemu, startQemu } from "../process/start-qemu.ts";
import { copySparse } from "./save-vm.ts";
import { savedKey } from "./saved-key.ts";
import { linkFile, SAVED_FILES, type SavedVms } from "./saved-vms.ts";

const LOAD_SOCKET = "load.sock";
const EVENTS = [{ capability: "events", state: true }];

/**
 * Starts a QEMU with a saved VM's memory, mapped privately, its devices and its disk, and lets the
 * guest go on once it has confirmed new clock and entropy. After a failure the caller removes the VM.
 */
export async function resumeVm(
  host: QemuHost,
  saved: SavedVms,
  request: LaunchRequest,
  from: ResumeFrom,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<GuestVm> {
  const { vmId, shape, workload, sink, stored } = request;
  const { dirs } = host;
  const startPath = from.isKept ? "snapshot" : "resume";
  const { key, lastLine } = saved.manifest(from.name);
  if (key !== savedKey(host, shape, workload.rootfs))
    throw new Error("this host has changed since it was saved");
  const folder = saved.path(from.name);
  const memory = join(folder, SAVED_FILES.memory);
  const scratch = join(folder, SAVED_FILES.scratch);
  const running = await startQemu(
    host,
    {
      ...{ id: vmId, shape, startPath, rootfs: workload.rootfs },
      memory: { file: memory, isPrivate: true, isOwn: true },
      isRestored: true,
      withoutMemory: true,
      makeScratch: async (file) =>
        from.isKept ? copySparse(scratch, file, signal) : linkFile(scratch, file),
    },
    signal,
    phases,
  );
  const { qmp, lifetime } = running;
  await loadDevices(running, dirs.runDir(vmId), join(folder, SAVED_FILES.devices));
  phases.mark("vmm.restore");
  if (lastLine > 0) writeCursor(dirs.logCursor(vmId), lastLine);
  // Before the guest runs, so that it does not take its old session for one that has ended.
  const agent = await Agent.connect(dirs.runDir(vmId));
  const vm = new GuestVm({ id: vmId, startPath, dirs, qmp, sink, notBeforeUs: phases.startUs }, agent);
  try {
    await forwardPorts(qmp, workload.ports);
    phases.mark("vmm.ports");
    await untilStored(stored, signal);
    phases.mark("vmm.run");
    // From here on the guest may write to the disk: the saved VM is used up.
    if (!from.isKept) await rename(folder, dirs.usedUp(vmId));
    await qmp.execute("cont");
    await vm.join(lifetime);
    phases.mark("vmm.resume");
    await vm.thaw({ hostname: workload.hostname, isOther: true }, lifetime);
    vm.startedAtUs = wallClockUs();
    phases.mark("vmm.report");
    vm.phases = phases.all();
    return vm;
  } catch (err) {
    await vm.detach();
    throw err;
  }
}

async function loadDevices({ qmp, lifetime }: RunningQemu, runDir: string, file: string): Promise<void> {
  await qmp.execute("migrate-set-capabilities", { capabilities: EVENTS });
  const done = migrationEnds(qmp, lifetime);
  await qmp.execute("migrate-incoming", { uri: `unix:${LOAD_SOCKET}` });
  const socket = await connectIn(runDir, LOAD_SOCKET);
  // QEMU reports a state that it cannot read, and may close before it has read all.
  await pipeline(createReadStream(file), socket).catch(() => {});
  await done;
}

/** Lets the output go on behind a line. Without a place in the machine's log, which may have lines of other runs since. */
function writeCursor(file: string, number: number): void {
  const writer = new LogCursor(file);
  try {
    writer.write({ number });
  } finally {
    writer.close();
  }
}
