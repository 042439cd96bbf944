import { Fault } from "../../../src/lib/faults/fault.ts";
import type { MachineCalls, Started } from "../../../src/proxy/hosts/calls-client.ts";
import type { HostLink } from "../../../src/proxy/hosts/host-link.ts";
import type { HostConnector } from "../../../src/proxy/hosts/hosts.ts";
import type { HostNews, HostOrders, MachineView } from "../../../src/proxy/hosts/machine-view.ts";
import type { MachineState } from "../../../src/proxy/machines/machine-state.ts";

const LOST_USE_MS = 30_000;

interface SimMachine {
  state: MachineState;
  generation: number;
  ready: boolean;
  /** Proxies that use it, with the moment when a lost use ends. */
  readonly uses: Map<string, number>;
  unusedSinceMs: number;
}

/** A stream of one proxy, with what is on its way. */
interface SimStream {
  readonly proxy: string;
  readonly link: HostLink;
  isOpen: boolean;
  up: HostOrders[];
  down: HostNews[];
  readonly watched: Set<string>;
}

interface PendingCall {
  readonly kind: "start" | "stop";
  readonly proxy: string;
  readonly machineId: string;
  readonly run: () => void;
}

/** A model of a host: machines, uses and conditional stops. Nothing moves but by its methods. */
export class SimHost {
  readonly machines = new Map<string, SimMachine>();
  readonly streams: SimStream[] = [];
  calls: PendingCall[] = [];
  /** Answers to calls, on their way back. */
  answers: (() => void)[] = [];
  /** Starts that a proxy has asked for, while one was under way for the same machine. */
  doubleStarts = 0;
  /** Fault of the next starts, by machine. */
  /** Refuses suspends with this. */
  suspendFault: Fault | undefined;
  suspendsRefused = 0;
  readonly startFaults = new Map<string, Fault>();
  startsAsked = 0;
  idleStops = 0;
  readonly #now: () => number;
  #refuseStopsUntilMs = Number.NEGATIVE_INFINITY;
  readonly #starting = new Set<string>();

  constructor(now: () => number) {
    this.#now = now;
  }

  add(id: string, state: MachineState = "stopped"): void {
    this.machines.set(id, {
      state,
      generation: 1,
      ready: false,
      uses: new Map(),
      unusedSinceMs: this.#now(),
    });
  }

