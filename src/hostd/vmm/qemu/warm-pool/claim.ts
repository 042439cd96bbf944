import { link } from "node:fs/promises";
import { join } from "node:path";
import type { PhaseLog } from "../../phase-log.ts";
import type { PortForward } from "../../vmm.ts";
import type { GuestVmOptions } from "../guest-channel/guest-vm.ts";
import { ROOT_NODE, VM_FILES } from "../process/command-line.ts";
import { forwardPorts } from "../process/port-forwards.ts";
import type { Qmp } from "../process/qmp.ts";
import type { VmDirs } from "../process/vm-dirs.ts";
import type { WaitingVm } from "./warm-vm.ts";

/** What a waiting VM is to become. */
export interface NewOwner extends Pick<GuestVmOptions, "id" | "sink" | "notBeforeUs"> {
  /** The machine's image on this host. */
  readonly rootfs: string;
  readonly ports: readonly PortForward[];
}

/** Name of the block node of a machine's image. */
const IMAGE_NODE = "image";

/**
 * Gives a waiting VM to a machine: its folder, its image, its ports; and lets it go on. Nothing waits for the answer to one command before the
 * next is sent. Rejects with EXDEV when the image is on another file system than the VM.
 */
export async function handOver(
  { id, vm, qmp }: WaitingVm,
  to: NewOwner,
  dirs: VmDirs,
  phases: PhaseLog,
): Promise<void> {
  // A second name for the same file, in the VM's own folder: its QEMU sees that image and no other.
  await link(to.rootfs, join(dirs.runDir(id), VM_FILES.image));
  await dirs.rename(id, to.id);
  phases.mark("vmm.claim");
  vm.assign(to);
  await Promise.all([swapRootDisk(qmp), forwardPorts(qmp, to.ports), qmp.execute("cont")]);
  phases.mark("vmm.swap");
}

/** Lets the root disk read the machine's image. */
async function swapRootDisk(qmp: Qmp): Promise<void> {
  const image = {
    ...{ driver: "file", "node-name": IMAGE_NODE, filename: VM_FILES.image },
    ...{ "read-only": true, locking: "off" },
  };
  const root = { driver: "raw", "node-name": ROOT_NODE, file: IMAGE_NODE, "read-only": true };
  await Promise.all([
    qmp.execute("blockdev-add", image),
    qmp.execute("blockdev-reopen", { options: [root] }),
  ]);
}
