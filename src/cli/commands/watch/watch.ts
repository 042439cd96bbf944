import type { HoverCommand } from "../command.ts";
import type { WatchFlags } from "./watch-run.ts";

export function defineWatch(watch: HoverCommand): void {
  watch
    .option("-a, --app <app>", "all machines of this app (default: WINDHOVER_APP)")
    .option("-o, --org", "all machines of your organisation")
    .option("--after <position>", "go on after this position of an earlier watch (--json prints them)")
    .examples(
      "hover watch -a web",
      "hover watch ID OTHER",
      "hover watch --org --json | jq -r '[.machine.id, .machine.state] | @tsv'",
    )
    .runs<[string[]], WatchFlags>(
      async (...given) => (await import("./watch-run.ts")).runWatch(...given),
      ([machines], { app }) => ({ machine: machines.length === 1 ? machines[0] : undefined, app }),
    );
}
