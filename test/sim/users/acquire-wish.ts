import type { Acquired, AcquireRequest, Step } from "../../../src/api/acquire/acquire.ts";
import type { CreateRequest } from "../../../src/api/creates/store/create-state.ts";
import { parseMachineId } from "../../../src/api/machines/ids/machine-id.ts";
import type { Machine } from "../../../src/api/machines/machine.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { CreateCall } from "../services/api.ts";
import type { Random } from "../world/random.ts";
import type { Ask } from "./actor.ts";

const MAX_TRIES = 6;

/** A machine that a user wants to have running: one that there is, or else a new one. */
export class AcquireWish {
  readonly atMs: number;
  readonly key: string;
  /** Ids of the machines that it was answered with. */
  readonly got = new Set<string>();
  /** Machine that it may start. Nobody else does. */
  startable: string | undefined;
  isOver = false;
  readonly #request: CreateRequest;
  readonly #random: Random;

  /** @param request of the machines that it creates, but for their names */
  constructor(key: string, atMs: number, request: CreateRequest, random: Random) {
    this.key = key;
    this.atMs = atMs;
    this.#request = request;
    this.#random = random;
  }

  async pursue(ask: Ask): Promise<void> {
    const random = this.#random;
    if (random.chance(0.6)) await this.#create(ask);
    const request = this.#acquire();
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const timeoutMs = random.pick([100, 1_000, 40_000]);
      const acquired = await ask<Acquired>("acquireMachine", request, timeoutMs).catch(() => undefined);
      if (acquired) this.got.add(acquired.machine.id);
      if (acquired && random.chance(0.5)) break;
      await sleep(random.between(0, 4_000));
    }
    this.isOver = true;
  }

  /** Creates the machine that it may start. */
  async #create(ask: Ask): Promise<void> {
    const request = { ...this.#request, name: `${this.key}-old`, skipLaunch: true };
    const call: CreateCall = { request, requestId: `${this.key}-old` };
    const created = await ask<{ machine: Machine }>("createMachine", call, 20_000).catch(() => undefined);
    this.startable = created?.machine.id;
  }

  #acquire(): AcquireRequest {
    const random = this.#random;
    const { startable } = this;
    const machineId = startable === undefined ? undefined : parseMachineId(startable);
    const timeoutMs = random.chance(0.5) ? random.pick([50, 2_000]) : undefined;
    const launch = (name: string): Step => {
      return { kind: "launch", request: { ...this.#request, name: `${this.key}-${name}` }, timeoutMs };
    };
    const start: Step[] = machineId ? [{ kind: "start", machineId, timeoutMs }] : [];
    const steps = [...start, launch("first"), launch("second")];
    const hedgeAfterMs = random.chance(0.8) ? random.pick([5, 50, 300]) : undefined;
    return {
      org: this.#request.org,
      key: this.key,
      steps,
      timeoutMs: random.pick([3_000, 30_000]),
      hedgeAfterMs,
    };
  }
}
