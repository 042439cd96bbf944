/** Answers of the console's queries that `hover` reads too, as JSON. Durations are microseconds. */

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** `GET /api/latency?by=<dimension>`: percentiles by group; largest count first. */
export interface Latency {
  readonly since_ms: number;
  readonly until_ms: number;
  readonly all: Percentiles & { readonly failed: number };
  readonly groups: readonly (Percentiles & {
    readonly value: string;
    readonly failed: number;
    readonly dominant: string;
  })[];
}

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
