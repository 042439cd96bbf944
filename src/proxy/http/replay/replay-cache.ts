import { LRUCache } from "lru-cache";
import type { ReplayOrder } from "./replay-order.ts";

interface Entry {
  readonly order: ReplayOrder;
  readonly prefix: string;
}

/** Prefixes of one app and host name. */
const MAX_PREFIXES = 64;
const MAX_HOSTS = 10_000;

/** Remembers replays, by app, host name and path, so that later requests go there at once. */
export class ReplayCache {
  readonly #byHost = new LRUCache<string, LRUCache<string, Entry>>({ max: MAX_HOSTS });

  /** Finds the order with the longest prefix of a path. */
  find(app: string, hostname: string, path: string): ReplayOrder | undefined {
    const prefixes = this.#byHost.get(keyOf(app, hostname));
    if (!prefixes) return undefined;
    let best: Entry | undefined;
    for (const prefix of prefixes.keys()) {
      if (path.startsWith(prefix) && prefix.length >= (best?.prefix.length ?? 0))
        best = prefixes.get(prefix) ?? best;
    }
    return best?.order;
  }

  /**
   * Keeps what an order says about later requests, or forgets it. An order that is for this request
   * alone is not kept: it has a state or changes the request, or names requests of another kind.
   */
  learn(app: string, hostname: string, path: string, order: ReplayOrder): void {
    const { cache } = order;
    if (!cache) return;
    const key = keyOf(app, hostname);
    if (cache.isInvalidation) {
      this.forget(app, hostname, cache.prefix);
      return;
    }
    const isOther = (cache.hostname !== "" && cache.hostname !== hostname) || !path.startsWith(cache.prefix);
    if (isOther || order.state !== undefined || order.transform) return;
    const prefixes = this.#byHost.get(key) ?? new LRUCache<string, Entry>({ max: MAX_PREFIXES, ttl: 1 });
    this.#byHost.set(key, prefixes);
    prefixes.set(cache.prefix, { order, prefix: cache.prefix }, { ttl: cache.ttlMs });
  }

  /** Forgets a prefix and those below it. */
  forget(app: string, hostname: string, prefix: string): void {
    const prefixes = this.#byHost.get(keyOf(app, hostname));
    if (!prefixes) return;
    for (const each of [...prefixes.keys()]) if (each.startsWith(prefix)) prefixes.delete(each);
  }
}

function keyOf(app: string, hostname: string): string {
  return `${app} ${hostname}`;
}
