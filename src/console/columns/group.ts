/** Indices by the number of their group, each group in the order in which they were given. */
export class Groups {
  readonly #starts: Uint32Array;
  readonly #grouped: Uint32Array;

  /** @param groupOf number of an index's group, below `count`; negative: none */
  constructor(indices: Uint32Array, count: number, groupOf: (index: number) => number) {
    const starts = new Uint32Array(count + 1);
    const groups = new Int32Array(indices.length);
    for (let at = 0; at < indices.length; at++) {
      const group = groupOf(indices[at] ?? 0);
      groups[at] = group < count ? group : -1;
      if (group >= 0 && group < count) starts[group + 1] = (starts[group + 1] ?? 0) + 1;
    }
    for (let group = 0; group < count; group++)
      starts[group + 1] = (starts[group + 1] ?? 0) + (starts[group] ?? 0);
    const next = starts.slice();
    this.#grouped = new Uint32Array(starts[count] ?? 0);
    for (let at = 0; at < indices.length; at++) {
      const group = groups[at] ?? -1;
      if (group < 0) continue;
      const to = next[group] ?? 0;
      this.#grouped[to] = indices[at] ?? 0;
      next[group] = to + 1;
    }
    this.#starts = starts;
  }

  of(group: number): Uint32Array {
    return this.#grouped.subarray(this.#starts[group], this.#starts[group + 1]);
  }

  sizeOf(group: number): number {
    return (this.#starts[group + 1] ?? 0) - (this.#starts[group] ?? 0);
  }
}
