/** `npm start`: sets up, runs a local fleet with a machine on it, until Ctrl-C. */
import { main } from "../../tools/lib/main.ts";
import { setUp } from "../../tools/setup/setup.ts";
import { fleetOptions } from "../settings/fleet-options.ts";

await main(async (signal, progress) => {
  const options = fleetOptions(process.argv.slice(2), process.env);
  await setUp("run", progress, signal);
  // Needs the generated code.
  const { showAround } = await import("../tour/show-around.ts");
  await showAround(options, progress, signal);
});
