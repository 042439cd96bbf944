/**
 * Converts a map of a message to an object without a prototype, in which `__proto__` and
 * `constructor` are names like any other.
 */
export function mapFromProto<V>(map: ReadonlyMap<string, V> | undefined): Record<string, V> {
  const record: Record<string, V> = Object.create(null);
  for (const [name, value] of map ?? []) record[name] = value;
  return record;
}

export function mapToProto<V>(record: Readonly<Record<string, V>> | undefined): Map<string, V> {
  return new Map(Object.entries(record ?? {}));
}
