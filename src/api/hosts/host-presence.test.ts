import { expect, test } from "vitest";
import type { Connection } from "../../lib/grpc/connections.ts";
import { presenceOf, SILENCE_LIMIT_MS } from "./host-presence.ts";
import type { HostEntry } from "./host-table.ts";

const NOW = 1_000_000;
// Of an entry only this is looked at.
const seenAgo = (ms: number) => ({ lastSeenMs: NOW - ms }) as HostEntry;

test.each<[string, HostEntry | undefined, Connection, string]>([
  ["the connection is up", seenAgo(0), "up", "unknown"],
  [
    "the connection is up, and the host does not announce itself here",
    seenAgo(10 * SILENCE_LIMIT_MS),
    "up",
    "unknown",
  ],
  ["the connection has failed", seenAgo(0), "down", "unreachable"],
  [
    "there is no connection yet, and the host was heard of lately",
    seenAgo(SILENCE_LIMIT_MS),
    "unsure",
    "unknown",
  ],
  ["there is no connection, and no word", seenAgo(SILENCE_LIMIT_MS + 1), "unsure", "unreachable"],
  ["no such host is known here yet", undefined, "unsure", "unknown"],
])("of a host of which %s", (_what, host, connection, expected) => {
  expect(presenceOf(host, connection, NOW)).toBe(expected);
});
