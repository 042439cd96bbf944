import { guestFolder } from "../lib/paths.ts";
import type { Progress } from "../lib/progress.ts";
import { buildConsolePage } from "./console-page.ts";
import { generate } from "./generate.ts";
import { ensureSystemPackages } from "./system-packages.ts";

/**
 * Installs what a fleet (`run`) or the tests (`test`) need besides npm packages: system packages,
 * generated code, the console's page, the guest's kernel and init. What is there already takes well
 * under a second, and no network.
 */
export async function setUp(needs: "run" | "test", progress: Progress, signal: AbortSignal): Promise<void> {
  await ensureSystemPackages(needs, progress, signal);
  await progress.step("generated code", () => generate(signal));
  await progress.step("the console's page", () => buildConsolePage());
  signal.throwIfAborted();
  await progress.step("guest kernel and init", async (say) => {
    // Needs the generated code.
    const { buildGuest } = await import("../../guest/build/build.ts");
    await buildGuest(guestFolder(), say);
  });
  signal.throwIfAborted();
}
