import { hasReason, invalid } from "../../../lib/faults/fault.ts";

/** Names of an RPC's fields in the REST API, where they differ. */
export type RestNames = Readonly<Record<string, string>>;

const COMMON: RestNames = { lease_nonce: "fly-machine-lease-nonce" };

/** Returns `INVALID_FIELDS` with the names of the REST API; other faults as they are. */
export function inRestNames(err: unknown, names: RestNames = {}): unknown {
  if (!hasReason(err, "INVALID_FIELDS") || err.violations.length === 0) return err;
  const all = { ...COMMON, ...names };
  const violations = err.violations.map(({ field, description }) => {
    const [first = ""] = /^\w+/.exec(field) ?? [];
    const name = Object.hasOwn(all, first) ? `${all[first]}${field.slice(first.length)}` : field;
    const isHeader = name.includes(".http_options.response_headers[");
    return { field: isHeader ? name.replace("response_headers[", "response.headers[") : name, description };
  });
  return invalid(violations);
}
