/** Everything at once: set-up, a local fleet, a machine before the user's eyes. Stays until Ctrl-C. */
import { main } from "../../tools/lib/main.ts";
import { Progress } from "../../tools/lib/progress.ts";
import { setUp } from "../../tools/setup/setup.ts";
import { fleetOptions } from "../settings/fleet-options.ts";

await main(async (signal) => {
  const options = fleetOptions(process.argv.slice(2), process.env);
  const progress = new Progress();
  await setUp("run", progress, signal);
  // Not earlier: it needs the generated code.
  const { showAround } = await import("../tour/show-around.ts");
  await showAround(options, progress, signal);
  return 0;
});
