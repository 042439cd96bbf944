/** Stops the local fleet, however it was started, and ends whatever is left of it. */
import { existsSync } from "node:fs";
import { takeDown } from "../../dev/fleet/down.ts";
import { layoutOf } from "../../dev/settings/layout.ts";
import { main } from "../lib/main.ts";
import { dataFolder } from "../lib/paths.ts";
import { Progress } from "../lib/progress.ts";

await main(async () => {
  const progress = new Progress();
  const folder = dataFolder();
  const wasUp =
    existsSync(folder) && (await progress.step("stopping", (say) => takeDown(layoutOf(folder), say)));
  progress.say(wasUp ? `Windhover is down (${progress.elapsed()}).` : "Windhover was not up.");
  return 0;
});
