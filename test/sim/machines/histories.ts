import { heldLease } from "../../../src/hostd/machines/lease.ts";
import type { Change, Lease, Machine, MachineEvent } from "../../../src/hostd/machines/machine.ts";
import type { MachineConfig } from "../../../src/hostd/machines/machine-config.ts";
import type { Watch } from "../watch.ts";
import { currentCall, type ServedCall } from "../world/network.ts";
import { currentLife, type Life } from "../world/world.ts";
import { Retries } from "./retries.ts";
import { StopsUnderWay } from "./stops-under-way.ts";

/** What a host was asked to do with a machine. */
export interface Order {
  readonly machineId: string;
  /** Empty: none. */
  readonly nonce: string;
  readonly ignoreLease: boolean;
  /** Version that the machine must have; empty: any. */
  readonly currentVersion: string;
  /** Request for a lease: a repeat of it has the lease's right. */
  readonly request: { readonly requestId: string; readonly owner: string } | undefined;
}

/** An order that a host has, and what has come of it. */
interface Accepted extends Order {
  readonly method: string;
  /** In the order of arrival. */
  readonly number: number;
  /** Whether somebody else held the lease when it arrived. */
  readonly isForbidden: boolean;
  hasBegun: boolean;
}

/** What is known of a machine besides what its host says of it. */
interface History {
  /** Configurations by version, of those that were current. */
  readonly configs: Map<string, MachineConfig>;
  readonly retries: Retries;
  /** The last stop or suspend that was answered: nothing starts the machine but what came after it. */
  stopNumber: number | undefined;
  /** Whether that was a stop: it leaves nothing to go on with. */
  isStopped: boolean;
  /** As it was before an update that may be rolled back. */
  beforeUpdate: Machine | undefined;
  /** The version that a rollback has brought back, and that is to run. */
  owed: string | undefined;
}

/** What a machine passes through that is to run. */
const TO_RUN: ReadonlySet<string> = new Set(["starting", "restarting", "updating"]);

/** After these nothing of before starts the machine. A second one only hurries, or joins, the first. */
const ENDS: Readonly<Record<string, "stopping" | "suspending">> = {
  stop: "stopping",
  suspendMachine: "suspending",
};

/** These take effect when they arrive: what is under way is cut short. */
const AT_ONCE: ReadonlySet<string> = new Set(["stop", "destroy"]);

/**
 * Looks on from outside at what hosts store of their machines and which programs run there, with bookkeeping of its own: versions, leases,
 * stops, restarts. What a host must not do is noticed where it does it.
 */
export class Histories {
  readonly #watch: Watch;
  readonly #histories = new Map<string, History>();
  readonly #orders = new WeakMap<ServedCall, Accepted>();
  readonly #stopsUnderWay = new StopsUnderWay();
  /** Events that are on a host's disk, by the machine's id and theirs. */
  readonly events = new Map<string, { readonly machineId: string; readonly event: MachineEvent }>();
  /** Versions that are on a host's disk, by the machine's id. */
  readonly versions = new Map<string, Set<string>>();
  /** Called when a host is about to store what somebody has asked for, or what it does by itself. */
  onChange: (life: Life) => void = () => {};
  #number = 0;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  /** Does what a host is asked for. @param read reads the machine */
  async during<T>(order: Order, read: () => Machine | undefined, work: () => Promise<T>): Promise<T> {
    const [call, life] = [currentCall(), currentLife()];
    if (!call || !life) throw new Error("an order that nobody has given");
    const { machineId } = order;
    const { method } = call;
    const held = () => {
      const machine = read();
      return machine && heldLease(machine, life.process.wallMs());
    };
    const before = held();
    const isForbidden = before !== undefined && !mayChange(order, before);
    const accepted: Accepted = { ...order, method, number: ++this.#number, isForbidden, hasBegun: false };
    this.#orders.set(call, accepted);
    const stops = this.#stopsUnderWay;
    const passing = ENDS[method];
    const joins = stops.has(life, machineId) || read()?.state === passing;
    const result = await (passing ? stops.during(life, machineId, work) : work());
    // A release may have been under way.
    if (isForbidden && held()?.nonce === before.nonce)
      this.#watch.violated(
        `${method} of ${machineId} was done without the nonce of the lease that ${before.owner} holds`,
      );
    if (passing && !joins) this.#stopped(machineId, accepted);
    return result;
  }

