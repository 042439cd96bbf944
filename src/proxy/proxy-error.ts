/** Errors of the proxy itself, with the HTTP status of each. */
export const STATUS_OF = {
  NO_SUCH_APP: 404,
  NO_ROUTES: 503,
  NO_MACHINE: 503,
  AUTOSTART_OFF: 503,
  WAKE_TIMEOUT: 503,
  WAKE_FAILED: 502,
  QUEUE_FULL: 503,
  ALL_AT_HARD_LIMIT: 503,
  UNREACHABLE: 502,
  UPSTREAM_TIMEOUT: 504,
  BAD_REQUEST: 400,
  TOO_LARGE: 413,
  LOOP: 508,
  CLIENT_TIMEOUT: 408,
} as const;

/** What went wrong. Clients branch on it. */
export type ProxyErrorCode = keyof typeof STATUS_OF;

export interface ProxyErrorExtra {
  /** Default: that of the code. */
  readonly status?: number;
  /** When to try again, in seconds; sent as `Retry-After`. Default: 1 for 503, otherwise none. */
  readonly retryAfterS?: number;
  /** Logged, never sent. */
  readonly cause?: unknown;
}

/** An error of the proxy that the client of an app sees. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ProxyErrorCode;
  readonly status: number;
  readonly retryAfterS: number | undefined;

  /** @param message for a person: what happened, and how to repair it */
  constructor(code: ProxyErrorCode, message: string, extra: ProxyErrorExtra = {}) {
    super(message, "cause" in extra ? { cause: extra.cause } : {});
    this.code = code;
    this.status = extra.status ?? STATUS_OF[code];
    this.retryAfterS = extra.retryAfterS ?? (this.status === 503 ? 1 : undefined);
  }
}
