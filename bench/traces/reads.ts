import { setTimeout as sleep } from "node:timers/promises";
import type { BenchReceiver } from "./receiver.ts";

const EVERY_MS = 50;

/** Asks the receiver for its health while spans come in: the time says how long its thread was taken. */
export class Reads {
  readonly #receiver: BenchReceiver;
  readonly #healthMs: number[] = [];
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(receiver: BenchReceiver) {
    this.#receiver = receiver;
    this.#done = this.#run();
  }

  /** Stops, and reads some traces. */
  async end(traceIds: readonly string[]) {
    this.#isOver = true;
    await this.#done;
    const traceMs: number[] = [];
    for (const traceId of traceIds) traceMs.push(await this.#get(`/api/traces/${traceId}`));
    return { healthMs: this.#healthMs, traceMs };
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.#healthMs.push(await this.#get("/healthz"));
      await sleep(EVERY_MS);
    }
  }

  async #get(path: string): Promise<number> {
    const { url, adminToken } = this.#receiver;
    const at = performance.now();
    const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${adminToken}` } });
    await answer.arrayBuffer();
    return performance.now() - at;
  }
}
