import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../../../dev/settings/ports.ts";
import { guestFolder } from "../../../tools/lib/paths.ts";
import type { Run } from "../../lib/benchmark.ts";
import { makePlainGuest } from "../../peers/plain-guest.ts";
import { bootPlain, type QemuOptions, tunedOptions } from "../../peers/plain-qemu.ts";
import { HttpClient } from "../http-client.ts";
import { PORT, type Program } from "../programs.ts";
import type { ProxyWorld } from "../world.ts";

/** What boots by hand need of a fleet. */
export interface PlainParts {
  /** Copies of the programs' root file systems. */
  readonly rootfs: ReadonlyMap<Program, string>;
  /** Undefined: no VM was seen whose options to take. */
  readonly tuned: QemuOptions | undefined;
}

const LIMIT_MS = 480_000;

/** Copies what boots by hand need out of a fleet, which is gone by then. */
export async function takePlainParts(
  world: ProxyWorld,
  programs: readonly Program[],
  { folder, report }: Run,
): Promise<PlainParts> {
  const rootfs = new Map<Program, string>();
  for (const program of programs) {
    const copy = join(folder, `${program.name}.squashfs`);
    copyFileSync(world.rootfsOf(program), copy);
    rootfs.set(program, copy);
  }
  const [program] = programs;
  if (program === undefined) return { rootfs, tuned: undefined };
  const { host, machineId } = await world.openApp("options", program);
  await world.client.ask(host);
  try {
    return { rootfs, tuned: tunedOptions(world.fleet.services.layout) };
  } catch (cause) {
    report.note(`wake_..._plain_qemu: ${cause instanceof Error ? cause.message : cause}`);
    return { rootfs, tuned: undefined };
  } finally {
    await world.fleet.clients.destroy(machineId, true);
  }
}

/**
 * Measures boots by hand with the options of the fleet's VMs: from spawning QEMU until the program
 * listens, and from a request that is sent at once to the first byte of its answer.
 */
export async function measurePlainWakes({ rootfs, tuned }: PlainParts, run: Run): Promise<void> {
  const { report, progress, folder, signal } = run;
  if (rootfs.size === 0) return;
  const make = () => makePlainGuest(guestFolder(), folder, signal, true);
  const guest = await progress.step("plain guest", make);
  for (const [{ name, command }, disk] of rootfs) {
    const once = async (options: QemuOptions) => {
      const [hostPort = 0] = await freePorts(1);
      const server = { command, port: PORT, hostPort };
      let requestMs = 0;
      const ask = async () => {
        await using client = new HttpClient(`127.0.0.1:${hostPort}`, 1, signal);
        requestMs = (await client.ask("localhost")).firstByteMs;
      };
      return (await bootPlain(options, guest.vmlinux, guest, disk, signal, server, ask)) + requestMs;
    };
    const count = name === "http" ? run.scaled(10, 10) : run.scaled(20, 5);
    const title = `plain QEMU with ${name}`;
    const ms = tuned ? await run.repeat(title, count, () => once(tuned), 1, LIMIT_MS) : [];
    report.add(`wake_${name}_plain_qemu`, "ms", ms, "no VM was seen whose options to take");
  }
}
