import { logger } from "../../lib/log.ts";
import { sleep } from "../../lib/wait.ts";
import type { HostAddress } from "../adapters/hostd.ts";
import type { CreateHosts } from "./context.ts";

/** Between attempts, in milliseconds: the first comes late enough for a request that was broken off to have arrived. */
const PAUSES_MS = [1_000, 2_000, 5_000, 10_000, 20_000];
/**
 * By then the hold is over that a late award would need (reservations live for 5 s by default, and hosts add 1 s): a machine that is not there is
 * not made any more. Before, that it was destroyed, or not there, says nothing about an award that is still on its way.
 */
const HOLD_OVER_MS = 8_000;
/** More than this at a time are left to the sweeper, and so is a host that stays away. */
const MAX_WAITING = 1_000;

/**
 * Destroys machines that nobody wants on hosts that did not answer, or whose answer nobody waited for: they may have been made after they were
 * first destroyed. In the background; what it does not reach, the sweeper does.
 */
export class Cleanups {
  readonly #hosts: Pick<CreateHosts, "destroy">;
  readonly #pauses: readonly number[];
  readonly #holdOverMs: number;
  readonly #abort = new AbortController();
  readonly #waiting = new Set<Promise<void>>();

  constructor(
    hosts: Pick<CreateHosts, "destroy">,
    pauses: readonly number[] = PAUSES_MS,
    holdOverMs = HOLD_OVER_MS,
  ) {
    this.#hosts = hosts;
    this.#pauses = pauses;
    this.#holdOverMs = holdOverMs;
  }

  /** Destroys this machine in a while. */
  later(host: HostAddress, machineId: string): void {
    if (this.#waiting.size >= MAX_WAITING || this.#abort.signal.aborted) return;
    const work = this.#destroy(host, machineId).finally(() => this.#waiting.delete(work));
    this.#waiting.add(work);
  }

  /** Gives up what is left. */
  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#waiting);
  }

  async #destroy(host: HostAddress, machineId: string): Promise<void> {
    const { signal } = this.#abort;
    let sinceMs = 0;
    for (const pause of this.#pauses) {
      await sleep(pause, signal);
      sinceMs += pause;
      if (signal.aborted) return;
      try {
        await this.#hosts.destroy(host, machineId, { signal });
        if (sinceMs >= this.#holdOverMs) return;
      } catch (error) {
        logger.debug("an unwanted machine could not be destroyed yet", { machine_id: machineId, error });
      }
    }
  }
}
