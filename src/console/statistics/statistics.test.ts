import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { highQuantile } from "./high-quantile.ts";
import { holm } from "./holm.ts";
import { informationShare } from "./information.ts";
import { normalTail } from "./normal.ts";
import { medianOf, percentilesOf, percentilesOfUnsorted, rankOf } from "./percentiles.ts";
import { quickSelect } from "./quick-select.ts";
import { rankTest } from "./rank-test.ts";
import { shiftOf } from "./shift.ts";

const ascending = (values: readonly number[]) => values.toSorted((a, b) => a - b);

describe("percentiles", () => {
  test("are the smallest value that so many have at most", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 300 }), (values) => {
        const sorted = ascending(values);
        const found = percentilesOf(sorted.length, (rank) => sorted[rank] ?? 0);
        const naive = (percent: number) =>
          sorted.find(
            (value) => 100 * values.filter((each) => each <= value).length >= percent * values.length,
          );
        expect(found).toEqual({
          ...{ count: values.length, p50: naive(50), p90: naive(90), p99: naive(99), max: sorted.at(-1) },
        });
      }),
    );
  });

  test("of values in any order are the same", () => {
    const values = Uint32Array.from([5, 1, 4, 2, 3]);
    expect(percentilesOfUnsorted(values, Uint32Array.of(0, 1, 2, 3, 4))).toEqual({
      count: 5,
      p50: 3,
      p90: 5,
      p99: 5,
      max: 5,
    });
  });

  test("need no sorting: a selection finds what sorting would", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { minLength: 1, maxLength: 200 }), fc.nat(199), (values, at) => {
        const rank = at % values.length;
        expect(quickSelect(Uint32Array.from(values), rank)).toBe(ascending(values)[rank]);
      }),
    );
  });

  test("of nothing are zero, and so is the median", () => {
    expect([percentilesOf(0, () => 7).max, medianOf([]), medianOf([4, 1, 3, 2])]).toEqual([0, 0, 2.5]);
  });
});

describe("the tail of the normal distribution", () => {
  // scipy.stats.norm.sf of SciPy 1.17.1.
  test.each([
    [0, 0.5],
    [0.5, 0.3085375387259869],
    [1, 0.15865525393145707],
    [1.959963984540054, 0.025],
    [3, 0.0013498980316300933],
    [5, 2.866515718791933e-7],
    [8, 6.22096057427174e-16],
  ])("above %d is %d", (z, expected) => {
    expect(Math.abs(normalTail(z) / expected - 1)).toBeLessThan(2e-7);
  });
});

describe("the rank test", () => {
  // scipy.stats.mannwhitneyu(b, a), exact without ties and asymptotic with them, of SciPy 1.17.1.
  test.each([
    ["few values", [19, 22, 16, 29, 24], [20, 11, 17, 12], 3, 0.1111111111111111],
    [
      "values that lie apart",
      ...[[1, 2, 3, 4, 5, 6, 7, 8], [11, 12, 13, 14, 15, 16, 17, 18], 64, 0.0001554001554001554],
    ],
    ["ties", [1, 2, 2, 3, 5, 7], [2, 4, 4, 6, 8, 9, 9], 33, 0.09760706947335236],
    ["values that are all equal", [5, 5, 5], [5, 5, 5, 5], 6, 1],
    [
      "many values",
      Array.from({ length: 60 }, (_, i) => (i * 37) % 101),
      Array.from({ length: 50 }, (_, i) => ((i * 53) % 97) + 9),
      ...[1_636.5, 0.41423823643613444],
    ],
  ] as [string, number[], number[], number, number][])("agrees with SciPy on %s", (_name, a, b, u, p) => {
    const found = rankTest(ascending(a), ascending(b));

    expect(found.u).toBe(u);
    expect(found.p).toBeCloseTo(p, 7);
    expect(found.effect).toBe(u / (a.length * b.length));
  });

  test("counts pairs as a look at each pair does, and is the same from both sides", () => {
    const list = fc.array(fc.nat(20), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(list, list, (a, b) => {
        const there = rankTest(ascending(a), ascending(b));
        const back = rankTest(ascending(b), ascending(a));
        const pairs = b.flatMap((y) => a.map((x): number => (y > x ? 1 : y === x ? 0.5 : 0)));
        expect(there.u).toBe(pairs.reduce((sum, each) => sum + each, 0));
        expect(back.p).toBeCloseTo(there.p, 10);
        expect(back.effect).toBeCloseTo(1 - there.effect, 10);
      }),
    );
  });
});

