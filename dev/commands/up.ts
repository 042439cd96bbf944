/** `npm run up`: brings the local fleet up in the background. */
import { main } from "../../tools/lib/main.ts";
import { setUp } from "../../tools/setup/setup.ts";
import { fleetOptions } from "../settings/fleet-options.ts";
import { pushSample } from "../tour/sample-image.ts";

await main(async (signal, progress) => {
  const options = fleetOptions(process.argv.slice(2), process.env);
  await setUp("run", progress, signal);
  // Needs the generated code.
  const { bringUp } = await import("../fleet/bring-up.ts");
  const { addresses } = await bringUp(options, progress, signal);
  const image = await progress.step("sample image", () => pushSample(addresses.registry));
  progress.say(`  Sample    ${image.reference}`);
});
