import { DIMENSIONS, type Differences, type Dimension } from "../answers/operations.ts";
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
  const top = new Top();
  // Thousands of machines have the same two counts.
  const scores = new Map<number, number>();
  const scoreOf = (within: number, count: number) => {
    const key = within * (all.length + 1) + count;
    const known = scores.get(key);
    if (known !== undefined) return known;
    const score = informationShare(within, count, inside.length, all.length);
    scores.set(key, score);
    return score;
  };
  for (const dimension of DIMENSIONS) {
    const codes = columns.codes[dimension];
    const { values } = columns.texts[dimension];
    const ofAll = countsOf(codes, all, values.length);
    const ofInside = countsOf(codes, inside, values.length);
    for (let code = 0; code < values.length; code++) {
      const [count, within] = [ofAll[code] ?? 0, ofInside[code] ?? 0];
      // A value that all have says nothing.
      const score = count === 0 ? 0 : scoreOf(within, count);
      if (score > 0) top.offer(dimension, values[code] ?? "", score, within, count);
    }
  }
  return {
    inside: inside.length,
    outside,
    attributes: top.best().map(({ dimension, value, score, within, count }) => ({
      ...{ dimension, value, inside: within, outside: count - within },
      inside_share: inside.length === 0 ? 0 : within / inside.length,
      outside_share: outside === 0 ? 0 : (count - within) / outside,
      score,
    })),
  };
}

function countsOf(codes: Uint32Array, indices: Uint32Array, size: number): Uint32Array {
  const counts = new Uint32Array(size);
  for (let at = 0; at < indices.length; at++) {
    const code = codes[indices[at] ?? 0] ?? 0;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

interface Candidate {
  readonly dimension: Dimension;
  readonly value: string;
  readonly score: number;
  readonly within: number;
  readonly count: number;
}

/** Keeps the most telling of many: of two that say as much, what is in the box, then the first. */
class Top {
  #kept: Candidate[] = [];
  #last: Candidate | undefined;

  offer(dimension: Dimension, value: string, score: number, within: number, count: number): void {
    const last = this.#last;
    if (last && (score < last.score || (score === last.score && within <= last.within))) return;
    this.#kept.push({ dimension, value, score, within, count });
    if (this.#kept.length < 2 * MAX_ATTRIBUTES) return;
    this.#kept = this.best();
    this.#last = this.#kept.at(-1);
  }

  best(): Candidate[] {
    return this.#kept.toSorted((a, b) => b.score - a.score || b.within - a.within).slice(0, MAX_ATTRIBUTES);
  }
}
