/** Installs system packages and nothing else: the part of set-up that needs root. */
import { main } from "../lib/main.ts";
import { Progress } from "../lib/progress.ts";
import { ensureSystemPackages } from "../setup/system-packages.ts";

await main(async (signal) => {
  const progress = new Progress();
  await ensureSystemPackages(process.argv[2] === "run" ? "run" : "test", progress, signal);
  progress.say("System packages: all there.");
  return 0;
});
