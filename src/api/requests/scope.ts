/** What bounds a piece of work done for a caller. */
export interface Scope {
  /** Aborts when the caller has gone or the time is over. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the caller's deadline. Absent: it has none. */
  readonly remainingMs?: number;
}

/** Who asks, and what bounds the answer. */
export interface Caller extends Scope {
  /** The organisation of the verified token; empty for the services among themselves. */
  readonly org: string;
}
