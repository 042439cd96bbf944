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

/** A program of the image that serves. */
export interface PlainServer {
  /** Begins with an absolute path. */
  readonly command: readonly string[];
  /** Its port in the guest. */
  readonly port: number;
  /** Port of this machine that leads there. */
  readonly hostPort: number;
}

/**
 * Boots by hand: QEMU, kernel, initramfs, the image's squashfs as root disk, the program. Returns
 * the milliseconds from spawning QEMU to the program's first line on the serial console.
 *
 * @param server the program, when it is to have a network; otherwise it is `/bin/line`
 * @param work what is done before QEMU is killed; its time is not counted
 */
export async function bootPlain(
  options: QemuOptions,
  kernel: string,
  { initramfs }: PlainGuest,
  rootfs: string,
  signal: AbortSignal,
  server?: PlainServer,
  work: () => Promise<void> = async () => {},
): Promise<number> {
  const disk = `file=${rootfs.replaceAll(",", ",,")},format=raw,if=virtio,read-only=on`;
  const { child, ms } = await untilFirstLine(
    [
      // So that a server ends with this process, however that ends.
      ...(server === undefined ? [] : ["setpriv", "--pdeathsig=KILL", "--"]),
      ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-serial", "stdio", ...(server === undefined ? options : serving(options, server)).flat()],
      ...["-kernel", kernel, "-initrd", initramfs, "-drive", disk],
    ],
    signal,
  );
  const ended = once(child, "exit");
  try {
    await work();
  } finally {
    if (child.kill("SIGKILL")) await ended;
  }
  return ms;
}

/** Adds a network with the server's port, and names its program to the init. */
export function serving(options: QemuOptions, { command, port, hostPort }: PlainServer): QemuOptions {
  return [
    ...options.map(([option, value]) =>
      option === "-append"
        ? ([option, `${value} -- ${command.join(" ")}`] as const)
        : ([option, value] as const),
    ),
    ["-netdev", `user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:${hostPort}-:${port}`],
    ["-device", "virtio-net-pci,netdev=net,romfile="],
  ];
}
