import { KINDS, type Kind } from "../../../lib/latency/operation.ts";
import { DIMENSIONS, type Dimension } from "../../answers/operations.ts";
import { MAX_MS } from "../format/time.ts";

/** A part of the heat map. */
export interface Box {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly minUs: number;
  readonly maxUs: number;
}

export type Outcome = "" | "ok" | "failed";

/** Which operations are looked at. Empty strings: not set. */
export interface Filter {
  readonly kind: Kind | "all";
  /** A duration (`1h`) or an instant. */
  readonly since: string;
  /** An instant. Empty: now. */
  readonly until: string;
  readonly outcome: Outcome;
  /** Durations, e.g. `20ms`. */
  readonly min: string;
  readonly max: string;
  /** Values that are wanted; with a `!` before them: not wanted. */
  readonly values: Readonly<Partial<Record<Dimension, readonly string[]>>>;
  readonly box: Box | undefined;
}

/** What the page shows. Every one is a URL. */
export interface View extends Filter {
  readonly page: "overview" | "compare" | "flame";
  /** Trace whose waterfall is open. */
  readonly trace: string;
  /** Sets of a comparison: parameters, URL-encoded. */
  readonly a: string;
  readonly b: string;
  readonly isLive: boolean;
}

export const EMPTY_FILTER: Filter = {
  kind: "start",
  since: "1h",
  until: "",
  outcome: "",
  min: "",
  max: "",
  values: {},
  box: undefined,
};

const PAGES = ["overview", "compare", "flame"] as const;
/** Kinds of operations that a view may show. */
export const KIND_NAMES = [...KINDS, "all"] as const;

/** Reads a view from the query of a URL. What makes no sense there is left out. */
export function readView(search: string): View {
  const query = new URLSearchParams(search);
  return {
    ...readFilter(query),
    page: PAGES.find((page) => page === query.get("view")) ?? "overview",
    trace: /^[0-9a-f]{32}$/i.exec(query.get("trace") ?? "")?.[0].toLowerCase() ?? "",
    a: query.get("a") ?? "",
    b: query.get("b") ?? "",
    isLive: query.get("live") === "1",
  };
}

/** Reads a filter from parameters, which are those of the console's queries too. */
export function readFilter(query: URLSearchParams): Filter {
  const values: Partial<Record<Dimension, readonly string[]>> = {};
  for (const dimension of DIMENSIONS) {
    const given = query.getAll(dimension);
    if (given.length > 0) values[dimension] = given;
  }
  const outcome = query.get("outcome");
  return {
    kind: KIND_NAMES.find((kind) => kind === query.get("kind")) ?? EMPTY_FILTER.kind,
    since: query.get("since") || EMPTY_FILTER.since,
    until: query.get("until") ?? "",
    outcome: outcome === "ok" || outcome === "failed" ? outcome : "",
    min: query.get("min") ?? "",
    max: query.get("max") ?? "",
    values,
    box: readBox(query.get("box") ?? ""),
  };
}

/** Writes the query of a view's URL, in one order whatever came first. */
export function writeView(view: View): string {
  const query = writeFilter(view);
  if (view.page !== "overview") query.set("view", view.page);
  if (view.a !== "") query.set("a", view.a);
  if (view.b !== "") query.set("b", view.b);
  if (view.trace !== "") query.set("trace", view.trace);
  if (view.isLive) query.set("live", "1");
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** Writes the parameters of a filter; what is as by default is left out. */
export function writeFilter(filter: Filter): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of ["kind", "since", "until", "outcome", "min", "max"] as const) {
    if (filter[name] !== EMPTY_FILTER[name]) query.set(name, filter[name]);
  }
  for (const dimension of DIMENSIONS) {
    for (const value of filter.values[dimension] ?? []) query.append(dimension, value);
  }
  if (filter.box) query.set("box", writeBox(filter.box));
  return query;
}

function writeBox({ fromMs, untilMs, minUs, maxUs }: Box): string {
  return [fromMs, untilMs, minUs, maxUs].map(Math.round).join(",");
}

function readBox(text: string): Box | undefined {
  const numbers = text.split(",").map(Number);
  const [fromMs, untilMs, minUs, maxUs] = numbers;
  if (numbers.length !== 4 || !numbers.every(Number.isFinite)) return undefined;
  if (fromMs === undefined || untilMs === undefined || minUs === undefined || maxUs === undefined) {
    return undefined;
  }
  const isWithin = fromMs >= 0 && untilMs <= MAX_MS && minUs >= 0 && maxUs <= Number.MAX_SAFE_INTEGER;
  return isWithin && fromMs < untilMs && minUs < maxUs ? { fromMs, untilMs, minUs, maxUs } : undefined;
}
