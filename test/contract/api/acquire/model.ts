import { trace } from "@opentelemetry/api";
import type { AcquireTools, Candidate, CandidateQuery } from "../../../../src/api/acquire/acquire-tools.ts";
import type { CreateRequest } from "../../../../src/api/creates/store/create-state.ts";
import { type MachineId, newMachineId } from "../../../../src/api/machines/ids/machine-id.ts";
import type { HostStatus, Machine } from "../../../../src/api/machines/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import type { Life } from "./life.ts";
import { describe, type ModelMachine } from "./model-machine.ts";

/** A host of the model. */
interface ModelHost {
  /** Machines that may run at once. */
  readonly room: number;
  readonly status: HostStatus;
  /** How long a start or create takes, or when it ends. */
  readonly ms: number | Promise<void>;
}

/** Machines and hosts as an acquire sees them, with the rules of the real ones. They outlive every api. */
export class ModelFleet {
  readonly machines = new Map<MachineId, ModelMachine>();
  readonly #creates = new Map<string, Promise<MachineId>>();
  /** Those that have ended. */
  readonly #created = new Map<string, MachineId | undefined>();
  readonly #hosts: readonly ModelHost[];
  #made = 0n;
  #underWay = 0;

  constructor(hosts: readonly ModelHost[]) {
    this.#hosts = hosts;
  }

