import { DIMENSIONS, type Differences } from "../answers/operations.ts";
import type { Columns } from "../columns/columns.ts";
import { informationShare } from "../statistics/information.ts";

const MAX_ATTRIBUTES = 50;

/**
 * Attributes of operations by how they differ between those in a box and the others.
 *
 * @param all with those in the box
 */
export function differences(columns: Columns, all: Uint32Array, inside: Uint32Array): Differences {
  const outside = all.length - inside.length;
  const attributes = DIMENSIONS.flatMap((dimension) => {
    const codes = columns.codes[dimension];
    const { values } = columns.texts[dimension];
    const ofAll = countsOf(codes, all, values.length);
    const ofInside = countsOf(codes, inside, values.length);
    // A value that all have says nothing.
    return values.flatMap((value, code) => {
      const [count, within] = [ofAll[code] ?? 0, ofInside[code] ?? 0];
      const score = count === 0 ? 0 : informationShare(within, count, inside.length, all.length);
      if (score === 0) return [];
      return {
        ...{ dimension, value, inside: within, outside: count - within },
        inside_share: inside.length === 0 ? 0 : within / inside.length,
        outside_share: outside === 0 ? 0 : (count - within) / outside,
        score,
      };
    });
  });
  return {
    inside: inside.length,
    outside,
    // Of two values, what is in the box says more than what is not.
    attributes: attributes
      .toSorted((a, b) => b.score - a.score || b.inside_share - a.inside_share)
      .slice(0, MAX_ATTRIBUTES),
  };
}

function countsOf(codes: Uint32Array, indices: Uint32Array, size: number): Uint32Array {
  const counts = new Uint32Array(size);
  for (const i of indices) {
    const code = codes[i] ?? 0;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}