describe("the probability of the rank test", () => {
  test("is, for few values, the share of all orders in which the sides lie at least as far apart", () => {
    const side = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(side, side, fc.nat(), (n, m, seed) => {
        const orders = choices(n + m, n).map((of) => ({ of, u: pairsOf(of, n + m) }));
        const chosen = orders[seed % orders.length];
        const distance = (u: number) => Math.abs(u - (n * m) / 2);
        const far = orders.filter(({ u }) => distance(u) >= distance(chosen?.u ?? 0)).length;
        const a = chosen?.of ?? [];
        const b = Array.from({ length: n + m }, (_, i) => i).filter((i) => !a.includes(i));

        expect(rankTest(a, b).p).toBeCloseTo(far / orders.length, 10);
      }),
      { numRuns: 60 },
    );
  });

  test("is small seldom when nothing differs, as often as it says", () => {
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return Math.floor((seed / 2_147_483_647) * 10_000);
    };
    const sample = () => ascending(Array.from({ length: 40 }, random));
    const ps = Array.from({ length: 2_000 }, () => rankTest(sample(), sample()).p);

    for (const level of [0.01, 0.05, 0.5]) {
      const share = ps.filter((p) => p < level).length / ps.length;
      expect(Math.abs(share - level)).toBeLessThan(4 * Math.sqrt((level * (1 - level)) / ps.length));
    }
  });
});

/** All ways to choose so many of the numbers below `all`. */
function choices(all: number, count: number, from = 0): number[][] {
  if (count === 0) return [[]];
  return Array.from({ length: Math.max(0, all - from) }, (_, i) => from + i).flatMap((first) =>
    choices(all, count - 1, first + 1).map((rest) => [first, ...rest]),
  );
}

/** Pairs in which one of the others is above one of `of`. */
function pairsOf(of: readonly number[], all: number): number {
  const others = Array.from({ length: all }, (_, i) => i).filter((i) => !of.includes(i));
  return others.reduce((sum, each) => sum + of.filter((one) => one < each).length, 0);
}

describe("the shift", () => {
  test("is the median of all differences, and its interval their order statistics", () => {
    const a = Array.from({ length: 60 }, (_, i) => (i * 37) % 101);
    const b = Array.from({ length: 50 }, (_, i) => ((i * 53) % 97) + 9);

    // numpy.median of all differences, and those at the ranks of the normal approximation.
    expect(shiftOf(ascending(a), ascending(b))).toEqual({ estimate: 5, interval: [-7, 16] });
  });

  test("agrees with a look at each pair", () => {
    const list = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(list, list, (a, b) => {
        const { estimate, interval } = shiftOf(ascending(a), ascending(b));
        const differences = ascending(b.flatMap((y) => a.map((x) => y - x)));
        expect(estimate).toBe(medianOf(differences));
        expect(differences).toContain(interval[0]);
        expect(interval[0]).toBeLessThanOrEqual(estimate);
        expect(interval[1]).toBeGreaterThanOrEqual(estimate);
      }),
    );
  });
});

describe("information", () => {
  test.each([
    ["is whole when one answers the other", 10, 10, 10, 100, 1],
    ["is none when one says nothing of the other", 5, 50, 10, 100, 0],
    ["is none when all have it", 10, 100, 10, 100, 0],
    ["is none of a certain thing", 10, 10, 100, 100, 0],
  ])("%s", (_name, both, first, second, all, share) => {
    expect(informationShare(both, first, second, all)).toBeCloseTo(share, 10);
  });

  test("is what the entropies say", () => {
    // H(inside) = 0.8112781; of 30 with the value 20 are inside, of 70 without it 5.
    const h = (p: number) => (p === 0 || p === 1 ? 0 : -p * Math.log2(p) - (1 - p) * Math.log2(1 - p));
    const expected = (h(0.25) - 0.3 * h(20 / 30) - 0.7 * h(5 / 70)) / h(0.25);

    expect(informationShare(20, 30, 25, 100)).toBeCloseTo(expected, 12);
  });
});

test("probabilities of several tests are corrected by Holm's method", () => {
  // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R.
  expect(holm([0.01, 0.04, 0.03, 0.005]).map((p) => Number(p.toFixed(6)))).toEqual([0.03, 0.06, 0.06, 0.02]);
});

describe("a high quantile", () => {
  const random = (seed: number) => {
    let state = seed;
    return () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state / 2 ** 31;
    };
  };
  const next = random(12);
  test.each([
    ["of one value", Array.from({ length: 1 }, () => 7)],
    ["of few values", Array.from({ length: 37 }, () => Math.floor(next() * 1_000))],
    ["of many values", Array.from({ length: 20_000 }, () => Math.floor(next() * 1e9))],
    ["of values that are mostly nought", Array.from({ length: 20_000 }, (_, i) => (i % 150 === 0 ? i : 0))],
    ["of two values", Array.from({ length: 20_000 }, () => (next() < 0.02 ? 9 : 3))],
    // Every 19th is sampled: the sample knows nothing of the others.
    ["that a sample is wrong about", Array.from({ length: 19_456 }, (_, i) => (i % 19 === 0 ? 0 : i))],
    ["that a sample has all of", Array.from({ length: 19_456 }, (_, i) => (i % 19 === 0 ? i : 1))],
  ])("%s is what sorting gives", (_name, values) => {
    const column = Uint32Array.from(values);
    const indices = Uint32Array.from(values.keys());
    const sorted = column.toSorted();

    for (const share of [0.5, 0.9, 0.99, 1])
      expect(highQuantile(column, indices, share)).toBe(sorted[rankOf(share, values.length)]);
  });
});
