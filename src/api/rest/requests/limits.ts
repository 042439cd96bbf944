const KIB = 1_024;

/** What clients may take of the server, before and after they have shown a token. */
export const REST_LIMITS = {
  bodyBytes: 1_024 * KIB,
  /** Of bodies that an organisation has begun to send, and whose calls have not begun. */
  unfinishedBytes: 4 * 1_024 * KIB,
  headerBytes: 16 * KIB,
  /** Requests that a connection has sent and that are not answered yet. */
  requestsPerConnection: 16,
  /** For the headers, and for the whole request. */
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 65_000,
  parameterBytes: 2 * KIB,
} as const;

/** Until a call ends, by what it does. */
export const TIMEOUT_MS = {
  read: 30_000,
  /** A stop may take 300 s. */
  change: 360_000,
  create: 960_000,
  none: Number.POSITIVE_INFINITY,
} as const;
