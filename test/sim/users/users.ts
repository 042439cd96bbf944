import type { CreateRequest } from "../../../src/api/creates/store/create-state.ts";
import type { Machine } from "../../../src/api/machines/machine.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { CreateCall, Use } from "../services/api.ts";
import type { Network } from "../world/network.ts";
import { Random } from "../world/random.ts";
import { Process, type World } from "../world/world.ts";
import { AcquireWish } from "./acquire-wish.ts";
import { Actor } from "./actor.ts";
import { randomBehaviour } from "./configs.ts";

/** A create that a user wants, and what has become of it. */
export interface Wish {
  readonly atMs: number;
  readonly request: CreateRequest;
  readonly requestId: string | undefined;
  /** Ids of the machines that it was answered with. */
  readonly got: Set<string>;
  /** Whether its user has asked for its end, or it ends by itself. */
  isUnwanted: boolean;
  isOver: boolean;
}

/** Errors after which a user asks again, with the same request id. */
const AGAIN: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "ABORTED",
  "CANCELLED",
]);
const ORG = "acme";
const MAX_TRIES = 8;

/** People who create machines and use them. Nothing ever happens to them but what they are answered. */
export class Users {
  readonly process: Process;
  readonly wishes: Wish[];
  readonly acquires: AcquireWish[] = [];
  readonly #net: Network;
  readonly #apis: readonly Process[];
  readonly #random: Random;
  readonly #behaviour: Random;

  /** Whether their machines are to be apart: never two on one host. */
  readonly wantDistinct: boolean;
  /** Whether they do more with their machines than start, stop and destroy them. */
  #areBusy: boolean;
  #suspendMuch = false;

