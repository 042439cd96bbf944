import type { Fault } from "../../lib/faults/fault.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { toFault } from "./report.ts";
import type { Session } from "./session.ts";

const RETRY: Backoff = { firstMs: 100, maxMs: 1_000 };
/** How long a command goes on without an API that has answered before. */
const LIMIT_MS = 30_000;
/** A call that lasted so long had reached the API, although nothing came by it. */
const WAS_OPEN_MS = 5_000;

/** The time for which the API does not answer, e.g. because it restarts. For calls that last. */
export class Absence {
  readonly #session: Pick<Session, "signal" | "say">;
  #triedMs = performance.now();
  #hasAnswered = false;
  #sinceMs: number | undefined;
  #failures = 0;

  constructor(session: Pick<Session, "signal" | "say">) {
    this.#session = session;
  }

  /** Notes that the API has answered. */
  over(): void {
    this.#hasAnswered = true;
    this.#sinceMs = undefined;
    this.#failures = 0;
  }

  /** Waits before the next attempt. @throws `err` when there should be none */
  async pause(err: unknown): Promise<void> {
    const { signal } = this.#session;
    const fault = toFault(err);
    if (signal.aborted || !isAway(fault)) throw err;
    // Nobody was there to begin with.
    if (!this.#hasAnswered && wasNotConnected(fault)) throw err;
    if (performance.now() - this.#triedMs > WAS_OPEN_MS && !wasNotConnected(fault)) this.over();
    this.#hasAnswered = true;
    if (this.#sinceMs === undefined) {
      this.#sinceMs = performance.now();
      this.#session.say("The API does not answer; waiting until it is back.");
    }
    if (performance.now() - this.#sinceMs >= LIMIT_MS) throw err;
    await sleep(backoffMs(RETRY, this.#failures++), signal);
    if (signal.aborted) throw err;
    this.#triedMs = performance.now();
  }
}

/** `CANCELLED`, since a server that is out of time cancels what is left. */
const AWAY = new Set(["PEER_UNAVAILABLE", "SERVER_DRAINING", "CANCELLED"]);

function isAway({ reason }: Fault): boolean {
  return AWAY.has(reason);
}

/** Whether there was no connection at all, by the words of grpc-js. */
function wasNotConnected({ cause }: Fault): boolean {
  return cause instanceof Error && cause.message.includes("No connection established");
}
