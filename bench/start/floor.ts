import { join } from "node:path";
import { guestFolder } from "../../tools/lib/paths.ts";
import type { Run } from "../lib/benchmark.ts";
import { Bundle, findRuntime } from "../peers/container.ts";
import { makePlainGuest } from "../peers/plain-guest.ts";
import { bootPlain, type QemuOptions, stockOptions } from "../peers/plain-qemu.ts";

/**
 * Measures boots by hand and containers, each to the first line of the same program.
 *
 * @param rootfs the image's squashfs
 * @param tuned options of the fleet's VMs, when one was seen
 */
export async function measureFloor(run: Run, rootfs: string, tuned: QemuOptions | undefined): Promise<void> {
  const { report, progress, folder, signal } = run;
  const guest = await progress.step("plain guest", () => makePlainGuest(guestFolder(), folder, signal));
  const boot = (options: QemuOptions, kernel: string) => () =>
    bootPlain(options, kernel, guest, rootfs, signal);
  const tunedMs =
    tuned === undefined
      ? []
      : await run.repeat("plain QEMU, tuned", run.scaled(10, 10), boot(tuned, guest.vmlinux));
  report.add("plain_qemu_cold", "ms", tunedMs, "no VM was seen whose options to take");
  const stock = boot(stockOptions(report.vmm.acceleration), guest.bzImage);
  report.add("plain_qemu_stock", "ms", await run.repeat("plain QEMU", run.scaled(20, 5), stock));
  await measureContainer(run, rootfs);
}

async function measureContainer(run: Run, rootfs: string): Promise<void> {
  const { report, progress, folder, signal } = run;
  const runtime = await findRuntime(progress, signal);
  if ("problem" in runtime) return report.add("container", "ms", [], runtime.problem);
  try {
    const bundle = await Bundle.make(runtime.path, rootfs, join(folder, "bundle"), signal);
    const samples = await run.repeat("container", run.scaled(4, 20), () => bundle.start(signal));
    report.add("container", "ms", samples);
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof Error ? cause.message : String(cause);
    return report.add("container", "ms", [], `crun does not run here: ${why}`);
  }
  if (Bundle.hidesHierarchy)
    report.note("container: crun refuses this system's two cgroup hierarchies; hiding one adds some 2 ms");
}
