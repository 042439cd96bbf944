/** What a machine may do for a request now. */
export type Readiness =
  /** Takes requests. */
  | "open"
  /** Will be ready, or fail, without anybody doing anything. */
  | "pending"
  /** Can be started. */
  | "asleep"
  /** Can be started once what is under way is over, which its host waits for. */
  | "passing"
  /** Could be started, but its service says that proxies do not. */
  | "autostart_off"
  /** Could not be started a moment ago. */
  | "failed"
  /** Cordoned, destroyed, without an address, ... */
  | "closed";

/** What a choice must know of a machine. */
export interface Candidate {
  readonly id: string;
  readonly region: string;
  readonly readiness: Readiness;
  /** Requests or connections of this proxy that it has now. */
  readonly load: number;
  readonly softLimit: number;
  /** Infinity: none. */
  readonly hardLimit: number;
  /** Refused a connection a moment ago. */
  readonly isDoubtful: boolean;
  /** Has been pending for so long that nothing is expected of it. */
  readonly isSlow: boolean;
  /** Suspended: a start goes on where it was. */
  readonly isSuspended: boolean;
}

/** What a request wants. */
export interface Wishes {
  readonly exclude: ReadonlySet<string>;
  readonly avoid: ReadonlySet<string>;
  readonly forceInstance?: string | undefined;
  readonly preferInstance?: string | undefined;
  readonly forceRegions?: readonly string[] | undefined;
  readonly preferRegions?: readonly string[] | undefined;
}

/** What a choice depends on besides machines and wishes. */
export interface Surroundings {
  /** Requests that wait already. */
  readonly waiting: number;
  /** Rank of a region: 0 is the closest. */
  rankOf(region: string): number;
  /** From 0 to 1, without 1. */
  random(): number;
}

/** Where a request goes. `wake`: a machine to start beside. */
export type Choice =
  | { readonly kind: "place"; readonly id: string; readonly wake?: string | undefined }
  | { readonly kind: "wait"; readonly why: "starting" | "full"; readonly wake?: string | undefined }
  | { readonly kind: "none"; readonly why: "no_machine" | "autostart_off" | "failed" };

/**
 * Chooses a machine: in the closest region with load below the soft limit, then above it, never above
 * the hard limit. When all are above their soft limits, and as many more as are on their way would be,
 * it names the next machine to start. Pure.
 */
export function choose(all: readonly Candidate[], wishes: Wishes, around: Surroundings): Choice {
  const candidates = all.filter((each) => isAllowed(each, wishes));
  const preferred = candidates.find(({ id }) => id === wishes.preferInstance);
  const wish = preferred && choosePreferred(preferred);
  if (wish) return wish;
  const rank = ranking(wishes, around);
  const best = bestPlace(candidates, wishes, rank, around);
  const demand = best ? excessOf(candidates) : around.waiting + 1;
  const wake = demand > pendingRoom(candidates) ? nextToWake(candidates, rank) : undefined;
  if (best) return { kind: "place", id: best.id, wake: best.load < best.softLimit ? undefined : wake };
  return withoutPlace(candidates, wake);
}

function withoutPlace(candidates: readonly Candidate[], wake: string | undefined): Choice {
  const has = (readiness: Readiness) => candidates.some((each) => each.readiness === readiness);
  if (wake !== undefined || has("pending")) return { kind: "wait", why: "starting", wake };
  if (has("open")) return { kind: "wait", why: "full" };
  if (has("asleep") || has("passing")) return { kind: "wait", why: "starting" };
  if (has("failed")) return { kind: "none", why: "failed" };
  return { kind: "none", why: has("autostart_off") ? "autostart_off" : "no_machine" };
}

function isAllowed({ id, region }: Candidate, wishes: Wishes): boolean {
  return (
    !wishes.exclude.has(id) &&
    (wishes.forceInstance === undefined || wishes.forceInstance === id) &&
    (wishes.forceRegions === undefined || wishes.forceRegions.includes(region))
  );
}

/** @returns undefined when the preferred machine cannot take the request: others may */
function choosePreferred(machine: Candidate): Choice | undefined {
  const { id, readiness, load, hardLimit, isSlow } = machine;
  if (readiness === "open") return load < hardLimit ? { kind: "place", id } : undefined;
  if (readiness === "pending") return isSlow ? undefined : { kind: "wait", why: "starting" };
  return readiness === "asleep" || readiness === "passing"
    ? { kind: "wait", why: "starting", wake: id }
    : undefined;
}

type Rank = (region: string) => number;

/** Regions in the order of the wishes, then by closeness. */
function ranking({ forceRegions, preferRegions }: Wishes, around: Surroundings): Rank {
  const named = [...(preferRegions ?? []), ...(forceRegions ?? [])];
  return (region) => {
    const at = named.indexOf(region);
    return at >= 0 ? at : named.length + around.rankOf(region);
  };
}

function bestPlace(
  candidates: readonly Candidate[],
  { avoid }: Wishes,
  rank: Rank,
  { random }: Surroundings,
): Candidate | undefined {
  let best: Candidate | undefined;
  let equals = 0;
  for (const each of candidates) {
    if (each.readiness !== "open" || each.load >= each.hardLimit) continue;
    const order = best ? compare(each, best, avoid, rank) : -1;
    if (order > 0) continue;
    equals = order < 0 ? 1 : equals + 1;
    // Each of so many equals is taken with the same probability.
    if (order < 0 || random() * equals < 1) best = each;
  }
  return best;
}

function compare(a: Candidate, b: Candidate, avoid: ReadonlySet<string>, rank: Rank): number {
  const above = (each: Candidate) => Number(each.load >= each.softLimit);
  return (
    Number(avoid.has(a.id)) - Number(avoid.has(b.id)) ||
    Number(a.isDoubtful) - Number(b.isDoubtful) ||
    above(a) - above(b) ||
    rank(a.region) - rank(b.region) ||
    a.load / a.softLimit - b.load / b.softLimit
  );
}

/** Load above soft limits, with one request more. */
function excessOf(candidates: readonly Candidate[]): number {
  let excess = 1;
  for (const { readiness, load, softLimit } of candidates)
    if (readiness === "open") excess += Math.max(0, load - softLimit);
  return excess;
}

/** Requests that machines on their way will take within their soft limits. */
function pendingRoom(candidates: readonly Candidate[]): number {
  let room = 0;
  for (const { readiness, isSlow, softLimit } of candidates)
    if (readiness === "pending" && !isSlow) room += softLimit;
  return room;
}

/** All proxies take the same one: the closest, those that rest before those in between, suspended ones first, by id. */
function nextToWake(candidates: readonly Candidate[], rank: Rank): string | undefined {
  let next: Candidate | undefined;
  for (const each of candidates) {
    if (each.readiness !== "asleep" && each.readiness !== "passing") continue;
    if (!next || compareAsleep(each, next, rank) < 0) next = each;
  }
  return next?.id;
}

function compareAsleep(a: Candidate, b: Candidate, rank: Rank): number {
  return (
    rank(a.region) - rank(b.region) ||
    Number(a.readiness === "passing") - Number(b.readiness === "passing") ||
    Number(b.isSuspended) - Number(a.isSuspended) ||
    (a.id < b.id ? -1 : 1)
  );
}
