/** An error that a caller of a function gets: `{"error": "...", "code": "..."}`. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterS: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    options: { retryAfterS?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.status = status;
    this.code = code;
    this.retryAfterS = options.retryAfterS;
  }
}

/** Converts any error. */
export function problemOf(err: unknown): Problem {
  if (err instanceof Problem) return err;
  const message = err instanceof Error ? err.message : String(err);
  return new Problem(500, "INTERNAL", message, { cause: err });
}
