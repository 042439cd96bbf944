import { ulid } from "ulid";
import { expect } from "vitest";
import { HostEvent } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  type Machine,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { WatchMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import type { Clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";
import { Watcher } from "./watcher.ts";

/** The outbox of a fake host: reports changes of its machines. */
export class Reporter {
  readonly #world: World;
  readonly #host: number;
  readonly #generations = new Map<string, bigint>();
  #sequence = 0n;

  constructor(world: World, host = 1) {
    this.#world = world;
    this.#host = host;
  }

  /** Makes a change with an event. */
  change(machine: Machine, state: MachineState = MachineState.STARTED): HostEvent {
    const generation = (this.#generations.get(machine.id) ?? machine.generation) + 1n;
    this.#generations.set(machine.id, generation);
    this.#sequence += 1n;
    const event = MachineEvent.fromPartial({ id: ulid(), type: "start", status: state, source: "hostd" });
    const status = { id: machine.id, state, generation, updateTime: new Date() };
    return HostEvent.fromPartial({ sequence: this.#sequence, status, event });
  }

  /** Reports changes to an api. */
  async report(to: TestApi, events: readonly HostEvent[]): Promise<void> {
    const { reports } = to.internal;
    const { number, identity } = this.#world.host(this.#host);
    await call(
      reports,
      reports.reportEvents,
      { hostNumber: number, identity, events: [...events] },
      { timeoutMs: 20_000 },
    );
  }
}

/** A world with one host, two apis and the apps `web` and `jobs`. */
export class WatchedWorld {
  readonly world: World;
  readonly api: TestApi;
  readonly other: TestApi;
  /** Reports changes of the host's machines. A new one for each test. */
  host: Reporter;
  #watchers: Watcher[] = [];

  private constructor(world: World, api: TestApi, other: TestApi) {
    this.world = world;
    this.api = api;
    this.other = other;
    this.host = new Reporter(world);
  }

  static async open(): Promise<WatchedWorld> {
    const world = await World.open(1);
    const watched = new WatchedWorld(world, await world.api(), await world.api());
    await watched.api.user.createApp("web");
    await watched.api.user.createApp("jobs");
    return watched;
  }

  /** Removes all machines. Must be called before each test. */
  async clear(): Promise<void> {
    await this.world.clear();
    await this.world.sql("update hosts set applied_sequence = 0");
    this.host = new Reporter(this.world);
  }

  /** Ends all watches. Must be called after each test. */
  async closeWatches(): Promise<void> {
    await Promise.all(this.#watchers.splice(0).map((watcher) => watcher.close()));
  }

  close(): Promise<void> {
    return this.world.close();
  }

  watch(request: Partial<WatchMachinesRequest> = {}, from: Clients = this.api.user): Watcher {
    const watcher = new Watcher(from, request);
    this.#watchers.push(watcher);
    return watcher;
  }

  /** Begins a watch, and waits until it has the present states. */
  async watching(request: Partial<WatchMachinesRequest> = {}, from?: Clients): Promise<Watcher> {
    const watcher = this.watch(request, from);
    await expect.poll(() => watcher.position).not.toBe("");
    return watcher;
  }

  async create(app = "web"): Promise<Machine> {
    const { machine } = await this.api.user.create({ app });
    if (!machine) throw new Error("no machine");
    return machine;
  }
}

export function idsOf(events: readonly HostEvent[]): readonly string[] {
  return events.map(({ event }) => event?.id ?? "");
}
