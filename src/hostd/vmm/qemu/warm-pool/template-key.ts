import { hash } from "node:crypto";
import { statSync } from "node:fs";
import { cpus } from "node:os";
import type { Shape } from "../../vmm.ts";
import { qemuArguments } from "../process/command-line.ts";
import { QEMU } from "../process/confinement.ts";
import type { QemuHost } from "../process/start-qemu.ts";

/** Raise it when templates are made differently, so that older ones are not used. */
const RECIPE = 3;

/** Makes a key of all that a template depends on: QEMU, CPU, arguments, the guest's files. */
export function templateKey({ acceleration, tscMhz, assets, confinement }: QemuHost, shape: Shape): string {
  const files = { kernel: "/kernel", initramfs: "/initramfs", rootfs: "/rootfs" };
  const memory = { file: "/memory", isPrivate: false };
  const args = qemuArguments({ name: "template", shape, acceleration, tscMhz, memory, ...files });
  const cpu = cpus()[0]?.model ?? "";
  const parts = [RECIPE, confinement.qemuVersion, qemuBuild(), cpu, assets.hash, args];
  return hash("sha256", JSON.stringify(parts)).slice(0, 32);
}

function qemuBuild(): string {
  const file = statSync(`/usr/bin/${QEMU}`, { throwIfNoEntry: false });
  return file ? `${file.size} ${file.mtimeMs}` : "";
}