  add(host: number, state: "stopped" | "suspended" | "started" = "stopped", app = "web"): MachineId {
    this.#made += 1n;
    const id = newMachineId(host, this.#made);
    this.machines.set(id, {
      id,
      host,
      app,
      state,
      startPath: "warm",
      traceId: "",
      leasedUntil: 0,
      stops: 0,
      starts: 0,
    });
    return id;
  }

  /** Starts, creates and other work of hosts that is under way. */
  get underWay(): number {
    return this.#underWay;
  }

  get running(): readonly MachineId[] {
    return [...this.machines.values()].filter(({ state }) => state === "started").map(({ id }) => id);
  }

  /** What one api sees of it until it dies: from then on its calls never return. */
  tools(life: Life): AcquireTools {
    const act = async <T>(ms: number, work: () => T): Promise<T> => {
      await life.step();
      // What an api has asked of a host is done, whether or not the api is still there.
      const done = new Promise<T>((resolve, reject) => {
        this.#later(() => {
          try {
            resolve(work());
          } catch (err) {
            reject(err);
          }
        }, ms);
      });
      const result = await done;
      await life.step();
      return result;
    };
    const hostOf = (id: MachineId) => this.#hosts[this.#find(id).host];
    return {
      start: async (id, nonce) => {
        const traceId = traceOf();
        await life.step();
        const { stops } = this.#find(id);
        const started = this.#start(id, nonce, traceId, stops, hostOf(id)?.ms ?? 0);
        const result = await started;
        await life.step();
        return result;
      },
      stop: (id) =>
        act(0, () => {
          const machine = this.#find(id);
          machine.stops += 1;
          if (machine.state !== "destroyed") machine.state = "stopped";
        }),
      suspend: (id) =>
        act(0, () => {
          const machine = this.#find(id);
          const mayBe =
            machine.state === "started" || (machine.state === "suspended" && machine.starts === 0);
          if (!mayBe) throw new Fault("FAILED_PRECONDITION", "INVALID_STATE", `is ${machine.state}`);
          machine.state = "suspended";
        }),
      destroy: (id) =>
        act(0, () => {
          const machine = this.machines.get(id);
          if (machine) machine.state = "destroyed";
        }),
      get: (id) =>
        act(0, () => {
          const machine = this.machines.get(id);
          return machine && machine.state !== "destroyed" ? describe(machine) : undefined;
        }),
      lease: (id) =>
        act(0, () => {
          const machine = this.#find(id);
          if (machine.leasedUntil > Date.now()) throw new Fault("ABORTED", "LEASE_HELD", "leased");
          machine.leasedUntil = Date.now() + 30_000;
          return "nonce";
        }),
      releaseLease: (id) =>
        act(0, () => {
          this.#find(id).leasedUntil = 0;
        }),
      create: async (request, requestId) => {
        await life.step();
        const id = await this.#create(request, requestId);
        await life.step();
        return describe(this.#find(id));
      },
      created: (_org, requestId) =>
        act(0, () => {
          const isUnderWay = this.#creates.has(requestId) && !this.#created.has(requestId);
          return isUnderWay ? undefined : { machineId: this.#created.get(requestId) };
        }),
      candidates: (query) => act(0, () => this.#candidates(query)),
      statusOf: (number) => this.#hosts[number]?.status ?? "unknown",
      chargeCreate: () => {},
    };
  }

  /** A create continues to its end when its api has died. */
  #create({ app }: CreateRequest, requestId: string): Promise<MachineId> {
    const known = this.#creates.get(requestId);
    if (known !== undefined) return known;
    const traceId = traceOf();
    const create = new Promise<MachineId>((resolve, reject) => {
      this.#later(() => {
        try {
          const host = this.#hosts.findIndex(
            ({ status }, number) => status === "ok" && this.#hasRoom(number),
          );
          if (host < 0) throw new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room");
          const id = this.add(host, "stopped", app);
          this.#run(this.#find(id), traceId);
          resolve(id);
        } catch (err) {
          reject(err);
        }
      }, this.#hosts[0]?.ms);
    });
    this.#creates.set(requestId, create);
    create.then(
      (id) => this.#created.set(requestId, id),
      () => this.#created.set(requestId, undefined),
    );
    return create;
  }

  /** A start waits in its host's queue, unseen, and continues when its caller is gone. */
  #start(id: MachineId, nonce: string, traceId: string, stops: number, ms: ModelHost["ms"]) {
    return new Promise<{ machine: Machine; alreadyStarted: boolean }>((resolve, reject) => {
      this.#find(id).starts += 1;
      this.#later(() => {
        try {
          const machine = this.#find(id);
          machine.starts -= 1;
          if (machine.leasedUntil > Date.now() && nonce === "")
            throw new Fault("ABORTED", "LEASE_HELD", "leased");
          if (machine.stops > stops) throw new Fault("ABORTED", "START_CANCELLED", "stopped");
          const alreadyStarted = machine.state === "started";
          if (!alreadyStarted) this.#run(machine, traceId);
          resolve({ machine: describe(machine), alreadyStarted });
        } catch (err) {
          reject(err);
        }
      }, ms);
    });
  }

  #candidates({ app, limit }: CandidateQuery): readonly Candidate[] {
    return [...this.machines.values()]
      .filter((machine) => machine.app === app && ["stopped", "suspended"].includes(machine.state))
      .map(({ id }) => ({ id, memoryMb: 256 }))
      .slice(0, limit);
  }

  #run(machine: ModelMachine, traceId: string): void {
    if (this.#hosts[machine.host]?.status === "unreachable")
      throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "no answer");
    if (!this.#hasRoom(machine.host)) throw new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", "full");
    machine.startPath = machine.state === "suspended" ? "resume" : "warm";
    machine.state = "started";
    machine.traceId = traceId;
  }

  #later(work: () => void, ms: ModelHost["ms"] = 0): void {
    this.#underWay += 1;
    const end = () => {
      this.#underWay -= 1;
      work();
    };
    if (typeof ms === "number") setTimeout(end, ms);
    else void ms.then(end);
  }

  #hasRoom(host: number): boolean {
    const used = [...this.machines.values()].filter((each) => each.host === host && each.state === "started");
    return used.length < (this.#hosts[host]?.room ?? 0);
  }

  #find(id: MachineId): ModelMachine {
    const machine = this.machines.get(id);
    if (!machine || machine.state === "destroyed")
      throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `no ${id}`);
    return machine;
  }
}

function traceOf(): string {
  return trace.getActiveSpan()?.spanContext().traceId ?? "";
}
