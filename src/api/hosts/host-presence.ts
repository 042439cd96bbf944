import type { Connection } from "../../lib/grpc/connections.ts";
import type { HostStatus } from "../machines/machine.ts";
import type { HostEntry } from "./host-table.ts";

/** Hosts announce themselves every 5 s; what other apis heard is in the database every 30 s. */
export const SILENCE_LIMIT_MS = 45_000;

/** Decides whether a host that was not called is reachable. */
export function presenceOf(
  host: HostEntry | undefined,
  connection: Connection,
  nowMs: number,
): Exclude<HostStatus, "ok"> {
  if (!host || connection === "up") return "unknown";
  if (connection === "down") return "unreachable";
  return nowMs - host.lastSeenMs > SILENCE_LIMIT_MS ? "unreachable" : "unknown";
}
