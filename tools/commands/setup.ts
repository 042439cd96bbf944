/** Makes the machine ready for the fleet and for the tests, and starts nothing. */
import { main } from "../lib/main.ts";
import { Progress } from "../lib/progress.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal) => {
  const progress = new Progress();
  await setUp("test", progress, signal);
  progress.say(`Set up in ${progress.elapsed()}.`);
  return 0;
});
