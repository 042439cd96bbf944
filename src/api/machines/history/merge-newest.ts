/**
 * Merges two lists that are sorted by id, newest first, each id once.
 *
 * @param before id that the items are older than; empty: any
 * @param limit of both lists and of the answer
 */
export function mergeNewest<T extends { readonly id: string }>(
  preferred: readonly T[],
  others: readonly T[],
  before: string,
  limit: number,
): readonly T[] {
  const byId = new Map([...others, ...preferred].map((item) => [item.id, item]));
  return [...byId.values()]
    .filter(({ id }) => before === "" || id < before)
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, limit);
}
