/** `npm run down`: stops the local fleet, however it was started, and ends what is left of it. */
import { existsSync } from "node:fs";
import { main } from "../../tools/lib/main.ts";
import { dataFolder } from "../../tools/lib/paths.ts";
import { takeDown } from "../fleet/down.ts";
import { layoutOf } from "../settings/layout.ts";

await main(async (_signal, progress) => {
  const folder = dataFolder();
  const stop = () => progress.step("stopping", (say) => takeDown(layoutOf(folder), say));
  const wasUp = existsSync(folder) && (await stop());
  progress.say(wasUp ? `Windhover is down (${progress.elapsed()}).` : "Windhover was not up.");
});
