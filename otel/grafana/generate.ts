/** Makes `otel/grafana/dashboards/*.json`. Run by itself: checks them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../src/lib/stores/durable-file.ts";
import { main, UserError } from "../../tools/lib/main.ts";
import { fleet } from "./fleet.ts";
import { hosts } from "./hosts.ts";
import { proxy } from "./proxy.ts";
import { starts } from "./starts.ts";
import { tracing } from "./tracing.ts";

const FOLDER = join(import.meta.dirname, "dashboards");
const DASHBOARDS = { fleet, starts, proxy, hosts, tracing };

/** Writes the dashboards that have changed, and returns their names. */
export function writeDashboards(): readonly string[] {
  const changed = stale();
  for (const [name, text] of changed) replaceFileSync(fileOf(name), text, 0o644);
  return changed.map(([name]) => name);
}

/** Dashboards that are not what their files say, with what these should say. */
function stale(): readonly (readonly [name: string, text: string])[] {
  return Object.entries(DASHBOARDS)
    .map(([name, builder]) => [name, `${JSON.stringify(builder.build(), null, 2)}\n`] as const)
    .filter(([name, text]) => !existsSync(fileOf(name)) || readFileSync(fileOf(name), "utf8") !== text);
}

function fileOf(name: string): string {
  return join(FOLDER, `${name}.json`);
}

if (import.meta.main)
  await main(async () => {
    const names = stale().map(([name]) => name);
    if (names.length > 0)
      throw new UserError(
        `otel/grafana/dashboards is stale (${names.join(", ")}): npm run gen writes it anew.`,
      );
    return 0;
  });
