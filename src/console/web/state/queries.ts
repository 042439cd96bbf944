import { computed, signal } from "@preact/signals";
import type { Comparison, Differences, Flame, Overview, Points, Values, Waterfall } from "../../answers.ts";
import { load } from "./load.ts";
import { parameters, view } from "./location.ts";
import { writeBox, writeFilter } from "./view.ts";

/** At most so many operations are drawn one by one. */
export const POINTS_LIMIT = 1_500;
/** The heat map and the differences show the slowest tenth until a box is drawn. */
const SLOW = "p90";

const isOverview = computed(() => view.value.page === "overview");

export const overview = load<Overview>(() =>
  isOverview.value ? `api/overview?${parameters.value}` : undefined,
);

/** Whose differences are shown: those in the box, or else the slowest. */
const differing = computed(() => {
  const { box } = view.value;
  if (box) return writeBox(box);
  const data = overview.value.data;
  if (!isOverview.value || !data || data.matching < 20) return undefined;
  const { all } = data.percentiles;
  const { [SLOW]: edge, max } = all;
  return edge < max
    ? writeBox({ fromMs: data.since_ms, untilMs: data.until_ms, minUs: edge, maxUs: max + 1 })
    : undefined;
});

export const differences = load<Differences>(() => {
  const box = differing.value;
  if (box === undefined) return undefined;
  const query = writeFilter({ ...view.value, box: undefined });
  query.set("box", box);
  return `api/differences?${query}`;
});

const hasPoints = computed(() => {
  const matching = overview.value.data?.matching ?? 0;
  return isOverview.value && matching > 0 && matching <= POINTS_LIMIT;
});

/** Single operations, when they are few enough to be drawn. */
export const points = load<Points>(() => (hasPoints.value ? `api/points?${parameters.value}` : undefined));

export const values = load<Values>(() => {
  const { kind, since, until } = view.value;
  return `api/values?${writeFilter({ ...view.value, kind, since, until, values: {}, box: undefined, outcome: "", min: "", max: "" })}`;
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

/** Text that screen readers say when something has changed. */
export const announcement = signal("");
