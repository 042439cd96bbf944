import { hasReason } from "../../../lib/faults/fault.ts";
import { annotate, attribute } from "../../../lib/otel/tracing.ts";
import { allowed, decideStop } from "../../machines/decisions/decide.ts";
import type { Machine } from "../../machines/machine.ts";
import type { Proxies } from "../../proxies/proxies.ts";
import { measureStop } from "../../telemetry/operation-metrics.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { cancelled, cutShort } from "../requests/accepted.ts";
import type { StopOptions, StopResult } from "../requests/request.ts";
import type { RequestQueue } from "../requests/request-queue.ts";
import { type IdleParts, type IdleStop, idleIntent, requireIdle } from "./idle-stops.ts";
import { StopOperation, type StopParts } from "./stop-operation.ts";

export type StopsParts = StopParts &
  IdleParts & { readonly proxies: Pick<Proxies, "settleAfter" | "leaveFor"> };

/** Of conditional stops. */
const REFUSALS = ["MACHINE_IN_USE", "INVALID_STATE", "LEASE_HELD"];

/** The stops of one machine: each cuts short what is under way, or joins the stop that is. */
export class Stops {
  readonly #runtime: MachineRuntime;
  readonly #queue: RequestQueue;
  readonly #parts: StopsParts;
  /** Stops that calls have asked for. */
  #asked = 0;

  constructor(runtime: MachineRuntime, queue: RequestQueue, parts: StopsParts) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#parts = parts;
  }

  /** Returns a function that tells whether a stop was asked for since. */
  watch(): () => boolean {
    const before = this.#asked;
    return () => this.#asked !== before;
  }

  /** Stops the machine. Resolves when its process has ended. @throws Fault INVALID_STATE */
  async stop(options: StopOptions): Promise<StopResult> {
    const decision = allowed(decideStop(this.#runtime.machine, this.#queue.activity));
    // A second stop only hurries the first one, after which starts that wait for it still come.
    if (this.#queue.last?.kind !== "stop") this.#asked += 1;
    if (decision.kind === "already") {
      annotate(attribute.already, true);
      await this.#runtime.untilDurable();
      return { machine: this.#runtime.machine, already: true };
    }
    return this.join(options);
  }

  /**
   * Stops the machine if it is idle: decided in the moment in which nothing that a proxy says can
   * come before the stop.
   *
   * @throws Fault MACHINE_IN_USE, INVALID_STATE, of `idle.guard`
   */
  async stopIdle(options: StopOptions, idle: IdleStop): Promise<StopResult> {
    const { machine } = this.#runtime;
    const { activity, last } = this.#queue;
    if (machine.state === "stopped" && activity === undefined) return this.stop(options);
    if (last?.kind === "stop") {
      annotate(attribute.joined, true);
      return last.done;
    }
    // Also now, so that one in use has no stop under way that another call could join.
    requireIdle(this.#parts, machine, activity, idle);
    this.#asked += 1;
    return this.#begin(options, (stopOperation) => stopOperation.run(), idle);
  }

  /** Joins the stop that is under way, or begins one. Starts that wait go on after it. */
  join(options: StopOptions): Promise<StopResult> {
    if (this.#queue.last?.kind === "stop") {
      const { done, stopOperation, isConditional } = this.#queue.last;
      annotate(attribute.joined, true);
      stopOperation.escalate(options);
      if (!isConditional) return done;
      return done.catch((err: unknown) => {
        // Its conditions need not hold: this one has none.
        if (REFUSALS.some((reason) => hasReason(err, reason))) return this.stop(options);
        throw err;
      });
    }
    return this.#begin(options, (stopOperation) => stopOperation.run());
  }

  /** Goes on with the stop of an earlier hostd. */
  resume(): Promise<StopResult> {
    return this.#begin({}, (stopOperation) => stopOperation.resume());
  }

  #begin(
    options: StopOptions,
    run: (stopOperation: StopOperation) => Promise<Machine>,
    idle?: IdleStop,
  ): Promise<StopResult> {
    const { proxies } = this.#parts;
    const { machine } = this.#runtime;
    const intent = idle && idleIntent(this.#parts, idle);
    const stopOperation = new StopOperation(this.#runtime, this.#parts, options, intent);
    const before = this.#queue.all;
    const stop = async () => ({ machine: await run(stopOperation), already: false });
    const done = measureStop(() => this.#queue.after(stop));
    if (idle) proxies.settleAfter(machine.id, done);
    else proxies.leaveFor(machine, done);
    this.#queue.add({ kind: "stop", done, stopOperation, isConditional: idle !== undefined });
    for (const each of before) cutShort(each, cancelled(machine.id, "stopped"), options);
    return done;
  }
}
