import { join } from "node:path";
import { guestFolder } from "../../tools/lib/paths.ts";
import type { Progress } from "../../tools/lib/progress.ts";
import { scaled } from "../lib/options.ts";
import type { Report } from "../lib/report.ts";
import { Bundle, findRuntime } from "../peers/container.ts";
import { makePlainGuest } from "../peers/plain-guest.ts";
import { bootPlain, type QemuOptions, stockOptions } from "../peers/plain-qemu.ts";

/** What the starts are compared with, and how often. */
export interface FloorOptions {
  /** The image's squashfs, as the fleet made it. */
  readonly rootfs: string;
  /** What the fleet's own VMs run with; undefined when none could be seen. */
  readonly tuned: QemuOptions | undefined;
  /** The fleet's. */
  readonly acceleration: string;
  /** Work space. */
  readonly dir: string;
  readonly runs: number;
}

/** Boots by hand, tuned and not, and starts containers: each to the first line of the same program, while nothing else of ours runs. */
export async function measureFloor(
  options: FloorOptions,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { rootfs, tuned, acceleration, dir, runs } = options;
  const guest = await progress.step("plain guest", () => makePlainGuest(guestFolder(), dir, signal));
  const boot = (how: QemuOptions, kernel: string) => () => bootPlain(how, kernel, guest, rootfs, signal);
  if (tuned === undefined) report.add("plain_qemu_cold", "ms", [], "no VM was seen whose options to take");
  else {
    const once = boot(tuned, guest.vmlinux);
    report.add(
      "plain_qemu_cold",
      "ms",
      await repeat("plain QEMU, tuned", scaled(runs, 10, 10), once, progress, signal),
    );
  }
  const stock = boot(stockOptions(acceleration), guest.bzImage);
  report.add(
    "plain_qemu_stock",
    "ms",
    await repeat("plain QEMU", scaled(runs, 20, 5), stock, progress, signal),
  );
  await measureContainer(options, report, progress, signal);
}

async function measureContainer(
  { rootfs, dir, runs }: FloorOptions,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const runtime = await findRuntime(progress, signal);
  if ("problem" in runtime) return report.add("container", "ms", [], runtime.problem);
  try {
    const bundle = await Bundle.make(runtime.path, rootfs, join(dir, "bundle"), signal);
    const once = () => bundle.start(signal);
    report.add("container", "ms", await repeat("container", scaled(runs, 4, 20), once, progress, signal));
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof Error ? cause.message : String(cause);
    return report.add("container", "ms", [], `crun does not run here: ${why}`);
  }
  if (Bundle.hidesHierarchy) {
    report.note("container: crun refuses this system's two cgroup hierarchies; hiding one adds some 2 ms");
  }
}

async function repeat(
  name: string,
  count: number,
  once: () => Promise<number>,
  progress: Progress,
  signal: AbortSignal,
): Promise<readonly number[]> {
  return progress.step(name, async (say) => {
    const samples: number[] = [];
    // The first one reads its files from disk, as none of the fleet's starts had to.
    await once();
    while (samples.length < count) {
      signal.throwIfAborted();
      say(`${samples.length} of ${count}`);
      samples.push(await once());
    }
    return samples;
  });
}
