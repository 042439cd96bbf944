import type { Percentiles } from "./operations.ts";

/** `GET /api/compare?a=<parameters, URL-encoded>&b=...`: two sets of operations. */
export interface Comparison {
  readonly a: Percentiles;
  readonly b: Percentiles;
  readonly test: {
    /** Mann-Whitney, two-sided, with correction for ties. */
    readonly p: number;
    /** Probability that one of b is slower than one of a, ties half; 0.5: no difference. */
    readonly effect: number;
    readonly verdict: "slower" | "faster" | "no difference" | "too few";
    /** Hodges-Lehmann estimate of the shift from a to b, with its 95 % interval. */
    readonly shift_us: number;
    readonly interval_us: readonly [number, number];
  };
  readonly hops: readonly {
    readonly hop: string;
    readonly a_us: number;
    readonly b_us: number;
    readonly p: number;
  }[];
  /** Cumulative shares for drawing: `[duration_us, share of a, share of b]`. */
  readonly distribution: readonly (readonly [number, number, number])[];
}
