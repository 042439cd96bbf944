/** Brings the local fleet up in the background and returns when all of it is ready. */
import { main } from "../lib/main.ts";
import { fleetOptions } from "../lib/options.ts";
import { Progress } from "../lib/progress.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal) => {
  const options = fleetOptions(process.argv.slice(2), process.env);
  const progress = new Progress();
  await setUp("run", progress, signal);
  // Not earlier: it needs the generated code.
  const { bringUp } = await import("../../dev/fleet/bring-up.ts");
  await bringUp(options, progress, signal);
  return 0;
});
