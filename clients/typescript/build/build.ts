/** `npm run build` in this folder: makes `dist` from `src`, as ES modules and as CommonJS. */
import { main } from "../../../tools/lib/main.ts";
import { buildPackage } from "./package.ts";

await main(async (signal, progress) => {
  await progress.step("dist", () => buildPackage(signal));
  progress.say(`dist: made in ${progress.elapsed()}`);
});