  connector(proxy: string): HostConnector {
    return {
      connect: (_, link) => {
        const stream: SimStream = { proxy, link, isOpen: false, up: [], down: [], watched: new Set() };
        this.streams.push(stream);
        return { calls: this.#callsOf(proxy), close: () => {} };
      },
    };
  }

  /** Opens a stream that is not. */
  open(stream: SimStream): void {
    if (stream.isOpen) return;
    stream.isOpen = true;
    stream.link.opened((orders) => stream.up.push(orders));
  }

  /** Breaks a stream: what is on its way is lost. */
  lose(stream: SimStream): void {
    if (!stream.isOpen) return;
    this.#forgetStream(stream);
    for (const machine of this.machines.values())
      if (machine.uses.has(stream.proxy)) machine.uses.set(stream.proxy, this.#now() + LOST_USE_MS);
    stream.link.lost();
  }

  /** hostd is killed and started: it remembers no use, and no call is answered. */
  restart(): void {
    this.#refuseStopsUntilMs = this.#now() + LOST_USE_MS;
    for (const machine of this.machines.values()) machine.uses.clear();
    for (const stream of this.streams) {
      if (!stream.isOpen) continue;
      this.#forgetStream(stream);
      stream.link.lost();
    }
  }

  /** Takes the oldest message of a proxy in. */
  takeUp(stream: SimStream): void {
    const orders = stream.up.shift();
    if (!orders || !stream.isOpen) return;
    for (const id of orders.unwatch ?? []) stream.watched.delete(id);
    for (const id of orders.watch ?? []) stream.watched.add(id);
    for (const { machineId, unusedMs } of orders.released ?? []) {
      const machine = this.machines.get(machineId);
      if (!machine?.uses.delete(stream.proxy)) continue;
      machine.unusedSinceMs = Math.max(machine.unusedSinceMs, this.#now() - unusedMs);
    }
    for (const id of orders.use ?? [])
      this.machines.get(id)?.uses.set(stream.proxy, Number.POSITIVE_INFINITY);
    const told = [...(orders.watch ?? []), ...(orders.use ?? [])];
    stream.down.push({
      machines: told.map((id) => ({ id, view: this.#view(id) })),
      usedIds: orders.use ?? [],
      lostUseMs: orders.proxyId === undefined ? undefined : LOST_USE_MS,
    });
  }

  /** Gives the oldest message to a proxy. */
  giveDown(stream: SimStream): void {
    const news = stream.down.shift();
    if (news && stream.isOpen) stream.link.received(news);
  }

  /** Moves a machine that is between two states. */
  step(id: string): void {
    const machine = this.machines.get(id);
    if (machine?.state === "starting") this.#change(id, "started");
    else if (machine?.state === "stopping") this.#change(id, "stopped");
    else if (machine?.state === "started" && !machine.ready) this.#change(id, "started", true);
  }

  /** Takes the oldest call in; its answer is on its way then. */
  takeCall(): void {
    this.calls.shift()?.run();
  }

  #forgetStream(stream: SimStream): void {
    stream.isOpen = false;
    stream.up = [];
    stream.down = [];
    stream.watched.clear();
  }

  #callsOf(proxy: string): MachineCalls {
    return {
      start: ({ machineId }) => this.#start(proxy, machineId),
      stop: ({ machineId }, ifUnusedForMs) => this.#stop(proxy, machineId, ifUnusedForMs),
      suspend: ({ machineId }, ifUnusedForMs) => {
        const fault = this.suspendFault;
        if (!fault) return this.#stop(proxy, machineId, ifUnusedForMs);
        this.suspendsRefused += 1;
        return this.#call("stop", proxy, machineId, () => {
          throw fault;
        });
      },
    };
  }

  #start(proxy: string, machineId: string): Promise<Started> {
    const key = `${proxy} ${machineId}`;
    if (this.#starting.has(key)) this.doubleStarts += 1;
    this.#starting.add(key);
    this.startsAsked += 1;
    return this.#call("start", proxy, machineId, () => {
      this.#starting.delete(key);
      const fault = this.startFaults.get(machineId);
      if (fault) throw fault;
      const machine = this.machines.get(machineId);
      if (!machine) throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", "no such machine");
      const isRunning = ["starting", "started"].includes(machine.state);
      if (!isRunning) {
        machine.unusedSinceMs = this.#now();
        this.#change(machineId, "starting");
      }
      return { path: isRunning ? "" : "warm", traceId: "", generation: machine.generation };
    });
  }

  #stop(proxy: string, machineId: string, ifUnusedForMs: number): Promise<void> {
    return this.#call("stop", proxy, machineId, () => {
      const machine = this.machines.get(machineId);
      if (machine?.state !== "started") return;
      const now = this.#now();
      for (const [user, untilMs] of machine.uses) {
        if (untilMs > now) continue;
        machine.uses.delete(user);
        machine.unusedSinceMs = Math.max(machine.unusedSinceMs, untilMs);
      }
      const isUsed = machine.uses.size > 0 || now - machine.unusedSinceMs < ifUnusedForMs;
      if (isUsed || now < this.#refuseStopsUntilMs)
        throw new Fault("FAILED_PRECONDITION", "MACHINE_IN_USE", "it is used", {}, { retryAfterMs: 1_000 });
      this.idleStops += 1;
      this.#change(machineId, "stopping");
    });
  }

  #call<T>(kind: "start" | "stop", proxy: string, machineId: string, act: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const run = () => {
      try {
        const result = act();
        this.answers.push(() => resolve(result));
      } catch (error) {
        this.answers.push(() => reject(error));
      }
    };
    this.calls.push({ kind, proxy, machineId, run });
    return promise;
  }

  #change(id: string, state: MachineState, ready = false): void {
    const machine = this.machines.get(id);
    if (!machine) return;
    Object.assign(machine, { state, ready, generation: machine.generation + 1 });
    const machines = [{ id, view: this.#view(id) }];
    for (const { isOpen, watched, down } of this.streams)
      if (isOpen && watched.has(id)) down.push({ machines, usedIds: [], lostUseMs: undefined });
  }

  #view(id: string): MachineView {
    const { state = "missing", generation = 0, ready = false } = this.machines.get(id) ?? {};
    const addresses = new Map([[8080, { host: "127.0.0.1", port: 20_000 }]]);
    const start = { lastEventType: "", startPath: "warm", startTraceId: "" };
    return { state, generation, ready, cordoned: false, instanceId: "v1", addresses, ...start };
  }
}
