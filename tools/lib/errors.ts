/** Something a person can put right: shown without a stack. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** The reason with which the signal of a command aborts. */
export class Interruption extends Error {
  override readonly name = "Interruption";
}

/** Whether an error only means that the work was interrupted. */
export function isInterruption(error: unknown): boolean {
  return error instanceof Interruption || (error instanceof Error && error.name === "AbortError");
}
