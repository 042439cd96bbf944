/** Replaces NUL and lone surrogates, which jsonb rejects and guests and registries may send. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === "string" ? item.replaceAll("\0", "\ufffd").toWellFormed() : item,
  );
}
