/** `npm run gen`: makes `src/gen` (`--force`: even if unchanged), `docs/configuration.md` and the dashboards of `otel/grafana`. */
import { main } from "../lib/main.ts";
import { generate } from "../setup/generate.ts";

await main(async (signal, progress) => {
  const isNew = await progress.step("src/gen", () => generate(signal, process.argv.includes("--force")));
  progress.say(isNew ? `src/gen: made in ${progress.elapsed()}` : "src/gen: up to date");
  // Later than the generated code, which it may come to import.
  const { writeReference } = await import("../docs/configuration.ts");
  progress.say(`docs/configuration.md: ${writeReference() ? "written" : "up to date"}`);
  const { writeDashboards } = await import("../../otel/grafana/generate.ts");
  const dashboards = writeDashboards();
  progress.say(`dashboards: ${dashboards.length > 0 ? `written: ${dashboards.join(", ")}` : "up to date"}`);
});
