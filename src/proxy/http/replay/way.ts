import { ProxyError } from "../../proxy-error.ts";
import type { Ask, Place, Router, Target } from "../../route.ts";
import type { FlatHeaders } from "../exchange.ts";
import { headerOf, headersOf, listOf } from "../headers/fields.ts";
import type { ReplayOrder, ReplayTransform } from "./replay-order.ts";

/** Where a request is to go: what its headers ask for, and what replays have said since. */
export interface Way {
  readonly target: Target;
  readonly forceInstance?: string | undefined;
  readonly preferInstance?: string | undefined;
  readonly forceRegions?: readonly string[] | undefined;
  readonly preferRegions?: readonly string[] | undefined;
  readonly exclude: ReadonlySet<string>;
  /** How long to wait for a machine. Undefined: as the service says. */
  readonly timeoutMs?: number | undefined;
  /** Headers that tell the program about replays, in turn with their values. */
  readonly headers: FlatHeaders;
  readonly transforms: readonly ReplayTransform[];
  /** Where the request goes when this fails. */
  readonly fallback?: Fallback | undefined;
  /** The way without what was remembered of an earlier replay, when it is one of these. */
  readonly withoutCache?: Way | undefined;
}

interface Fallback {
  readonly way: Way;
  readonly order: ReplayOrder;
  readonly source: string;
}

const ASKS = /^fly-(?:force|prefer)-/i;
const NONE: ReadonlySet<string> = new Set();
const INSTANCE = /^[\w-]{1,64}$/;
const REGION = /^[a-z0-9-]{1,32}$/;
const MAX_REGIONS = 64;

/** Reads what the headers of a request ask for. @throws ProxyError `BAD_REQUEST` */
export function askedWay(target: Target, headers: FlatHeaders): Way {
  if (!asksForPlaces(headers)) return { target, exclude: NONE, headers: [], transforms: [] };
  const forced = regionsOf(headers, "fly-force-region");
  const preferred = regionsOf(headers, "fly-prefer-region");
  return {
    target,
    forceInstance: instanceOf(headers, "fly-force-instance-id"),
    preferInstance: instanceOf(headers, "fly-prefer-instance-id"),
    forceRegions: forced.isAnyRegion ? undefined : someOf(forced.regions),
    preferRegions: someOf(forced.isAnyRegion ? [...forced.regions, ...preferred.regions] : preferred.regions),
    exclude: NONE,
    headers: [],
    transforms: [],
  };
}

/** Whether any of the headers may be one that {@link askedWay} reads: most requests have none. */
function asksForPlaces(headers: FlatHeaders): boolean {
  for (let at = 0; at < headers.length; at += 2) if (ASKS.test(headers[at] ?? "")) return true;
  return false;
}

/** Returns what to ask the router for. */
export function askOf(
  way: Way,
  avoid: ReadonlySet<string>,
  { traceparent, waits }: Required<Pick<Ask, "traceparent" | "waits">>,
): Ask {
  const { forceInstance, preferInstance, forceRegions, preferRegions, exclude } = way;
  const wanted = { forceInstance, preferInstance, forceRegions, preferRegions };
  return { kind: "request", traceparent, waits, exclude, avoid, ...wanted };
}

/**
 * Returns the way of a request that must be replayed.
 *
 * @param source the machine that has said so; undefined for an order that was kept
 * @throws ProxyError `NO_SUCH_APP` also for apps of other organisations
 */
export function replayedWay(way: Way, order: ReplayOrder, source: Place | undefined, router: Router): Way {
  const target = targetOf(way.target, order, router);
  const next: Way = {
    target,
    forceInstance: order.instance,
    preferInstance: order.preferInstance,
    // As strict as Fly: a region that is named is meant, with the next of the list after it.
    ...(order.regions.length === 0
      ? {}
      : order.isAnyRegion
        ? { preferRegions: order.regions }
        : { forceRegions: order.regions }),
    exclude: order.isElsewhere && source ? new Set([...way.exclude, source.machineId]) : way.exclude,
    timeoutMs: order.timeoutMs,
    headers: source ? ["fly-replay-src", sourceOf(source, order)] : [],
    transforms: order.transform ? [...way.transforms, order.transform] : way.transforms,
  };
  const fallback = source && order.fallback && selfWay(way, order, source);
  return fallback ? { ...next, fallback: { way: fallback, order, source: source.machineId } } : next;
}

/** Returns the way back to the program that has ordered a replay which failed, with the reason. Undefined: none. */
export function fallbackWay(way: Way, error: ProxyError, elapsedMs: number): Way | undefined {
  if (!way.fallback) return undefined;
  const { way: back, order, source } = way.fallback;
  const facts = [
    `instance=${order.instance ?? order.preferInstance ?? ""}`,
    `app=${way.target.app}`,
    `region=${order.regions.join(",")}`,
    `replay_source=${source}`,
    `reason=${reasonOf(error)}`,
    `elapsed_ms=${Math.round(elapsedMs)}`,
  ];
  return { ...back, headers: ["fly-replay-failed", facts.join(";")] };
}

function selfWay(way: Way, { fallback }: ReplayOrder, source: Place): Way {
  const self =
    fallback === "force_self" ? { forceInstance: source.machineId } : { preferInstance: source.machineId };
  return { target: way.target, exclude: new Set(), headers: [], transforms: way.transforms, ...self };
}

function targetOf(from: Target, { app }: ReplayOrder, router: Router): Target {
  if (app === undefined || app === from.app) return from;
  const target = router.appTarget(app, from.port);
  if (target?.org === from.org) return target;
  throw new ProxyError("NO_SUCH_APP", `${from.app} replays to an app that its organisation does not have`);
}

function sourceOf({ machineId, region }: Place, { state }: ReplayOrder): string {
  const facts = [`instance=${machineId}`, `region=${region}`, `t=${Date.now() * 1_000}`];
  return [...facts, ...(state === undefined ? [] : [`state=${state}`])].join(";");
}

function reasonOf({ code }: ProxyError): string {
  if (code === "WAKE_TIMEOUT" || code === "UPSTREAM_TIMEOUT") return "timeout";
  return code === "UNREACHABLE" || code === "WAKE_FAILED" ? "retries_exhausted" : "no_candidate";
}

function instanceOf(headers: FlatHeaders, name: string): string | undefined {
  const value = headerOf(headers, name)?.trim();
  if (value === undefined || value === "") return undefined;
  if (!INSTANCE.test(value)) throw new ProxyError("BAD_REQUEST", `${name} must be the id of a machine`);
  return value;
}

/** `any` leaves the choice to the proxy, after what comes before it. */
function regionsOf(headers: FlatHeaders, name: string): Pick<ReplayOrder, "regions" | "isAnyRegion"> {
  const named = listOf(headersOf(headers, name)).slice(0, MAX_REGIONS);
  const any = named.indexOf("any");
  const regions = any < 0 ? named : named.slice(0, any);
  if (!regions.every((each) => REGION.test(each)))
    throw new ProxyError("BAD_REQUEST", `${name} must be a list of regions`);
  return { regions, isAnyRegion: any >= 0 };
}

function someOf(regions: readonly string[]): readonly string[] | undefined {
  return regions.length === 0 ? undefined : regions;
}
