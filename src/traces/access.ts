import { scopeMissing } from "../lib/auth/readable-org.ts";
import type { Restricted } from "../lib/auth/rpc-rules.ts";
import type { Origin } from "./store/summary.ts";

/** Spans that a client may send in one request. */
export const MAX_CLIENT_SPANS_PER_REQUEST = 16;

/**
 * Decides whom the spans of a token speak for: a service's (`telemetry`) are trusted; a user's
 * (`machines:write` or `admin`) are for its own organisation, within narrow bounds.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`
 */
export function writerOf(claims: Restricted): Origin {
  if (claims.scopes.includes("telemetry")) return { kind: "service" };
  if (claims.scopes.includes("machines:write") || claims.scopes.includes("admin")) {
    return { kind: "client", org: claims.org };
  }
  throw scopeMissing("telemetry or machines:write");
}
