import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { cpus } from "node:os";
import type { Shape } from "../../vmm.ts";
import { type Acceleration, qemuArguments } from "../process/command-line.ts";
import { QEMU } from "../process/confinement.ts";
import type { GuestAssets } from "../process/guest-assets.ts";

/** Raise it when a template is made in another way, so that those made before are not used. */
const RECIPE = 3;

/** All that a template of a shape depends on, as one name: QEMU, the processor it shows, its arguments, the guest's files. */
export function templateKey(
  host: { readonly qemuVersion: string; readonly acceleration: Acceleration; readonly assets: GuestAssets },
  shape: Shape,
): string {
  const { acceleration, assets, qemuVersion } = host;
  const files = { kernel: "/kernel", initramfs: "/initramfs", rootfs: "/rootfs" };
  const memory = { file: "/memory", isPrivate: false };
  const args = qemuArguments({ name: "template", shape, acceleration, memory, ...files });
  const parts = [RECIPE, qemuVersion, qemuBuild(), cpus()[0]?.model ?? "", assets.hash, args];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** Builds of one version differ in what they save. */
function qemuBuild(): string {
  const file = statSync(`/usr/bin/${QEMU}`, { throwIfNoEntry: false });
  return file ? `${file.size} ${file.mtimeMs}` : "";
}
