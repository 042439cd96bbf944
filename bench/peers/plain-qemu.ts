import { once } from "node:events";
import type { Layout } from "../../dev/settings/layout.ts";
import { vmsOf } from "../lib/measure/vms.ts";
import { untilFirstLine } from "./first-line.ts";
import type { PlainGuest } from "./plain-guest.ts";

/** What decides how fast a guest boots. */
const TUNED = ["-machine", "-accel", "-cpu", "-smp", "-m", "-append"] as const;

/** Options of QEMU with their values, in order. */
export type QemuOptions = readonly (readonly [option: string, value: string])[];

/** Reads these options of a fleet's running VM, so that boots by hand always have the same. */
export function tunedOptions(layout: Layout): QemuOptions {
  const [running] = vmsOf(layout);
  if (running === undefined) throw new Error("no VM of the fleet is running");
  return pickOptions(running.arguments);
}

/** Picks them from a command line. Throws when one is missing. */
export function pickOptions(args: readonly string[]): QemuOptions {
  return TUNED.map((option) => {
    const value = args[args.indexOf(option) + 1];
    if (!args.includes(option) || value === undefined)
      throw new Error(`a VM of the fleet runs without ${option}`);
    // A fleet's VM may have a memory backend by name.
    return [option, option === "-machine" ? value.replace(/,memory-backend=[^,]*/, "") : value] as const;
  });
}

/** Returns default options. */
export function stockOptions(acceleration: string): QemuOptions {
  const [accel = "", cpu = ""] = acceleration === "kvm" ? ["kvm", "host"] : ["tcg", "max"];
  const options = { "-M": "q35", "-accel": accel, "-cpu": cpu, "-m": "256", "-append": "console=ttyS0" };
  return Object.entries(options);
}

/**
 * Boots by hand: QEMU, kernel, initramfs, the image's squashfs as root disk, the program. Returns
 * the milliseconds from spawning QEMU to the program's first line on the serial console.
 */
export async function bootPlain(
  options: QemuOptions,
  kernel: string,
  { initramfs }: PlainGuest,
  rootfs: string,
  signal: AbortSignal,
): Promise<number> {
  const disk = `file=${rootfs.replaceAll(",", ",,")},format=raw,if=virtio,read-only=on`;
  const { child, ms } = await untilFirstLine(
    [
      ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-serial", "stdio", ...options.flat()],
      ...["-kernel", kernel, "-initrd", initramfs, "-drive", disk],
    ],
    signal,
  );
  const ended = once(child, "exit");
  if (child.kill("SIGKILL")) await ended;
  return ms;
}
