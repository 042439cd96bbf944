import type { Host } from "../../../gen/windhover/admin/v1/hosts.ts";
import { Scheduling } from "../../../gen/windhover/scheduler/v1/host.ts";
import { schedulingName } from "../../render/names.ts";
import type { Column } from "../../render/table.ts";
import { ago, count, megabytes } from "../../render/time.ts";

/** The columns of `hover host list`. */
export const HOST_COLUMNS: readonly Column[] = [
  { title: "NO", align: "right" },
  { title: "HOST", min: 8 },
  { title: "REGION", dropRank: 2 },
  { title: "ZONE", min: 5, dropRank: 7 },
  { title: "ATTACHED", min: 8 },
  { title: "SCHEDULING", min: 8 },
  { title: "CPUS", min: 7, align: "right" },
  { title: "MEMORY", min: 10, align: "right" },
  { title: "DISK", align: "right", dropRank: 6 },
  { title: "HELD", dropRank: 4 },
  { title: "RUNNING", dropRank: 3 },
  { title: "WARM", align: "right", dropRank: 1 },
  { title: "MACHINES", min: 9 },
  { title: "ISOLATION", min: 8 },
  { title: "VMM", min: 8, dropRank: 5 },
];

/** A row of `hover host list`. */
export function hostRow(host: Host, nowMs: number): string[] {
  return [
    String(host.number),
    host.name,
    host.region,
    host.zone,
    attachedText(host, nowMs),
    schedulingText(host),
    used(host, (c) => c.cpus, String),
    used(host, (c) => Number(c.memoryMb), megabytes),
    used(host, (c) => Number(c.diskMb), megabytes),
    amountText(host.held),
    amountText(host.running),
    host.attached ? String(host.warmVms) : "?",
    machinesText(host),
    host.isolation,
    vmmText(host),
  ];
}

/** Everything about one host, a line each. */
export function hostDetails(host: Host, nowMs: number): string[] {
  const labels = [...host.labels].map(([key, value]) => `${key}=${value}`);
  const inBackoff = host.backoffUntilTime ? ago(host.backoffUntilTime, nowMs) : "";
  const lines: readonly (readonly [string, string])[] = [
    ["number", String(host.number)],
    ["region", `${host.region}, zone ${host.zone}`],
    ["address", host.address],
    ["attached", attachedText(host, nowMs)],
    ["scheduling", host.attached ? schedulingText(host) : "not known while it is not attached"],
    ["backoff", inBackoff === "" ? "" : `left out of auctions for refusing awards; ends ${inBackoff}`],
    ["labels", labels.length === 0 ? "none" : labels.join(", ")],
    ["capacity", amountText(host.capacity)],
    ["allocated", amountText(host.allocated)],
    ["running", amountText(host.running)],
    ["held", amountText(host.held)],
    ["disk free", diskText(host)],
    ["warm", host.attached ? `${host.warmVms} VMs wait` : "?"],
    ["machines", machinesText(host)],
    ["vmm", `${vmmText(host)}${host.vmmReason ? ` (${host.vmmReason})` : ""}`],
    ["isolation", host.isolation],
    ["note", host.statusMessage],
  ];
  return [host.name, ...lines.flatMap(([key, text]) => (text === "" ? [] : [`  ${key.padEnd(12)} ${text}`]))];
}

/** Remarks on hosts. One that holds for several hosts is shown once. */
export function hostNotes(hosts: readonly Host[], nowMs: number): string[] {
  const named = new Map<string, string[]>();
  for (const host of hosts) {
    for (const note of notesOf(host, nowMs)) named.set(note, [...(named.get(note) ?? []), host.name]);
  }
  return [...named].map(([note, names]) => `${someOf(names)}: ${note}`);
}

const NAMES_SHOWN = 4;

function someOf(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  const shown = names.slice(0, NAMES_SHOWN).join(", ");
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function notesOf(host: Host, nowMs: number): string[] {
  const notes = [
    host.statusMessage,
    host.backoffUntilTime ? `in backoff for refusing awards; ends ${ago(host.backoffUntilTime, nowMs)}` : "",
    host.vmmReason ? `VMM: ${host.vmmReason}` : "",
  ];
  return notes.filter((note) => note !== "");
}

function attachedText(host: Host, nowMs: number): string {
  if (host.attached)
    return `for ${ago(host.attachTime, nowMs)}`.replace(" ago", "").replace("for now", "just now");
  return `no, seen ${ago(host.lastSeenTime, nowMs)}`;
}

function schedulingText(host: Host): string {
  if (!host.attached) return "-";
  if (isClosed(host)) return schedulingName(host.scheduling);
  if (isDiskShort(host)) return "disk full";
  return host.backoffUntilTime ? "backoff" : schedulingName(host.scheduling);
}

function used(host: Host, pick: (c: NonNullable<Host["capacity"]>) => number, show: (n: number) => string) {
  const [all, taken] = [host.capacity, host.allocated];
  return `${taken ? show(pick(taken)) : "?"} of ${all ? show(pick(all)) : "?"}`;
}

function amountText(amount: Host["capacity"]): string {
  if (!amount) return "?";
  const { cpus, memoryMb, diskMb } = amount;
  const parts = [
    ...(cpus === 0 ? [] : [count(cpus, "CPU")]),
    ...(memoryMb === 0n ? [] : [megabytes(Number(memoryMb))]),
    ...(diskMb === 0n ? [] : [`${megabytes(Number(diskMb))} disk`]),
  ];
  return parts.join(", ") || "-";
}

/** Free space of the host's state, unlike the ledger's disk, which the host promises. */
function diskText(host: Host): string {
  const { diskFreeMb, diskReserveMb } = host;
  if (diskFreeMb === undefined) return "";
  const kept = `${megabytes(Number(diskReserveMb ?? 0n))} kept for the machines there`;
  const full = "; it takes no new machines: free space in HOSTD_DIR's file system";
  return `${megabytes(Number(diskFreeMb))}, ${kept}${isDiskShort(host) ? full : ""}`;
}

function machinesText({ machines }: Host): string {
  const parts = [...machines].filter(([, count]) => count > 0);
  return parts.length === 0 ? "-" : parts.map(([state, count]) => `${count} ${state}`).join(", ");
}

function vmmText({ vmm, acceleration }: Host): string {
  return `${vmm}${acceleration ? ` ${acceleration}` : ""}`;
}

/** Whether it takes no new machines because the disk of its state is almost full. */
export function isDiskShort({ diskFreeMb, diskReserveMb }: Host): boolean {
  return diskFreeMb !== undefined && diskReserveMb !== undefined && diskFreeMb < diskReserveMb;
}

/** Whether an operator keeps machines off it. */
export function isClosed({ scheduling }: Host): boolean {
  return scheduling > Scheduling.OPEN;
}
