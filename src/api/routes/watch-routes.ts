import { type ChangeLog, isKept } from "../watches/change-log.ts";
import { DatabaseReader, type ReaderParts } from "../watches/database-reader.ts";
import { comparePositions, type Position, positionTooOld } from "../watches/position.ts";
import { NO_ROUTES, type Routes } from "./route.ts";
import type { RouteBatch, RouteFeed, RouteSubscription } from "./route-feed.ts";
import type { RouteLog } from "./route-log.ts";
import type { RouteStore } from "./route-store.ts";

/** What a proxy is sent. */
export interface RouteMessage {
  readonly routes: Routes;
  /** Where to resume. Undefined: not everything was sent yet. */
  readonly position: Position | undefined;
  /** Whether all routes follow, from the first one on. */
  readonly beginsAnew: boolean;
}

export interface WatchRoutesParts extends ReaderParts {
  readonly store: RouteStore;
  readonly log: RouteLog;
  readonly ends: Pick<ChangeLog, "ends">;
  readonly feed: RouteFeed;
}

/** Routes that are read, and sent, at a time. */
const PAGE = 500;
/** A watch without changes sends its position so often that the log still has what follows it. */
const IDLE_MS = 60_000;
/** All proxies together are one of those that share the reads of watches. */
const READER = "proxies";

/**
 * Yields all routes, then those that change, each as it is now. A proxy that is slower than the changes
 * reads them from the log at its own pace.
 *
 * @param after position of an earlier message. Undefined: begins with all routes
 * @throws Fault `DATABASE_UNAVAILABLE` after 30 s, `POSITION_TOO_OLD` when the log is trimmed meanwhile
 */
export async function* watchRoutes(
  parts: WatchRoutesParts,
  after: Position | undefined,
  signal: AbortSignal,
): AsyncGenerator<RouteMessage> {
  const { feed, log, ends } = parts;
  const reader = new DatabaseReader(parts, READER, signal);
  let subscription: RouteSubscription | undefined;
  try {
    const resumed = after && isKept(await reader.read(() => ends.ends()), after) ? after : undefined;
    subscription = await reader.read(() => feed.subscribe());
    let at = resumed ?? subscription.from;
    // What changes after the subscription is sent after all pages, so pages need no common snapshot.
    if (!resumed) yield* present(parts.store, reader, at);
    // Tells the client at once that it has been heard.
    else yield messageOf(NO_ROUTES, at);
    for (;;) {
      yield* missed(log, reader, at, subscription.from);
      if (comparePositions(at, subscription.from) < 0) at = subscription.from;
      while (!subscription.isBehind) {
        // Read before the wait: what comes meanwhile is queued, and has a later position.
        const reached: Position = feed.position ?? at;
        const batch: RouteBatch | undefined = await subscription.take(IDLE_MS, signal);
        if (signal.aborted) return;
        if (subscription.isBehind) break;
        at = batch?.position ?? reached;
        yield messageOf(batch?.routes ?? NO_ROUTES, at);
      }
      feed.unsubscribe(subscription);
      subscription = await reader.read(() => feed.subscribe());
    }
  } finally {
    if (subscription) feed.unsubscribe(subscription);
  }
}

/** Yields all routes in pages: hosts, which machines name, before these. */
async function* present(
  store: RouteStore,
  reader: DatabaseReader,
  position: Position,
): AsyncGenerator<RouteMessage> {
  yield { ...messageOf(NO_ROUTES), beginsAnew: true };
  for await (const apps of pagesOf(
    reader,
    "",
    (after) => store.appPage(after, PAGE),
    ({ name }) => name,
  ))
    yield messageOf({ ...NO_ROUTES, apps });
  for await (const hosts of pagesOf(
    reader,
    -1,
    (after) => store.hostPage(after, PAGE),
    ({ number }) => number,
  ))
    yield messageOf({ ...NO_ROUTES, hosts });
  for await (const machines of pagesOf(
    reader,
    "",
    (after) => store.machinePage(after, PAGE),
    ({ id }) => id,
  ))
    yield messageOf({ ...NO_ROUTES, machines });
  yield messageOf(NO_ROUTES, position);
}

async function* pagesOf<T, K>(
  reader: DatabaseReader,
  first: K,
  read: (after: K) => Promise<readonly T[]>,
  keyOf: (route: T) => K,
): AsyncGenerator<readonly T[]> {
  for (let after = first; ; ) {
    const page = await reader.read(() => read(after));
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (page.length < PAGE) return;
    after = keyOf(last);
  }
}

/** Yields changes from the log. */
async function* missed(
  log: RouteLog,
  reader: DatabaseReader,
  after: Position,
  until: Position,
): AsyncGenerator<RouteMessage> {
  for (let at = after; comparePositions(at, until) < 0; ) {
    const from = at;
    const changes = await reader.read(() => log.read(from));
    if (!changes) throw positionTooOld();
    at = changes.position;
    yield messageOf(changes.routes, at);
    if (!changes.isMore) return;
  }
}

function messageOf(routes: Routes, position?: Position): RouteMessage {
  return { routes, position, beginsAnew: false };
}
