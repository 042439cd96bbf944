import type { Command } from "commander";
import type { Runner } from "../runner.ts";
import { group, leaf } from "./common.ts";

/** `hover app`. */
export function defineApp(program: Command, runner: Runner): void {
  const app = group(program, "app", ["apps"], "Apps: named groups of machines");

  leaf(app, "create <name>", "Creates an app")
    .option("-o, --org <slug>", "organisation that owns it (default: the token's)")
    .action(
      runner.action<[string], { org?: string }>(
        ([name], { org }) => ({ app: name, org }),
        async () => (await import("../commands/app.ts")).createApp,
      ),
    );

  leaf(app, "list", "Lists the apps of your organisation")
    .alias("ls")
    .option("-q, --quiet", "print names only")
    .action(
      runner.action<[], { quiet?: boolean }>(
        () => ({}),
        async () => (await import("../commands/app.ts")).listApps,
      ),
    );

  leaf(app, "destroy <name>", "Deletes an app")
    .aliases(["rm", "remove"])
    .option("-f, --force", "destroy its machines first, running ones too")
    .action(
      runner.action<[string], { force?: boolean }>(
        ([name]) => ({ app: name }),
        async () => (await import("../commands/app.ts")).destroyApp,
      ),
    );
}
