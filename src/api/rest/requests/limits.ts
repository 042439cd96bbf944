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
