import { ProxyError, type ProxyErrorCode } from "../../proxy-error.ts";
import type { Place, Target } from "../../route.ts";
import { AttemptError, type MachineAnswer } from "../backend/answer.ts";
import { type BodyTape, KEEP_BYTES } from "../body-tape.ts";
import type { FlatHeaders } from "../exchange.ts";
import { headerOf } from "../headers/fields.ts";
import type { RequestTarget } from "../headers/target.ts";
import { type ReplayOrder, readOrder } from "../replay/replay-order.ts";
import { askedWay, fallbackWay, replayedWay, type Way } from "../replay/way.ts";
import type { ProxyParts } from "./parts.ts";

/** Replays of one request. */
const MAX_REPLAYS = 10;
const CACHE_STATUS = "fly-replay-cache-status";

const BEFORE_SENDING: ReadonlySet<ProxyErrorCode> = new Set([
  ...(["NO_SUCH_APP", "NO_MACHINE", "AUTOSTART_OFF", "WAKE_TIMEOUT", "WAKE_FAILED"] as const),
  // The last: the app that it names takes TLS only.
  ...(["QUEUE_FULL", "ALL_AT_HARD_LIMIT", "BAD_REQUEST"] as const),
]);

/** Follows what programs say by `fly-replay`, for one request. */
export class Replaying {
  readonly #tape: BodyTape;
  readonly #headers: FlatHeaders;
  readonly #parts: ProxyParts;
  #count = 0;
  /** The app whose order was remembered and has brought the request where it is. */
  #rememberedBy: string | undefined;
  #cacheStatus: "miss" | "bypass" = "miss";

  constructor(tape: BodyTape, headers: FlatHeaders, parts: ProxyParts) {
    this.#tape = tape;
    this.#headers = headers;
    this.#parts = parts;
  }

  /** The way that the headers ask for, or that an earlier replay has said. */
  firstWay(target: Target, { hostname, path }: RequestTarget): Way {
    const way = askedWay(target, this.#headers);
    const order = this.#parts.replays.find(target.app, hostname, path);
    if (!order) return way;
    const mayBypass = order.cache?.allowBypass === true;
    if (mayBypass && headerOf(this.#headers, "fly-replay-cache-control") === "skip") {
      this.#cacheStatus = "bypass";
      return { ...way, headers: [...way.headers, CACHE_STATUS, "bypass"] };
    }
    const withoutCache = { ...way, headers: [...way.headers, CACHE_STATUS, "miss"] };
    try {
      const next = replayedWay(way, order, undefined, this.#parts.router);
      this.#rememberedBy = target.app;
      return { ...next, headers: [...next.headers, CACHE_STATUS, "hit"], withoutCache };
    } catch (error) {
      // The app that it names is gone.
      if (!(error instanceof ProxyError)) throw error;
      return withoutCache;
    }
  }

  /** The way after one that has failed. Undefined: there is none, and the client gets the error. */
  after(way: Way, error: unknown, { hostname, path }: RequestTarget, elapsedMs: number): Way | undefined {
    if (!(error instanceof ProxyError) || !isUnheard(error) || !this.#tape.isReplayable) return undefined;
    const { withoutCache } = way;
    if (!withoutCache) return fallbackWay(way, error, elapsedMs);
    const { replays } = this.#parts;
    const prefix = replays.find(withoutCache.target.app, hostname, path)?.cache?.prefix;
    if (prefix !== undefined) replays.forget(withoutCache.target.app, hostname, prefix);
    return withoutCache;
  }

  /** Reads what an answer orders. @throws ProxyError `UNREACHABLE` for an order that makes no sense */
  async orderOf(answer: MachineAnswer): Promise<ReplayOrder | undefined> {
    try {
      return await readOrder(answer);
    } catch (cause) {
      answer.discard();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ProxyError("UNREACHABLE", `the app answers with a fly-replay that is wrong: ${why}`, {
        cause,
      });
    }
  }

  /** The way that an answer has ordered. @throws ProxyError when it cannot be followed */
  next({ hostname, path }: RequestTarget, way: Way, order: ReplayOrder, source: Place): Way {
    this.#count += 1;
    if (this.#count > MAX_REPLAYS)
      throw new ProxyError("LOOP", `the request was replayed more than ${MAX_REPLAYS} times`);
    if (!this.#tape.isReplayable) {
      if (this.#tape.bytes <= KEEP_BYTES)
        throw new ProxyError("QUEUE_FULL", "the proxy keeps too many bodies of this organisation's requests");
      const message = `a request with a body of more than ${KEEP_BYTES} bytes cannot be replayed`;
      throw new ProxyError("TOO_LARGE", message);
    }
    const { replays, router } = this.#parts;
    replays.learn(way.target.app, hostname, path, order);
    // Whoever gets requests by what another app has said may end that.
    if (order.cache?.isInvalidation && this.#rememberedBy !== undefined)
      replays.forget(this.#rememberedBy, hostname, order.cache.prefix);
    const next = replayedWay(way, order, source, router);
    return { ...next, headers: [...next.headers, CACHE_STATUS, this.#cacheStatus] };
  }
}

/** Whether no program can have done what the request asks for. */
function isUnheard({ code, cause }: ProxyError): boolean {
  return BEFORE_SENDING.has(code) || (cause instanceof AttemptError && cause.stage === "refused");
}
