import { link } from "node:fs/promises";
import { join } from "node:path";
import type { PhaseLog } from "../../phase-log.ts";
import type { Phase, PortForward } from "../../vmm.ts";
import type { NewOwner } from "../guest-channel/guest-vm.ts";
import type { Qmp } from "../monitor/qmp.ts";
import { ROOT_NODE, VM_FILES } from "../process/command-line.ts";
import { forwardPorts } from "../process/port-forwards.ts";
import type { VmDirs } from "../process/vm-dirs.ts";
import type { WarmVm } from "./warm-vm.ts";

/** The launch that gets a warm VM. */
export interface Claim extends NewOwner {
  readonly rootfs: string;
  readonly ports: readonly PortForward[];
  /** Attributes of the claim's phase. */
  readonly attributes?: Phase["attributes"];
}

const IMAGE_NODE = "image";

/**
 * Gives a warm VM to a machine: renames its folder, replaces its root disk, forwards the ports, and
 * resumes it. Commands are sent without waiting for earlier ones. Rejects with EXDEV when the image
 * is on another file system than the VM.
 */
export async function claimWarmVm(
  { vm }: WarmVm,
  { rootfs, ports, attributes, ...owner }: Claim,
  dirs: VmDirs,
  phases: PhaseLog,
): Promise<void> {
  const { id, qmp } = vm;
  // A hard link in the VM's own folder, so that its QEMU sees no other image.
  await link(rootfs, join(dirs.runDir(id), VM_FILES.image));
  await dirs.rename(id, owner.id);
  phases.mark("vmm.claim", attributes);
  vm.assign(owner);
  await Promise.all([replaceRootDisk(qmp), forwardPorts(qmp, ports), qmp.execute("cont")]);
  phases.mark("vmm.swap");
}

async function replaceRootDisk(qmp: Qmp): Promise<void> {
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
