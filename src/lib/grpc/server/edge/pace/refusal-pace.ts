import { Credit, type Pace } from "./credit.ts";

/** How many refusals are answered at once, and how late others are. */
export interface RefusalOptions extends Pace {
  readonly delayMs: number;
}

export const DEFAULT_REFUSALS: RefusalOptions = { perSecond: 100, burst: 200, delayMs: 100 };

/** Answers many refusals late: callers that repeat a refused call at once would take the processor from others. */
export class RefusalPace {
  readonly #options: RefusalOptions;
  readonly #credit = new Credit();
  readonly #monotonicMs: () => number;

  constructor(monotonicMs: () => number, options: RefusalOptions = DEFAULT_REFUSALS) {
    this.#options = options;
    this.#monotonicMs = monotonicMs;
  }

  answer(refuse: () => void): void {
    if (this.#credit.take(this.#options, this.#monotonicMs())) refuse();
    else setTimeout(refuse, this.#options.delayMs).unref();
  }
}
