import type { HostServiceClient } from "../../../gen/windhover/hostd/v1/hostd.ts";
import { abortable } from "../../../lib/runtime/abort.ts";
import type { Clock } from "../../../lib/runtime/clock.ts";
import { TimeLimit } from "../../../lib/runtime/wait.ts";
import type { HostAddress } from "../../machines/host/host-address.ts";
import type { Machine } from "../../machines/machine.ts";
import type { Target, WaitOptions } from "../../machines/machines.ts";
import type { CallLimits } from "../../requests/caller.ts";
import { Waiter } from "./waiter.ts";
import { HostWatch } from "./watch-client.ts";

export interface WaitsOptions {
  /** Returns a client for watches of a host. */
  client(host: HostAddress): HostServiceClient;
  /** Returns the present address of a host, which may change with a restart. */
  whereIs(number: number): HostAddress | undefined;
  faultOf(err: unknown, host: HostAddress): unknown;
  readonly clock: Clock;
}

/** Serves all waits for machines at this api: one stream for each host that has waits. */
export class Waits {
  readonly #options: WaitsOptions;
  readonly #watches = new Map<number, HostWatch>();

  constructor(options: WaitsOptions) {
    this.#options = options;
  }

  /**
   * Waits until a machine is in one of the states. Returns it as it was then, without its configuration.
   *
   * @param readHistory reads the machine with its newest events
   * @throws Fault `MACHINE_NOT_FOUND`, `STATE_UNREACHABLE`, `REPLACED`, `WAIT_TIMEOUT`, `HOST_UNREACHABLE`
   */
  async wait(
    host: HostAddress,
    { timeoutMs, ...target }: Target & WaitOptions,
    limits: CallLimits,
    readHistory: () => Promise<Machine>,
  ): Promise<Omit<Machine, "config">> {
    const waiter = new Waiter(target, this.#options.clock.monotonicMs(), readHistory);
    using limit = new TimeLimit(timeoutMs, limits.signal, () => waiter.timeout(timeoutMs));
    const remove = this.#watch(host).add(waiter);
    try {
      return await abortable(waiter.settled, limit.signal);
    } finally {
      remove();
    }
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #watch(host: HostAddress): HostWatch {
    const { number } = host;
    const known = this.#watches.get(number);
    if (known) return known;
    const { client, whereIs, faultOf, clock } = this.#options;
    const watch: HostWatch = new HostWatch({
      client: () => client(whereIs(number) ?? host),
      nowMs: () => clock.monotonicMs(),
      faultOf: (err) => faultOf(err, host),
      onIdle: () => {
        if (this.#watches.get(number) === watch) this.#watches.delete(number);
      },
    });
    this.#watches.set(number, watch);
    return watch;
  }
}
