import { join } from "node:path";
import { dataFolder, ROOT } from "../lib/paths.ts";
import type { Progress } from "../lib/progress.ts";
import { generate } from "./generate.ts";
import { ensureSystemPackages } from "./system-packages.ts";

/** The part of `scripts/guest/build.ts` that set-up calls. */
interface GuestBuilder {
  buildGuest(folder: string, say: (detail: string) => void, signal?: AbortSignal): Promise<unknown>;
}

/** Where the kernel and the initramfs of the guests are. */
export function guestFolder(): string {
  return join(dataFolder(), "guest");
}

/**
 * Everything a fleet (`run`) or the tests (`test`) need besides npm packages: system packages, generated code, guest kernel and
 * init. Each part looks first whether it is there already, so that a second run takes well under a second and no network.
 */
export async function setUp(needs: "run" | "test", progress: Progress, signal: AbortSignal): Promise<void> {
  await ensureSystemPackages(needs, progress, signal);
  await progress.step("generated code", () => generate(signal));
  signal.throwIfAborted();
  await progress.step("guest kernel and init", async (say) => {
    const builder = (await import(join(ROOT, "scripts/guest/build.ts"))) as GuestBuilder;
    await builder.buildGuest(guestFolder(), say, signal);
  });
  signal.throwIfAborted();
}
