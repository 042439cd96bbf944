import { type Host, HostsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import { type Column, table } from "../render/table.ts";
import { ago, megabytes } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { hostJson } from "../show/json.ts";

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
  session.printLines(table(COLUMNS, hosts.map(row), width));
  const notes = hosts.flatMap(notesOf);
  if (notes.length > 0) session.printLines(["", ...notes.map((note) => paint.dim(note))]);
  if (hosts.some((host) => host.isolation === "development")) {
    session.say(
      "Hosts marked `development` run machines in emulation: nothing keeps those apart. Never run strangers' code there.",
    );
  }
  return undefined;
};

const COLUMNS: readonly Column[] = [
  { title: "HOST", min: 8 },
  { title: "REGION", dropRank: 4 },
  { title: "ZONE", min: 5, dropRank: 3 },
  { title: "ATTACHED", min: 8 },
  { title: "CPUS", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "DISK", align: "right", dropRank: 2 },
  { title: "HELD" },
  { title: "MACHINES", min: 9 },
  { title: "VMM", min: 8, dropRank: 1 },
  { title: "ISOLATION" },
];

function row(host: Host): string[] {
  const used = (pick: (c: NonNullable<Host["capacity"]>) => number, show: (n: number) => string) =>
    `${host.allocated ? show(pick(host.allocated)) : "?"} of ${host.capacity ? show(pick(host.capacity)) : "?"}`;
  return [
    host.name,
    host.region,
    host.zone,
    host.attached ? "yes" : `no, seen ${ago(host.lastSeenTime, Date.now())}`,
    used((c) => c.cpus, String),
    used((c) => Number(c.memoryMb), megabytes),
    used((c) => Number(c.diskMb), megabytes),
    heldText(host),
    machinesText(host),
    `${host.vmm}${host.acceleration ? ` ${host.acceleration}` : ""}`,
    host.isolation,
  ];
}

function heldText({ held }: Host): string {
  if (!held || (held.cpus === 0 && held.memoryMb === 0n && held.diskMb === 0n)) return "-";
  return `${held.cpus} CPU${held.cpus === 1 ? "" : "s"}, ${megabytes(Number(held.memoryMb))}`;
}

function machinesText({ machines }: Host): string {
  const parts = Object.entries(machines).filter(([, count]) => count > 0);
  return parts.length === 0 ? "-" : parts.map(([state, count]) => `${count} ${state}`).join(", ");
}

function notesOf(host: Host): string[] {
  const notes = [host.statusMessage, host.vmmReason ? `VMM: ${host.vmmReason}` : ""];
  return notes.filter((note) => note !== "").map((note) => `${host.name}: ${note}`);
}
