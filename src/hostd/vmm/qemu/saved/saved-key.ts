import { hash } from "node:crypto";
import type { Shape } from "../../vmm.ts";
import type { QemuHost } from "../process/start-qemu.ts";
import { templateKey } from "../warm-pool/template-key.ts";

/** Raise it when VMs are saved differently, so that older ones are not used. */
const RECIPE = 1;

/** Makes a key of all that a saved VM depends on: what a template does, and its image. */
export function savedKey(host: QemuHost, shape: Shape, rootfs: string): string {
  return hash("sha256", JSON.stringify([RECIPE, templateKey(host, shape), rootfs])).slice(0, 32);
}
