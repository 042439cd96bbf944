/** `npm run gen`: makes `src/gen` (`--force`: even if unchanged) and `docs/configuration.md`. */
import { main } from "../lib/main.ts";
import { generate } from "../setup/generate.ts";

await main(async (signal, progress) => {
  const isNew = await progress.step("src/gen", () => generate(signal, process.argv.includes("--force")));
  progress.say(isNew ? `src/gen: made in ${progress.elapsed()}` : "src/gen: up to date");
  // Later than the generated code, which it may come to import.
  const { writeReference } = await import("../docs/configuration.ts");
  progress.say(`docs/configuration.md: ${writeReference() ? "written" : "up to date"}`);
});
