import type { Command } from "commander";
import { whole } from "../parse/values.ts";
import type { Runner } from "../runner.ts";
import { group, leaf } from "./common.ts";

/** `hover host` and `hover reservation`: what operators see of the fleet. */
export function defineHost(program: Command, runner: Runner): void {
  const host = group(
    program,
    "host",
    ["hosts"],
    "Hosts, their capacity and isolation (needs the scope admin)",
  );
  leaf(host, "list", "Lists hosts: capacity, what is held, allocated and running, isolation")
    .alias("ls")
    .option("-r, --region <region>", "only this region")
    .action(
      runner.action<[], { region?: string }>(
        () => ({}),
        async () => (await import("../commands/host.ts")).listHosts,
      ),
    );
  const verb = (name: string, help: string, load: Parameters<typeof runner.action<[string], object>>[1]) =>
    leaf(host, `${name} <host>`, help).action(runner.action<[string], object>(() => ({}), load));
  verb("show", "Shows all that is known of a host, by number or name", async () => {
    return (await import("../commands/host.ts")).showHost;
  });
  verb("cordon", "Keeps new machines away from a host; those it has start and stop as ever", async () => {
    return (await import("../commands/host.ts")).cordonHost;
  });
  verb("uncordon", "Lets a host take and start machines again", async () => {
    return (await import("../commands/host.ts")).uncordonHost;
  });
  verb("drain", "Empties a host: no new machines, no starts, and those that run are stopped", async () => {
    return (await import("../commands/host-drain.ts")).drainHost;
  });

  const reservation = group(
    program,
    "reservation",
    ["reservations"],
    "Reservations: what auctions hold now (needs the scope admin)",
  );
  leaf(reservation, "list", "Lists the reservations that live: what they hold, where, until when")
    .alias("ls")
    .option("-r, --region <region>", "region (default: that of the api)")
    .option("-n, --limit <n>", "at most so many, 1 to 1000 (default: 100)", whole(1, 1_000))
    .action(
      runner.action<[], { region?: string; limit?: number }>(
        () => ({}),
        async () => (await import("../commands/reservation.ts")).listReservations,
      ),
    );
}