  /** @param untilMs by when all wishes have been made */
  constructor(world: World, net: Network, apis: readonly Process[], untilMs: number) {
    this.#net = net;
    this.#apis = apis;
    this.#random = new Random(world.seed, "users");
    this.wantDistinct = this.#random.chance(0.25);
    this.#behaviour = new Random(world.seed, "behaviour");
    this.#areBusy = this.#behaviour.chance(0.7);
    this.wishes = Array.from({ length: this.#random.whole(2, 7) }, (_, i) => this.#wish(world, i, untilMs));
    this.process = new Process(world, "users", (life) => {
      for (const wish of this.wishes) world.after(life, wish.atMs, () => void this.#pursue(wish));
      const ask = <Res>(method: string, request: unknown, timeoutMs: number) =>
        this.#ask<Res>(method, request, timeoutMs);
      for (const wish of this.acquires) world.after(life, wish.atMs, () => void wish.pursue(ask));
    });
  }

  get areDone(): boolean {
    return [...this.wishes, ...this.acquires].every(({ isOver }) => isOver);
  }

  /** Has them acquire machines by keys, too. Before they begin. */
  acquire(seed: number, untilMs: number): void {
    if (this.wantDistinct) return;
    const random = new Random(seed, "acquires");
    for (let i = random.whole(1, 4); i > 0; i--) {
      const atMs = random.between(3_000, untilMs);
      const request = acquireRequest(random);
      this.acquires.push(new AcquireWish(`key-${i}`, atMs, request, random));
    }
  }

  /** Has them suspend and start machines more than anything else. Before they begin. */
  suspendMuch(): void {
    this.#areBusy = true;
    this.#suspendMuch = true;
  }

  #wish(world: World, index: number, untilMs: number): Wish {
    const random = this.#random;
    const guest = {
      cpuKind: "shared",
      cpus: random.whole(1, 2),
      memoryMb: 256 * random.whole(1, 4),
    } as const;
    const config = {
      ...{ image: "nginx", guest, env: {}, services: [], metadata: {} },
      stop: { signal: "", timeoutMs: random.pick([100, 5_000]) },
      ...(this.#areBusy ? randomBehaviour(this.#behaviour) : {}),
    };
    const placement = { hostLabels: {}, strategy: "spread", distinctHosts: true } as const;
    const request = {
      ...{
        org: ORG,
        app: "web",
        name: `m-${index}`,
        regions: ["ord"],
        regionAsked: "",
        config,
        skipLaunch: random.chance(0.3),
      },
      ...(this.wantDistinct ? { placement } : {}),
      ...(this.#areBusy && this.#behaviour.chance(0.2) ? { lease: { ttlMs: 2_000, owner: "test" } } : {}),
    };
    const requestId = random.chance(0.85) ? `request-${world.seed}-${index}` : undefined;
    // Some come together, which is when they meet.
    const atMs = 3_000 + (random.chance(0.4) ? 1_000 : random.between(0, untilMs));
    return { atMs, request, requestId, got: new Set(), isUnwanted: false, isOver: false };
  }

  async #pursue(wish: Wish): Promise<void> {
    const machine = await this.#create(wish);
    if (machine) await (this.#areBusy ? this.#useBusily(machine, wish) : this.#use(machine, wish));
    wish.isOver = true;
  }

  async #create(wish: Wish): Promise<Machine | undefined> {
    const { requestId } = wish;
    const request = this.#suspendMuch ? restful(wish.request) : wish.request;
    const call: CreateCall = { request, requestId };
    const tries = requestId === undefined ? 1 : MAX_TRIES;
    for (let attempt = 0; attempt < tries; attempt++) {
      try {
        const timeoutMs = this.#random.pick([150, 2_000, 30_000, 60_000]);
        const { machine } = await this.#ask<{ machine: Machine }>("createMachine", call, timeoutMs);
        wish.got.add(machine.id);
        wish.isUnwanted ||= machine.config.autoDestroy === true;
        // Sure is sure: the same again gives the same.
        if (this.#random.chance(0.8)) return machine;
      } catch (err) {
        if (!(err instanceof Fault) || !AGAIN.has(err.code)) return undefined;
      }
      await sleep(this.#random.between(0, 3_000));
    }
    return undefined;
  }

  async #use({ id }: Machine, wish: Wish): Promise<void> {
    for (let i = this.#random.whole(0, 4); i > 0; i--) {
      await sleep(this.#random.between(0, this.#random.pick([20, 8_000])));
      const what = this.#random.pick(["startMachine", "startMachine", "stopMachine", "destroyMachine"]);
      wish.isUnwanted ||= what === "destroyMachine";
      // What it comes to is for the invariants to say.
      const use: Use = { machineId: id, org: ORG, user: "test", options: {} };
      await this.#ask(what, use, 10_000).catch(() => undefined);
    }
  }

  /** Two of them use the same machine. */
  async #useBusily(machine: Machine, wish: Wish): Promise<void> {
    const random = this.#behaviour;
    const ask = <Res>(method: string, request: unknown, timeoutMs: number) => {
      // From then on it may end, whatever the answer.
      wish.isUnwanted ||= method === "destroyMachine" || method === "updateMachine";
      return this.#ask<Res>(method, request, timeoutMs);
    };
    const actors = ["ann", "bob"].map((name) => new Actor(name, machine, random, ask, this.#suspendMuch));
    await Promise.all(actors.map((actor) => actor.use(random.whole(1, 10))));
  }

  #ask<Res>(method: string, request: unknown, timeoutMs: number): Promise<Res> {
    return this.#net.call<Res>(this.#random.pick(this.#apis), method, request, { timeoutMs });
  }
}

/** A machine that runs for long, and is saved for its starts if its name says so. */
function restful(request: CreateRequest): CreateRequest {
  const { env: _, autoDestroy: _auto, ...config } = request.config;
  const isSaved = /[13579]$/.test(request.name);
  return { ...request, config: { ...config, env: {}, ...(isSaved ? { snapshot: "ready" } : {}) } };
}

/** A small machine that runs until it is stopped. */
function acquireRequest(random: Random): CreateRequest {
  const guest = { cpuKind: "shared", cpus: 1, memoryMb: 256 * random.whole(1, 3) } as const;
  const stop = { signal: "", timeoutMs: 100 };
  const config = { image: "nginx", guest, env: {}, services: [], metadata: {}, stop };
  const where = { org: ORG, app: "web", name: "", regions: ["ord"], regionAsked: "" };
  return { ...where, config, skipLaunch: false };
}
