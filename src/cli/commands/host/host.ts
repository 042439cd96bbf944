import { type Host, HostsServiceClient } from "../../../gen/windhover/admin/v1/hosts.ts";
import { Scheduling } from "../../../gen/windhover/scheduler/v1/host.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { toJson } from "../../render/json.ts";
import { schedulingName } from "../../render/names.ts";
import { table } from "../../render/table.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { allHosts } from "./all-hosts.ts";
import { drainHost } from "./drain.ts";
import { HOST_COLUMNS, hostDetails, hostNotes, hostRow } from "./host-text.ts";

export function defineHost(host: HoverCommand): void {
  host
    .leaf("list", "Lists hosts: capacity, holds, allocations, running machines, isolation")
    .alias("ls")
    .option("-r, --region <region>", "only this region")
    .examples("hover host list -r ord")
    .runs(listHosts);
  host
    .leaf("show <host>", "Shows everything about a host, by number or name")
    .examples("hover host show ord-1")
    .runs(showHost);
  host
    .leaf("cordon <host>", "Keeps new machines off a host; those it has start and stop as before")
    .examples("hover host cordon ord-1")
    .runs((session, args: [string]) => setScheduling(session, args, Scheduling.CORDONED));
  host
    .leaf("uncordon <host>", "Lets a host take and start machines again")
    .examples("hover host uncordon ord-1")
    .runs((session, args: [string]) => setScheduling(session, args, Scheduling.OPEN));
  host
    .leaf("drain <host>", "Empties a host: stops its machines, takes and starts no more")
    .examples("hover host drain ord-1")
    .runs(drainHost);
}

async function listHosts(session: Session, _args: [], flags: { region?: string }): Promise<void> {
  const hosts = await allHosts(session, flags.region);
  if (session.json) return session.printJson(hosts.map((host) => toJson(host)));
  if (hosts.length === 0) {
    session.say("No host has ever been attached.");
    return session.suggest("hover doctor");
  }
  const { width, paint } = session.terminal;
  const now = Date.now();
  const rows = hosts.map((host) => hostRow(host, now));
  session.printLines(table(HOST_COLUMNS, rows, width));
  const notes = hostNotes(hosts, now);
  if (notes.length > 0) session.printLines(["", ...notes.map((note) => paint.dim(note))]);
  if (hosts.some((host) => host.isolation === "development"))
    session.say(
      "Hosts marked `development` emulate their machines, which isolates nobody, or confine them less than they should: run trusted images only.",
    );
}

async function showHost(session: Session, [name]: [string]): Promise<void> {
  const host = pick(name, await allHosts(session));
  if (session.json) session.printJson(toJson(host));
  else session.printLines(hostDetails(host, Date.now()));
}

async function setScheduling(session: Session, [host]: [string], scheduling: Scheduling): Promise<void> {
  const client = await session.client(HostsServiceClient);
  const answer = await session.call(client, client.setHostScheduling, { host, scheduling });
  const [now, before] = [schedulingName(scheduling), schedulingName(answer.previous)];
  if (session.json)
    return session.printJson({ host_number: answer.hostNumber, scheduling: now, previous: before });
  session.printLines([
    before === now ? `${host} was ${now} already` : `${host} is ${now} (it was ${before})`,
  ]);
  if (scheduling !== Scheduling.CORDONED) return;
  session.say("Machines that it has start and stop as before.");
  session.suggest(`hover host drain ${host}`);
}

function pick(name: string, hosts: readonly Host[]): Host {
  const byNumber = hosts.filter((host) => String(host.number) === name);
  const found = byNumber.length > 0 ? byNumber : hosts.filter((host) => host.name === name);
  const [first] = found;
  if (first && found.length === 1) return first;
  const numbers = found.map((host) => host.number).join(", ");
  const message = first
    ? `several hosts are called ${name}; give a number: ${numbers}`
    : `there is no host ${name}`;
  throw new Fault("NOT_FOUND", "HOST_UNKNOWN", message, { host: name });
}
