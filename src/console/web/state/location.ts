import { computed, signal } from "@preact/signals";
import type { Dimension } from "../../answers/operations.ts";
import { EMPTY_FILTER, type Filter, readView, type View, writeFilter, writeView } from "./view.ts";

/** What the page shows now, as its URL says. */
export const view = signal<View>(readView(location.search));

/** Parameters for the console's queries. */
export const parameters = computed(() => writeFilter(view.value).toString());

addEventListener("popstate", () => {
  view.value = readView(location.search);
});

/** Changes the view and its URL, so that the browser's way back leads to the one before. */
export function go(change: Partial<View>): void {
  const next = { ...view.value, ...change };
  const url = writeView(next) || location.pathname;
  if (url === (location.search || location.pathname)) return;
  history.pushState(null, "", url);
  view.value = next;
}

/** Returns the URL of the view with a change, for links. */
export function urlOf(change: Partial<View>): string {
  return writeView({ ...view.value, ...change }) || location.pathname;
}

/** Returns the view's values of a dimension with one more, or less if it was there. */
export function toggled(dimension: Dimension, value: string): Filter["values"] {
  const { values } = view.value;
  const given = values[dimension] ?? [];
  const opposite = value.startsWith("!") ? value.slice(1) : `!${value}`;
  const left = given.filter((each) => each !== value && each !== opposite);
  const next = given.includes(value) ? left : [...left, value];
  const { [dimension]: _, ...others } = values;
  return next.length === 0 ? others : { ...others, [dimension]: next };
}

/** Takes every condition away; kind and period stay. */
export function withoutFilters(): Partial<View> {
  const { outcome, min, max, values, box } = EMPTY_FILTER;
  return { outcome, min, max, values, box };
}