  /** A host is about to store a change. */
  changing(life: Life, before: Machine | undefined, { machine: after, event }: Change): void {
    const nowMs = life.process.wallMs();
    if (before) this.onChange(life);
    const call = currentCall();
    const order = call && this.#orders.get(call);
    const own = order?.machineId === after.id ? order : undefined;
    const history = this.#of(after);
    if (!before) {
      history.configs.set(after.spec.instanceId, after.spec.config);
      return;
    }
    this.#checkVersion(history, before, after, event, own);
    this.#checkRight(before, after, event, own, nowMs);
    this.#checkLease(before, after, own, nowMs);
    this.#checkStart(history, before, after, own);
    const retries = history.retries.changed(before, after, nowMs);
    if (retries !== undefined)
      this.#watch.violated(`${after.id} was restarted ${retries} times by its policy, too often`);
    if (own && isEffect(before, after, event)) {
      own.hasBegun = true;
      history.owed = undefined;
    } else if (event?.type === "failure" || event?.type === "destroy") history.owed = undefined;
    if (event?.reason === "ROLLED_BACK" && history.beforeUpdate && isRunning(history.beforeUpdate))
      history.owed = after.spec.instanceId;
    if (after.state === "started" && after.spec.instanceId === history.owed) history.owed = undefined;
  }

  /** A change is on disk. */
  stored({ machine: { id, spec }, event }: Change): void {
    if (event) this.events.set(`${id}/${event.id}`, { machineId: id, event });
    const known = this.versions.get(id) ?? new Set();
    this.versions.set(id, known.add(spec.instanceId));
  }

  /** A program runs, or goes on. `others`: programs of the same machine that do. */
  runs(vmId: string, others: readonly string[]): void {
    if (others.length === 0) return;
    this.#watch.violated(`${vmId} runs while ${others.join(" and ")} of the same machine does`);
  }

  /** A VM begins to run a program, which may be one that was saved. `machine`: as its host has it. */
  begins(vmId: string, version: string, machine: Machine | undefined): void {
    if (!machine) this.#watch.violated(`${vmId} runs, and its machine is not stored`);
    else if (machine.spec.instanceId !== version)
      this.#watch.violated(`${vmId} runs the version ${version}; its machine has ${machine.spec.instanceId}`);
    else if (!this.#of(machine).configs.has(version))
      this.#watch.violated(`${vmId} runs the version ${version}, which its machine never had`);
  }

  /** A host does with its VMs what it must not. */
  misused(what: string): void {
    this.#watch.violated(what);
  }

  /** The version that a rollback has brought back and that has not run yet, though nothing has come between. */
  owed(machineId: string): string | undefined {
    return this.#histories.get(machineId)?.owed;
  }

  #stopped(machineId: string, { number, method }: Accepted): void {
    const history = this.#histories.get(machineId);
    if (!history || number < (history.stopNumber ?? 0)) return;
    history.stopNumber = number;
    history.isStopped = method === "stop";
  }

