import type { HostStatus } from "../machines/machine.ts";
import type { HostEntry } from "./host-table.ts";

/** How it stands with the connection to a host, as far as is known without asking. */
export type Connection = "up" | "down" | "unsure";

/**
 * A host without a connection of which nothing was heard for so long, in milliseconds, is away. It announces itself every 5 s, but what other apis heard
 * is in the record only every 30 s, and is read from there every few seconds.
 */
export const SILENT_MS = 45_000;

/**
 * What is known of a machine's host where it was not asked. Silence alone says nothing while there is a connection: a host need not announce itself to be
 * reachable, and a dead one's connection does not outlive its keepalive.
 */
export function presenceOf(
  host: HostEntry | undefined,
  connection: Connection,
  nowMs: number,
): Exclude<HostStatus, "ok"> {
  if (!host || connection === "up") return "unknown";
  if (connection === "down") return "unreachable";
  return nowMs - host.lastSeenMs > SILENT_MS ? "unreachable" : "unknown";
}
