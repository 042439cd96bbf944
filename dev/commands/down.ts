/** Stops the local fleet, however it was started, and ends whatever is left of it. */
import { existsSync } from "node:fs";
import { main } from "../../tools/lib/main.ts";
import { dataFolder } from "../../tools/lib/paths.ts";
import { Progress } from "../../tools/lib/progress.ts";
import { takeDown } from "../fleet/down.ts";
import { layoutOf } from "../settings/layout.ts";

await main(async () => {
  const progress = new Progress();
  const folder = dataFolder();
  const wasUp =
    existsSync(folder) && (await progress.step("stopping", (say) => takeDown(layoutOf(folder), say)));
  progress.say(wasUp ? `Windhover is down (${progress.elapsed()}).` : "Windhover was not up.");
  return 0;
});
