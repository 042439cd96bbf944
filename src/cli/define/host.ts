import type { Command } from "commander";
import type { Runner } from "../runner.ts";
import { group, leaf } from "./common.ts";

/** `hover host`. */
export function defineHost(program: Command, runner: Runner): void {
  const host = group(
    program,
    "host",
    ["hosts"],
    "Hosts, their capacity and isolation (needs the scope admin)",
  );
  leaf(host, "list", "Lists hosts: capacity, what is held and allocated, isolation")
    .alias("ls")
    .option("-r, --region <region>", "only this region")
    .action(
      runner.action<[], { region?: string }>(
        () => ({}),
        async () => (await import("../commands/host.ts")).listHosts,
      ),
    );
}
