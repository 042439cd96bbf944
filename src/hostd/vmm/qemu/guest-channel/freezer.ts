import { abortable } from "../../../../lib/runtime/abort.ts";
import { TimeLimit } from "../../../../lib/runtime/wait.ts";
import type { ExecEnd } from "../../exec.ts";
import type { Agent, GoingOn } from "./agent.ts";

const FREEZE_TIMEOUT_MS = 10_000;
const RENEW_TIMEOUT_MS = 15_000;
/** A program of the image, for what a program must do before it goes on. */
const HOOK = "/.fly/restore";
const HOOK_TIMEOUT_MS = 10_000;

/**
 * Stops a guest's workload for a save and lets it go on. See docs/adr/0034-snapshots-and-suspend.md.
 */
export class Freezer {
  readonly #agent: Agent;
  #isFrozen = false;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Whether the workload stands still, or is to. */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Stops a running workload. Rejects when it does not stand still. @param closes ends its connections with others */
  async freeze(closes: boolean, signal: AbortSignal): Promise<void> {
    this.#isFrozen = true;
    using limit = new TimeLimit(
      FREEZE_TIMEOUT_MS,
      signal,
      () => new Error("the workload does not stand still"),
    );
    const state = await this.#agent.freeze(closes, limit.signal);
    if (!state.isFrozen) throw new Error(`the workload has ${state.state}`);
  }

  /**
   * Lets a workload that stands still go on: with new clock and entropy, and in another VM after the
   * program of its image that is to run then. Rejects when one of these fails.
   */
  async thaw(how: GoingOn, signal: AbortSignal): Promise<void> {
    // A pause: how the clocks are related is unknown.
    this.#agent.resetClock();
    if (this.#agent.state?.isFrozen) {
      using limit = new TimeLimit(
        RENEW_TIMEOUT_MS,
        signal,
        () => new Error("the guest does not confirm new entropy"),
      );
      const { hasHook } = await this.#agent.renew(how, limit.signal);
      if (hasHook && how.isOther) await this.#runHook(signal);
      await this.#agent.thaw(limit.signal);
    } else {
      // A freeze that was not answered in time may still come.
      await this.#agent.thaw(signal);
    }
    this.#isFrozen = false;
  }

  async #runHook(signal: AbortSignal): Promise<void> {
    using limit = new TimeLimit(HOOK_TIMEOUT_MS, signal, () => new Error(`${HOOK} did not end in time`));
    const command = await this.#agent.execs.run({ argv: [HOOK], env: {}, stdin: false }, limit.signal);
    try {
      const drained = (async () => {
        for await (const _ of command.output);
      })();
      const end = await abortable(Promise.all([command.ended, drained]), limit.signal).then(
        ([ended]) => ended,
      );
      if (end.kind !== "exit" || end.code !== 0) throw new Error(`${HOOK} failed: ${describeEnd(end)}`);
    } finally {
      command.kill();
    }
  }
}

function describeEnd(end: ExecEnd): string {
  if (end.kind === "exit") return `code ${end.code}`;
  return end.kind === "signal" ? `signal ${end.signal}` : end.detail;
}