  /** The version changes by an update, to a later one, or back by its rollback. A configuration never changes but for its metadata. */
  #checkVersion(
    history: History,
    before: Machine,
    after: Machine,
    event: MachineEvent | undefined,
    order: Accepted | undefined,
  ): void {
    const { id, spec } = after;
    const said = (what: string) => this.#watch.violated(`machine ${id}: ${what}`);
    const isUpdate = event?.type === "update" && event.source === "user";
    const isPatch = before.spec.config !== spec.config && before.spec.instanceId === spec.instanceId;
    const isAsked = isUpdate || (isPatch && order?.method === "updateMetadata");
    if (isAsked && order && order.currentVersion !== "" && order.currentVersion !== before.spec.instanceId)
      said(`${order.method} for the version ${order.currentVersion} has changed ${before.spec.instanceId}`);
    if (isUpdate) {
      const [latest = ""] = [...(this.versions.get(id) ?? []), before.spec.instanceId].sort().reverse();
      if (spec.instanceId <= latest) said(`the new version ${spec.instanceId} is not later than ${latest}`);
      const made = spec.updates?.find(({ instanceId }) => instanceId === spec.instanceId);
      if (before.spec.updates?.some(({ id }) => id === made?.id))
        said(`the update ${made?.id} is made again`);
      history.beforeUpdate = after.state === "updating" ? before : undefined;
    } else if (event?.reason === "ROLLED_BACK") {
      const { beforeUpdate } = history;
      if (beforeUpdate?.spec.instanceId !== spec.instanceId)
        said(`rolled back to ${spec.instanceId}; it had ${beforeUpdate?.spec.instanceId}`);
      else if (!isRunning(beforeUpdate) && after.state !== restingState(beforeUpdate))
        said(`rolled back to the state ${after.state}; it was ${beforeUpdate.state}`);
      else if (isRunning(beforeUpdate) && !(after.state === "updating" && after.update?.launch))
        said(`rolled back, and will not run as before: it is ${after.state}`);
    } else if (before.spec.instanceId !== spec.instanceId) {
      said(`${event?.type ?? "a change"} has made ${spec.instanceId} of ${before.spec.instanceId}`);
    }
    const known = history.configs.get(spec.instanceId);
    if (known && known !== spec.config && textOf(known) !== textOf(spec.config))
      said(`the version ${spec.instanceId} has another configuration than it had`);
    history.configs.set(spec.instanceId, spec.config);
  }

  #checkRight(
    before: Machine,
    after: Machine,
    event: MachineEvent | undefined,
    order: Accepted | undefined,
    nowMs: number,
  ): void {
    if (!order || order.hasBegun || !isEffect(before, after, event)) return;
    const held = heldLease(before, nowMs);
    if (!held || mayChange(order, held)) return;
    if (order.isForbidden || !AT_ONCE.has(order.method))
      this.#watch.violated(`${order.method} of ${after.id} takes effect, and ${held.owner} holds its lease`);
  }

  /** Only a call with its nonce changes a lease that is held. */
  #checkLease(before: Machine, after: Machine, order: Accepted | undefined, nowMs: number): void {
    const held = heldLease(before, nowMs);
    if (!held || isSameLease(held, after.lease) || after.state === "destroyed") return;
    if (order?.method.endsWith("Lease") && mayChange(order, held)) return;
    this.#watch.violated(`the lease of ${after.id} that ${held.owner} holds was changed by ${order?.method}`);
  }

  /** After a stop or suspend that was answered only what came later starts the machine, or its schedule. */
  #checkStart(history: History, before: Machine, after: Machine, order: Accepted | undefined): void {
    const { stopNumber, isStopped } = history;
    const { id, state, startCause } = after;
    if (stopNumber === undefined || state === before.state) return;
    if (state === "suspended" && isStopped)
      this.#watch.violated(`machine ${id} was stopped, and can go on where it was`);
    if (!TO_RUN.has(state)) return;
    // What it has begun another life of its host goes on with.
    const isLater = order !== undefined && order.number > stopNumber;
    if (!isLater && state === "starting" && startCause !== "schedule")
      this.#watch.violated(
        `machine ${id} was ${isStopped ? "stopped" : "suspended"}, and ${order?.method ?? startCause} of before starts it`,
      );
    if (isLater || state === "starting") history.stopNumber = undefined;
  }

  #of({ id }: Machine): History {
    const known = this.#histories.get(id);
    if (known) return known;
    const history: History = {
      ...{ configs: new Map(), retries: new Retries() },
      ...{ stopNumber: undefined, isStopped: false, beforeUpdate: undefined, owed: undefined },
    };
    this.#histories.set(id, history);
    return history;
  }
}

/** Whether whoever has given an order may change a machine whose lease is held. */
function mayChange({ nonce, ignoreLease, request }: Order, held: Lease): boolean {
  const isRepeat =
    held.requestId !== undefined && held.requestId === request?.requestId && held.owner === request.owner;
  return ignoreLease || nonce === held.nonce || isRepeat;
}

/** Whether a change is what a call was for, and not what follows from an earlier one. */
function isEffect(before: Machine, after: Machine, event: MachineEvent | undefined): boolean {
  const starts = after.state === "starting" && before.state !== "starting";
  const isByItself = after.startCause === "policy" || after.startCause === "schedule";
  return event?.source === "user" || (starts && !isByItself);
}

function isRunning({ state }: Machine): boolean {
  return state === "started" || state === "suspending" || state === "restarting";
}

/** As src/hostd/machines/decisions/update.ts: what is in passing comes to rest as `stopped`. */
function restingState({ state }: Machine): string {
  return state === "created" || state === "failed" ? state : "stopped";
}

function isSameLease(a: Lease, b: Lease | undefined): boolean {
  return a.nonce === b?.nonce && a.expireAtMs === b.expireAtMs;
}

function textOf({ metadata: _, ...config }: MachineConfig): string {
  return JSON.stringify(config);
}
