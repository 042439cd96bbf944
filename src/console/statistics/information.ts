/**
 * Mutual information between two yes-or-no questions about the same things, as a share of the entropy
 * of the second: 0 when one says nothing about the other, 1 when it answers it.
 *
 * @param both things with yes to both
 */
export function informationShare(both: number, first: number, second: number, all: number): number {
  const entropy = term(second, all) + term(all - second, all);
  if (entropy === 0) return 0;
  const cells = [
    [both, first, second],
    [first - both, first, all - second],
    [second - both, all - first, second],
    [all - first - second + both, all - first, all - second],
  ] as const;
  const information = cells.reduce(
    (sum, [cell, row, column]) =>
      cell <= 0 ? sum : sum + (cell / all) * Math.log2((cell * all) / (row * column)),
    0,
  );
  return Math.min(1, Math.max(0, information / entropy));
}

function term(count: number, all: number): number {
  return count <= 0 ? 0 : -(count / all) * Math.log2(count / all);
}
