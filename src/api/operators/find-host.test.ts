import { expect, test } from "vitest";
import type { HostEntry } from "../hosts/host-table.ts";
import { findHost } from "./find-host.ts";

function host(number: number, name: string): HostEntry {
  const capacity = { cpus: 1, memoryMb: 1, diskMb: 1 };
  const rest = { identity: "i", region: "ord", zone: "a", address: "a:1", vmm: "", acceleration: "" };
  return { number, name, capacity, ...rest, isolation: "", vmmReason: "", labels: {}, lastSeenMs: 0 };
}

const HOSTS = [host(1, "a"), host(2, "b"), host(3, "b"), host(4, "1")];

test("a host is found by number before name", () => {
  expect(findHost("1", HOSTS).number).toBe(1);
  expect(findHost("a", HOSTS).number).toBe(1);
});

test("an ambiguous name asks for a number, an unknown one is not found, none is required", () => {
  expect(() => findHost("b", HOSTS)).toThrow(
    expect.objectContaining({
      reason: "INVALID_FIELDS",
      violations: [{ field: "host", description: "is the name of several hosts; give a number: 2, 3" }],
    }),
  );
  expect(() => findHost("c", HOSTS)).toThrow(expect.objectContaining({ reason: "HOST_UNKNOWN" }));
  expect(() => findHost("", HOSTS)).toThrow(expect.objectContaining({ reason: "INVALID_FIELDS" }));
});
