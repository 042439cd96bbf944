/** Installs system packages: the part of set-up that needs root. */
import { main } from "../lib/main.ts";
import { ensureSystemPackages } from "../setup/system-packages.ts";

await main(async (signal, progress) => {
  await ensureSystemPackages(process.argv[2] === "run" ? "run" : "test", progress, signal);
  progress.say("System packages are installed.");
});
