/** Bounds of work that is done for a caller. */
export interface CallLimits {
  /** Aborts when the caller has gone or its deadline has passed. */
  readonly signal?: AbortSignal;
  /** Until the caller's deadline. Absent: no deadline. */
  readonly remainingMs?: number;
}

export interface Caller extends CallLimits {
  /** Organisation of the verified token; empty for services. */
  readonly org: string;
  /** Subject of the verified token. */
  readonly subject: string;
}
