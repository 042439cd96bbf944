/** The command was not typed as it should have been: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
