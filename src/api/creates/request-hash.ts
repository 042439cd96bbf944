import { createHash } from "node:crypto";
import type { CreateRequest } from "./store/create-state.ts";

/**
 * Hashes a request. The order of maps, the api that resolved the regions and the token of the caller
 * make no difference.
 */
export function requestHash({ regions: _, lease, ...request }: CreateRequest): Buffer {
  return hashOf({ ...request, leaseTtlMs: lease?.ttlMs });
}

/** Hashes plain data. The order of its keys makes no difference. */
export function hashOf(value: unknown): Buffer {
  return createHash("sha256").update(canonical(value)).digest();
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(",")}}`;
}
