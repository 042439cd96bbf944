import { Fault, invalid } from "../../lib/faults/fault.ts";
import type { HostEntry } from "../hosts/host-table.ts";

/** Finds a host by number, or by a name that only one host has. */
export function findHost(text: string, hosts: readonly HostEntry[]): HostEntry {
  if (text === "") throw invalid([{ field: "host", description: "is required: a number or a name" }]);
  const byNumber = /^\d{1,7}$/.test(text) ? hosts.filter((host) => host.number === Number(text)) : [];
  const found = byNumber.length > 0 ? byNumber : hosts.filter((host) => host.name === text);
  const [only, ...others] = found;
  if (only === undefined)
    throw new Fault("NOT_FOUND", "HOST_UNKNOWN", `there is no host ${text}`, { host: text });
  if (others.length === 0) return only;
  const numbers = found.map((host) => host.number).join(", ");
  const description = `is the name of several hosts; give a number: ${numbers}`;
  throw invalid([{ field: "host", description }]);
}
