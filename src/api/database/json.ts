/**
 * A value as JSON that Postgres takes: its jsonb has no NUL character and no lone surrogates, and hosts pass on text that guests and
 * registries have chosen.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === "string" ? item.replaceAll("\0", "\ufffd").toWellFormed() : item,
  );
}
