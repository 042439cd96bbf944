import { guestFolder } from "../lib/paths.ts";
import type { Progress } from "../lib/progress.ts";
import { generate } from "./generate.ts";
import { ensureSystemPackages } from "./system-packages.ts";

/**
 * Everything a fleet (`run`) or the tests (`test`) need besides npm packages: system packages, generated code, guest kernel and
 * init. Each part looks first whether it is there already, so that a second run takes well under a second and no network.
 */
export async function setUp(needs: "run" | "test", progress: Progress, signal: AbortSignal): Promise<void> {
  await ensureSystemPackages(needs, progress, signal);
  await progress.step("generated code", () => generate(signal));
  signal.throwIfAborted();
  await progress.step("guest kernel and init", async (say) => {
    // Only now: it may rest on the generated code.
    const { buildGuest } = await import("../../guest/build/build.ts");
    await buildGuest(guestFolder(), say);
  });
  signal.throwIfAborted();
}
