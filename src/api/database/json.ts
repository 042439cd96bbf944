/** Returns JSON that Postgres accepts: NUL and lone surrogates, which jsonb rejects, are replaced. Guests and registries may send both. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === "string" ? item.replaceAll("\0", "\ufffd").toWellFormed() : item,
  );
}
