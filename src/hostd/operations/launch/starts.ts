import { hasReason } from "../../../lib/faults/fault.ts";
import { annotate, attribute, withSpan } from "../../../lib/otel/tracing.ts";
import { abortable } from "../../../lib/runtime/abort.ts";
import { allowed, decideStart } from "../../machines/decisions/decide.ts";
import type { Caller, StartCause } from "../../machines/machine.ts";
import { measureStart } from "../../telemetry/operation-metrics.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { cancelled, cutShort, passed, resumedEarly } from "../requests/accepted.ts";
import type { Guard, StartResult } from "../requests/request.ts";
import type { RequestQueue } from "../requests/request-queue.ts";
import { type LaunchParts, launch } from "./launch.ts";
import { launchAgain } from "./launch-again.ts";
import { watchStart } from "./start-watch.ts";

/** Other operations of the machine, for which a start waits. */
interface Others {
  /** Returns a function that tells whether a stop was asked for since. */
  watchStops(): () => boolean;
  /** Ends an update, or a VM that could not be taken over, of an earlier hostd. */
  endWhatIsLeft(): Promise<void>;
}

/** The starts of one machine, by calls and without. */
export class Starts {
  readonly #runtime: MachineRuntime;
  readonly #queue: RequestQueue;
  readonly #parts: LaunchParts;
  readonly #others: Others;

  constructor(runtime: MachineRuntime, queue: RequestQueue, parts: LaunchParts, others: Others) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#parts = parts;
    this.#others = others;
  }

  /**
   * Starts the machine, and watches its process for `watchMs` to report one that ends at once. The
   * start is over when the process is exec'ed: a watch holds no slot, and other requests do not wait
   * for it. In a passing state it waits, until `signal` aborts or a stop is asked for after it.
   *
   * @param guard refuses the start when the caller may not change the machine; called again when its turn has come
   * @param caller who asked for it
   * @throws Fault INVALID_STATE, of `guard`; as {@link launch} does
   */
  async start(
    watchMs: number,
    guard: Guard = () => {},
    signal?: AbortSignal,
    caller?: Caller,
  ): Promise<StartResult> {
    const runtime = this.#runtime;
    const wasStopped = this.#others.watchStops();
    for (;;) {
      const { machine } = runtime;
      const { activity, last } = this.#queue;
      const decision = allowed(decideStart(machine, activity));
      if (decision.kind === "already") {
        annotate(attribute.already, true);
        return { machine, previous: machine.state, already: true, startPath: machine.lastStartPath };
      }
      if (decision.kind === "interrupt" && last) cutShort(last, resumedEarly(machine.id), {});
      if (decision.kind === "wait" || decision.kind === "interrupt") {
        const turn = () => abortable(last ? passed(last) : this.#others.endWhatIsLeft(), signal);
        await withSpan("hostd.queue", {}, turn);
      } else {
        const result = await this.#join(guard, caller);
        if (result) {
          await watchStart(runtime, watchMs);
          return { ...result, machine: runtime.machine };
        }
      }
      if (wasStopped()) throw cancelled(machine.id, "stopped");
      guard(runtime.machine);
    }
  }

  /**
   * Starts the machine without a call, unless an operation is under way.
   *
   * @throws Fault as {@link launch} does
   */
  async startDue(cause: StartCause): Promise<void> {
    if (!this.#queue.last) await this.#begin(cause);
  }

  /** Joins the start that is under way, or begins one. Undefined: that of another caller may not change the machine. */
  async #join(guard: Guard, caller: Caller | undefined): Promise<StartResult | undefined> {
    if (this.#queue.last?.kind !== "start") return this.#begin(undefined, guard, caller);
    annotate(attribute.joined, true);
    try {
      return await this.#queue.last.done;
    } catch (err) {
      if (hasReason(err, "LEASE_HELD") || hasReason(err, "MACHINE_CORDONED")) return undefined;
      throw err;
    }
  }

  #begin(cause?: StartCause, guard?: Guard, caller?: Caller): Promise<StartResult> {
    const cancellation = new AbortController();
    const runtime = this.#runtime;
    const start =
      cause === undefined
        ? () => launch(runtime, this.#parts, cancellation.signal, { guard, caller })
        : () => launchAgain(runtime, this.#parts, cancellation.signal, { cause });
    const done = measureStart(() => this.#queue.after(start));
    return this.#queue.add({ kind: "start", done, cancellation });
  }
}
