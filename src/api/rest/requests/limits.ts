import type { ConnectionLimits } from "../../../lib/limits/connection-limiter.ts";

const KIB = 1_024;

/** Bounds of connections and requests. */
export const REST_LIMITS = {
  bodyBytes: 1_024 * KIB,
  /** Bytes of an organisation's bodies whose calls have not begun. */
  unfinishedBytes: 4 * 1_024 * KIB,
  headerBytes: 16 * KIB,
  /** Unanswered requests of a connection. */
  requestsPerConnection: 16,
  /** Time for the headers, and for the whole request. */
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 65_000,
  parameterBytes: 2 * KIB,
} as const;

/** Timeouts of calls, in milliseconds, by what they do. */
export const TIMEOUT_MS = {
  read: 30_000,
  /** A stop may take 300 s. */
  change: 360_000,
  create: 960_000,
  none: Number.POSITIVE_INFINITY,
} as const;

/**
 * Returns the limits of connections over HTTP/1.1, which takes one for each request at a time: a client
 * opens hundreds at once, before any has shown its token.
 *
 * @param limits those of the gRPC port
 */
export function httpConnections({ total, perAddress }: ConnectionLimits): ConnectionLimits {
  return { total, perAddress: perAddress * 4, newTotal: total >> 1, newPerAddress: perAddress * 2 };
}
