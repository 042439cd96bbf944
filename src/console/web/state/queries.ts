import { computed } from "@preact/signals";
import type { Comparison } from "../../../lib/latency/answers.ts";
import type { Differences, Points, Values } from "../../answers/operations.ts";
import type { Overview } from "../../answers/overview.ts";
import type { Flame, Waterfall } from "../../answers/traces.ts";
import { load } from "./load.ts";
import { parameters, view } from "./location.ts";
import { type Box, EMPTY_FILTER, writeFilter } from "./view.ts";

/** At most so many operations are drawn one by one. */
const POINTS_LIMIT = 1_500;
/** A tenth of fewer tells nothing. */
const LEAST_OPERATIONS = 20;

const isOverview = computed(() => view.value.page === "overview");

export const overview = load<Overview>(() =>
  isOverview.value ? `api/overview?${parameters.value}` : undefined,
);

/** Returns an address that depends on the overview; while that is on its way, the one before. */
function afterOverview(address: () => string | undefined): () => string | undefined {
  let last: string | undefined;
  return () => {
    if (!overview.value.isLoading) last = address();
    return last;
  };
}

/** What differs in the slowest tenth, as long as nobody has drawn a box. */
const slowest = computed(
  afterOverview(() => {
    const data = overview.value.data;
    if (!isOverview.value || !data || data.matching < LEAST_OPERATIONS) return undefined;
    const { p90, max } = data.percentiles.all;
    return p90 < max
      ? differencesIn({ fromMs: data.since_ms, untilMs: data.until_ms, minUs: p90, maxUs: max + 1 })
      : undefined;
  }),
);

export const differences = load<Differences>(() => {
  const { box } = view.value;
  return box ? differencesIn(box) : slowest.value;
});

function differencesIn(box: Box): string {
  return `api/differences?${writeFilter({ ...view.value, box })}`;
}

/** Single operations, when they are few enough to be drawn. */
export const points = load<Points>(
  afterOverview(() => {
    const matching = overview.value.data?.matching ?? 0;
    const isDrawn = isOverview.value && matching > 0 && matching <= POINTS_LIMIT;
    return isDrawn ? `api/points?${parameters.value}` : undefined;
  }),
);

export const values = load<Values>(() => {
  const { kind, since, until } = view.value;
  return `api/values?${writeFilter({ ...EMPTY_FILTER, kind, since, until })}`;
});

export const waterfall = load<Waterfall>(() =>
  view.value.trace === "" ? undefined : `api/traces/${view.value.trace}`,
);

export const flame = load<Flame>(() =>
  view.value.page === "flame" ? `api/flame?${parameters.value}` : undefined,
);

export const comparison = load<Comparison>(() => {
  const { page, a, b } = view.value;
  if (page !== "compare" || a === "" || b === "") return undefined;
  return `api/compare?${new URLSearchParams({ a, b })}`;
});

/** Whether the answers shown are those of an earlier view. */
export const isStale = computed(() => overview.value.isLoading && overview.value.data !== undefined);
