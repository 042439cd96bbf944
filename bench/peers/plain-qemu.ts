import { vmsOf } from "../lib/vms.ts";
import { kill, untilFirstLine } from "./first-line.ts";
import type { PlainGuest } from "./plain-guest.ts";

const QEMU = "qemu-system-x86_64";
/** What decides how fast a guest boots, and is taken from the fleet's own VMs as they are. */
const TUNED = ["-machine", "-accel", "-cpu", "-smp", "-m", "-append"] as const;

/** Options of QEMU with their values, in order. */
export type QemuOptions = readonly (readonly [option: string, value: string])[];

/** Reads the options that make the fleet's own VMs fast off one that runs, so that the comparison cannot fall behind them. */
export function tunedOptions(fleetFolder: string): QemuOptions {
  const [running] = vmsOf(fleetFolder);
  if (running === undefined) throw new Error("no VM of the fleet is running");
  return pickOptions(running.arguments);
}

/** Picks them from a command line. Throws when one is missing: it would not be the same boot. */
export function pickOptions(args: readonly string[]): QemuOptions {
  return TUNED.map((option) => {
    const value = args[args.indexOf(option) + 1];
    if (!args.includes(option) || value === undefined)
      throw new Error(`a VM of the fleet runs without ${option}`);
    // Its RAM may be a named backend of its own; ours is not.
    return [option, option === "-machine" ? value.replace(/,memory-backend=[^,]*/, "") : value] as const;
  });
}

/** What a person types who knows no better than the manual. `acceleration` is the fleet's. */
export function stockOptions(acceleration: string): QemuOptions {
  const isKvm = acceleration === "kvm";
  return [
    ["-M", "q35"],
    ["-accel", isKvm ? "kvm" : "tcg"],
    ["-cpu", isKvm ? "host" : "max"],
    ["-m", "256"],
    ["-append", "console=ttyS0"],
  ];
}

/**
 * Boots by hand: QEMU, kernel, initramfs, the image's own squashfs as root disk, the program. Returns the milliseconds from spawning
 * QEMU until the program's first line has come out of the serial console.
 */
export async function bootPlain(
  options: QemuOptions,
  kernel: string,
  guest: PlainGuest,
  rootfs: string,
  signal: AbortSignal,
): Promise<number> {
  const disk = `file=${rootfs.replaceAll(",", ",,")},format=raw,if=virtio,read-only=on`;
  const spoken = await untilFirstLine(
    [
      QEMU,
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"],
      ...options.flat(),
      ...["-kernel", kernel, "-initrd", guest.initramfs, "-drive", disk],
    ],
    signal,
  );
  await kill(spoken.child);
  return spoken.ms;
}
