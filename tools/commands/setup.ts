/** `npm run setup`: makes the machine ready for the fleet and for the tests. */
import { main } from "../lib/main.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal, progress) => {
  await setUp("test", progress, signal);
  progress.say(`Set up in ${progress.elapsed()}.`);
});
