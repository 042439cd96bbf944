import { TokenBucket } from "./token-bucket.ts";

/** Refusals that are answered at once. */
const AT_ONCE = { perSecond: 100, burst: 200 };
const DELAY_MS = 100;

/** Answers many refusals late: callers that repeat a refused call at once would take the processor from others. */
export class RefusalPace {
  readonly #bucket: TokenBucket;
  readonly #monotonicMs: () => number;

  constructor(monotonicMs: () => number) {
    this.#bucket = new TokenBucket(AT_ONCE, monotonicMs());
    this.#monotonicMs = monotonicMs;
  }

  answer(refuse: () => void): void {
    if (this.#bucket.take(this.#monotonicMs()) === 0) refuse();
    else setTimeout(refuse, DELAY_MS).unref();
  }
}
