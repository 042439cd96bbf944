import type { Place } from "../../../src/proxy/route.ts";
import { MachineRouter } from "../../../src/proxy/router.ts";
import { RouteTable } from "../../../src/proxy/routes/route-table.ts";
import type { Routes } from "../../../src/proxy/routes/routes.ts";
import type { WaitingLimits } from "../../../src/proxy/wakes/waiting-room.ts";
import { ManualTimers } from "./manual-timers.ts";
import { plainAsk } from "./route-fixtures.ts";
import { SimHost } from "./sim-host.ts";

/** A request of a test. */
export interface SimRequest {
  readonly proxy: number;
  readonly leave: AbortController;
  place: Place | undefined;
  /** Whether the host had acknowledged the use of the machine when it got its place. */
  isConfirmed: boolean;
  error: unknown;
  isOver: boolean;
}

/** Routers of several proxies, and the model of a host. Time and messages move only by its methods. */
export class SimFleet {
  readonly timers = new ManualTimers();
  readonly host = new SimHost(() => this.timers.now());
  readonly routers: MachineRouter[] = [];
  readonly tables: RouteTable[] = [];
  readonly requests: SimRequest[] = [];

  constructor(proxies: number, routes: Routes, limits?: WaitingLimits) {
    for (const { id, state } of routes.machines) this.host.add(id, state);
    const observer = { chosen() {}, startEnded() {}, idleStopEnded() {} };
    for (let i = 0; i < proxies; i++) {
      const table = new RouteTable(["localhost"]);
      const connector = this.host.connector(`proxy-${i}`);
      const options = {
        proxyId: `proxy-${i}`,
        region: "ord",
        table,
        connector,
        observer,
        timers: this.timers,
      };
      this.routers.push(new MachineRouter({ ...options, random: () => 0, ...(limits ? { limits } : {}) }));
      this.tables.push(table);
      table.replace(routes);
    }
  }

  /** A client asks a proxy for the app. */
  request(proxy = 0, change: Parameters<typeof plainAsk>[0] = {}): SimRequest {
    const request: SimRequest = {
      ...{ proxy, leave: new AbortController() },
      ...{ place: undefined, isConfirmed: false, error: undefined, isOver: false },
    };
    this.requests.push(request);
    void this.#run(request, change);
    return request;
  }

  finish(request: SimRequest): void {
    request.place?.release();
    request.isOver = true;
  }

  get held(): SimRequest[] {
    return this.requests.filter(({ place, isOver }) => place && !isOver);
  }

  get waiting(): SimRequest[] {
    return this.requests.filter(({ place, error, isOver }) => !place && error === undefined && !isOver);
  }

  /** Lets promises and what is due in this turn go on. */
  async turn(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      this.timers.settle();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.timers.settle();
  }

  /** Delivers everything, and lets all machines come to rest, as often as something moves. */
  async deliver(rounds = 12): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      for (const stream of this.host.streams) {
        this.host.open(stream);
        while (stream.up.length > 0) this.host.takeUp(stream);
        while (stream.down.length > 0) this.host.giveDown(stream);
      }
      while (this.host.calls.length > 0) this.host.takeCall();
      for (const answer of this.host.answers.splice(0)) answer();
      await this.turn();
      for (const id of this.host.machines.keys()) this.host.step(id);
      await this.turn();
    }
  }

  async #run(request: SimRequest, change: Parameters<typeof plainAsk>[0]): Promise<void> {
    const router = this.routers[request.proxy];
    try {
      const target = router?.target("web.localhost", 80);
      if (!router || !target) throw new Error("no such app");
      const place = await router.admit(target, plainAsk(change), request.leave.signal);
      request.place = place;
      request.isConfirmed = router.hosts.linkOf(place.machineId)?.uses.isConfirmed(place.machineId) ?? false;
      if (request.isOver) place.release();
    } catch (error) {
      request.error = error;
    }
  }
}
