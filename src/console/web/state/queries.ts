import { computed, effect, signal } from "@preact/signals";
import type { Comparison } from "../../../lib/latency/answers.ts";
import type { Values } from "../../answers/operations.ts";
import type { Overview } from "../../answers/overview.ts";
import type { Flame, Waterfall } from "../../answers/traces.ts";
import { load } from "./load.ts";
import { parameters, view } from "./location.ts";
import { EMPTY_FILTER, writeFilter } from "./view.ts";

const isOverview = computed(() => view.value.page === "overview");

export const overview = load<Overview>(() =>
  isOverview.value ? `api/overview?${parameters.value}` : undefined,
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

/** Older answers are shown paler after so long; most views have theirs before. */
const LATE_MS = 150;

/** Whether the answers shown have been those of an earlier view for a while. */
export const isLate = signal(false);
effect(() => {
  isLate.value = false;
  if (!isStale.value) return undefined;
  const timer = setTimeout(() => {
    isLate.value = true;
  }, LATE_MS);
  return () => clearTimeout(timer);
});
