const LIST = /^(\w{1,64})\[\d{0,4}\]$/;
const METADATA = /^metadata\[(.+)\]$/s;

type Query = Readonly<Record<string, unknown>>;

/**
 * Converts a query of generated clients to the documented form. PHP writes lists as `state[]=a&state[1]=b`, and clients that are
 * generated write objects as `metadata[role]=web`.
 */
export function plainQuery(query: Query): Query {
  const entries = Object.entries(query);
  if (!entries.some(([name]) => name.endsWith("]"))) return query;
  const plain = new Map<string, unknown>();
  for (const [name, value] of entries) {
    const key = METADATA.exec(name)?.[1];
    const known = key === undefined ? (LIST.exec(name)?.[1] ?? name) : `metadata.${key}`;
    plain.set(known, plain.has(known) ? [plain.get(known), value].flat() : value);
  }
  return Object.fromEntries(plain);
}
