import { type Host, HostsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import { Scheduling } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { table } from "../render/table.ts";
import type { Handler } from "../runner.ts";
import { HOST_COLUMNS, hostDetails, hostNotes, hostRow } from "../show/host-text.ts";
import { hostJson } from "../show/json.ts";
import { schedulingName } from "../show/scheduling.ts";

/** `hover host list`. */
export const listHosts: Handler<[], { region?: string }> = async (session, _args, flags) => {
  const client = await session.client(HostsServiceClient);
  const { hosts } = await session.call(client, client.listHosts, { region: flags.region ?? "" });
  if (session.json) {
    session.printJson(hosts.map(hostJson));
    return undefined;
  }
  if (hosts.length === 0) {
    session.say("No host has ever been attached.\nNext: hover doctor");
    return undefined;
  }
  const { width, paint } = session.terminal;
  const now = Date.now();
  session.printLines(
    table(
      HOST_COLUMNS,
      hosts.map((host) => hostRow(host, now)),
      width,
    ),
  );
  const notes = hostNotes(hosts, now);
  if (notes.length > 0) session.printLines(["", ...notes.map((note) => paint.dim(note))]);
  if (hosts.some((host) => host.isolation === "development")) {
    session.say(
      "Hosts marked `development` run machines in emulation: nothing keeps those apart. Never run strangers' code there.",
    );
  }
  return undefined;
};

/** `hover host show`. */
export const showHost: Handler<[string], object> = async (session, [name]) => {
  const client = await session.client(HostsServiceClient);
  const { hosts } = await session.call(client, client.listHosts, { region: "" });
  const host = pick(name, hosts);
  if (session.json) session.printJson(hostJson(host));
  else session.printLines(hostDetails(host, Date.now()));
  return undefined;
};

/** `hover host cordon` and `hover host uncordon`. */
export const cordonHost: Handler<[string], object> = (session, [host]) =>
  setScheduling(session, host, Scheduling.CORDONED);
export const uncordonHost: Handler<[string], object> = (session, [host]) =>
  setScheduling(session, host, Scheduling.OPEN);

async function setScheduling(
  session: Parameters<typeof cordonHost>[0],
  host: string,
  scheduling: Scheduling,
): Promise<undefined> {
  const client = await session.client(HostsServiceClient);
  const answer = await session.call(client, client.setHostScheduling, { host, scheduling });
  const [now, before] = [schedulingName(scheduling), schedulingName(answer.previous)];
  if (session.json) {
    session.printJson({ host_number: answer.hostNumber, scheduling: now, previous: before });
    return;
  }
  session.printLines([
    before === now ? `${host} was ${now} already` : `${host} is ${now} (it was ${before})`,
  ]);
  if (scheduling === Scheduling.CORDONED)
    session.say(`Machines it has start and stop as ever.\nNext: hover host drain ${host}`);
}

function pick(name: string, hosts: readonly Host[]): Host {
  const byNumber = hosts.filter((host) => String(host.number) === name);
  const [found, ...others] = byNumber.length > 0 ? byNumber : hosts.filter((host) => host.name === name);
  if (found && others.length === 0) return found;
  const numbers = [found, ...others].flatMap((host) => (host ? [host.number] : [])).join(", ");
  const message = found
    ? `several hosts are called ${name}; give a number: ${numbers}`
    : `there is no host ${name}`;
  throw new Fault("NOT_FOUND", "HOST_UNKNOWN", message, { host: name });
}
