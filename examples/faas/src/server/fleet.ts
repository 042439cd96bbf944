import { setTimeout as delay } from "node:timers/promises";
import { isWindhoverError, type Machine, type MachineConfig, type Windhover } from "@windhover/client";
import type { FunctionMachine } from "../functions.ts";
import { Problem } from "../problem.ts";
import { call } from "./call.ts";
import { ladder, type Wanted } from "./ladder.ts";
import type { RunningMachine } from "./pool.ts";

/** What the server needs of the fleet. */
export interface FunctionFleet {
  /** Lists the machines of all functions. */
  list(): Promise<readonly FunctionMachine[]>;
  /** Resolves whenever a machine has changed. */
  changes(signal: AbortSignal): AsyncIterable<unknown>;
  /** Returns the whole configuration of a machine. */
  configOf(id: string): Promise<MachineConfig | undefined>;
  /** Climbs the ladder, and waits until the function is loaded. */
  acquire(
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<{ readonly machine: RunningMachine; readonly path: string }>;
  stop(id: string): Promise<unknown>;
  destroy(id: string): Promise<unknown>;
  /** Reads the last lines of a machine's output. */
  logs(id: string, tail: number): Promise<readonly string[]>;
}

const READY_POLL_MS = 50;
const READY_CALL_MS = 2_000;
/** How often a machine that is not ready is looked at: it may have ended. */
const LOOK_EVERY_MS = 1_000;

/** The machines of functions on a real fleet. */
export class WindhoverFleet implements FunctionFleet {
  readonly #windhover: Windhover;
  readonly #app: string;
  readonly #hedgeAfterMs: number;

  /** @param hedgeAfterMs begins the next step of the ladder beside one that takes so long. 0: never */
  constructor(windhover: Windhover, app: string, hedgeAfterMs: number) {
    this.#windhover = windhover;
    this.#app = app;
    this.#hedgeAfterMs = hedgeAfterMs;
  }

  async list(): Promise<readonly FunctionMachine[]> {
    const all: FunctionMachine[] = [];
    try {
      for await (const machine of this.#windhover.machines.list({ app: this.#app })) all.push(machine);
    } catch (err) {
      // The first deployment creates the app.
      if (!isWindhoverError(err, "APP_NOT_FOUND")) throw err;
    }
    return all;
  }

  async *changes(signal: AbortSignal): AsyncIterable<unknown> {
    yield* this.#windhover.machines.watch({ app: this.#app, signal });
  }

  async configOf(id: string): Promise<MachineConfig | undefined> {
    return (await this.#windhover.machines.get(id)).config;
  }

  async acquire(wanted: Wanted, signal: AbortSignal) {
    const options = { hedgeAfterMs: this.#hedgeAfterMs, steps: ladder(wanted) };
    const { machine } = await this.#windhover.acquire(options, { signal }).catch((err: unknown) => {
      if (!isWindhoverError(err, "NO_STEP_WORKED", "ACQUIRE_TIMEOUT")) throw err;
      throw new Problem(503, "NO_MACHINE", `no machine can run the function now: ${reasons(err.facts)}`, {
        retryAfterS: 2,
        cause: err,
      });
    });
    const address = machine.serviceAddresses[0]?.address;
    if (address === undefined) throw new Problem(502, "NO_ADDRESS", `machine ${machine.id} has no address`);
    try {
      await this.#ready(machine, address, signal);
    } catch (err) {
      // Without a caller it would run until it is idle.
      void this.stop(machine.id).catch(() => undefined);
      throw err;
    }
    return { machine: { id: machine.id, region: machine.region, address }, path: machine.lastStartPath };
  }

  stop(id: string): Promise<unknown> {
    return this.#windhover.machines.stop(id, { graceMs: 1_000 });
  }

  destroy(id: string): Promise<unknown> {
    return this.#windhover.machines.destroy(id);
  }

  async logs(id: string, tail: number): Promise<readonly string[]> {
    const lines: string[] = [];
    for await (const { text } of this.#windhover.machines.logs(id, { tail })) lines.push(text);
    return lines;
  }

  /** Waits until the function is loaded. Connections before that are refused or closed. */
  async #ready({ id }: Machine, address: string, signal: AbortSignal): Promise<void> {
    let lookedMs = performance.now();
    for (;;) {
      const scope = AbortSignal.any([signal, AbortSignal.timeout(READY_CALL_MS)]);
      const answer = await call(address, { method: "GET", path: "/ready" }, scope).catch(() => undefined);
      if (answer?.status === 200) return;
      signal.throwIfAborted();
      if (performance.now() - lookedMs > LOOK_EVERY_MS) {
        const { state } = await this.#windhover.machines.get(id, { signal });
        lookedMs = performance.now();
        if (state !== "started") throw await this.#broken(id);
      }
      await delay(READY_POLL_MS, undefined, { signal });
    }
  }

  async #broken(id: string): Promise<Problem> {
    const lines = await this.logs(id, 20).catch(() => []);
    return new Problem(502, "FUNCTION_BROKEN", `the function could not be loaded: ${lines.join("\n")}`);
  }
}

/** Joins `reason_0`, `reason_1`, ... of an acquire's error. */
function reasons(facts: Readonly<Record<string, string>>): string {
  const found = Object.entries(facts).filter(([name]) => name.startsWith("reason_"));
  return found.map(([, reason]) => reason).join(", ");
}
