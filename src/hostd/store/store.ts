import { EventEmitter } from "node:events";
import { Fault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { MachineStore } from "../machines/host.ts";
import {
  type Change,
  type Machine,
  type MachineEvent,
  type MachineSpec,
  machineId,
} from "../machines/machine.ts";
import { type ChangeRow, type Opened, SQLITE_FULL } from "./store-database.ts";
import { StoreError, StoreThread } from "./store-thread.ts";

/** How a store is opened. */
export interface StoreOptions {
  readonly path: string;
  /** Called when the database can no longer be written by this process: there is nothing left to do but end. */
  readonly onDeath: (err: Error) => void;
  /** Limits the database's size, for tests of a full disk. */
  readonly maxPages?: number;
}

/** A change that an api has not acknowledged yet. */
export interface OutboxEntry {
  readonly sequence: number;
  readonly machine: Machine;
  readonly event: MachineEvent | undefined;
}

interface Queued {
  readonly change: Change;
  readonly row: ChangeRow;
  readonly kind: "intent" | "note";
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Changes that may wait to be written. Each waits for a call, and calls are bounded; this is the bound. */
const MAX_QUEUED = 2_048;
const RETRY_MS = 500;
/**
 * How long a note waits for others before it is written, in milliseconds. The answer to the call that caused it does not wait, and
 * should not compete with the write for the processor.
 */
const NOTE_DELAY_MS = 10;

/**
 * The durable state of this host's machines, and all of it in memory for reading. Changes made while the disk is busy are written together
 * with one flush; each is written with its outbox row in one transaction.
 */
export class Store implements MachineStore {
  readonly identity: string;
  readonly incarnation: number;
  readonly #thread: StoreThread;
  readonly #machines = new Map<string, Machine>();
  readonly #listeners = new EventEmitter();
  #queue: Queued[] = [];
  /** Notes that could not be written and are tried again, and why. */
  #failed: Queued[] = [];
  #failure: unknown;
  #isWriting = false;
  #writeTimer: NodeJS.Timeout | undefined;
  #trouble: Fault | undefined;
  #isClosed = false;
  #sequence: number;
  #acknowledged: number;

  /** Opens the store; see `StoreDatabase` for what it throws. */
  static async open(options: StoreOptions): Promise<Store> {
    const { path, maxPages, onDeath } = options;
    const thread = new StoreThread({ path, ...(maxPages === undefined ? {} : { maxPages }) }, onDeath);
    try {
      return new Store(thread, await thread.ask({ kind: "begin" }));
    } catch (err) {
      await thread.close();
      throw err;
    }
  }

  private constructor(thread: StoreThread, opened: Opened) {
    this.#thread = thread;
    this.identity = opened.identity;
    this.incarnation = opened.incarnation;
    this.#sequence = opened.sequence;
    this.#acknowledged = opened.acknowledged;
    this.#listeners.setMaxListeners(0);
    for (const { id, spec, status } of opened.machines) this.#machines.set(id, fromText(id, spec, status));
  }

  /** Last sequence on disk. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Last sequence that an api has acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get trouble(): Fault | undefined {
    return this.#trouble;
  }

  get(id: string): Machine | undefined {
    return this.#machines.get(id);
  }

  all(): Iterable<Machine> {
    return this.#machines.values();
  }

  intend(change: Change): Promise<void> {
    if (this.#queue.length >= MAX_QUEUED) return Promise.reject(overloaded(this.#queue.length));
    return this.#enqueue(change, "intent");
  }

  note(change: Change): Promise<void> {
    const written = this.#enqueue(change, "note");
    this.#publish(change.machine);
    return written;
  }

  flush(): void {
    void this.#write();
  }

  subscribe(id: string, listener: (machine: Machine) => void): () => void {
    this.#listeners.on(id, listener);
    return () => this.#listeners.off(id, listener);
  }

  /** Calls `listener` whenever there is something new in the outbox. */
  onOutbox(listener: () => void): void {
    // Ids of machines are hex digits, so this name is free.
    this.#listeners.on("outbox", listener);
  }

  /** The oldest changes after `after` that have not been acknowledged. */
  async outbox(after: number, limit: number): Promise<readonly OutboxEntry[]> {
    const rows = await this.#thread.ask({ kind: "outbox", after, limit });
    return rows.flatMap(({ sequence, machineId: id, status, event }) => {
      const spec = this.#machines.get(id)?.spec;
      // Machines with rows here are never pruned.
      if (!spec) return [];
      const parsed = event === null ? undefined : (JSON.parse(event) as MachineEvent);
      return [{ sequence, machine: fromParts(id, spec, status), event: parsed }];
    });
  }

  /** Forgets changes up to `sequence`. */
  async acknowledge(sequence: number): Promise<void> {
    await this.#thread.ask({ kind: "acknowledge", sequence });
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
  }

  /** Forgets machines destroyed before `beforeMs` of which the apis know all. */
  async prune(beforeMs: number): Promise<void> {
    for (const id of await this.#thread.ask({ kind: "prune", beforeMs })) this.#machines.delete(id);
  }

  /** Writes what is queued and closes. Notes that could not be written by then are found out again at the next start. */
  async close(): Promise<void> {
    // Asked for before the thread is told to end, which does one thing after the other.
    void this.#write();
    this.#isClosed = true;
    await this.#thread.close();
  }

  #enqueue(change: Change, kind: Queued["kind"]): Promise<void> {
    const known = this.#machines.get(change.machine.id);
    if ((known?.generation ?? 0) !== change.machine.generation - 1) {
      // Every machine has one writer, which makes one change after the other.
      return Promise.reject(
        new Error(`machine ${change.machine.id}: generation ${change.machine.generation} does not follow`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ change, row: toRow(change, known), kind, resolve, reject });
      if (kind === "intent") void this.#write();
      else this.#writeTimer ??= setTimeout(() => void this.#write(), NOTE_DELAY_MS);
    });
  }

  async #write(): Promise<void> {
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
    if (this.#isWriting || this.#isClosed) return;
    this.#isWriting = true;
    while (this.#queue.length > 0 && !this.#isClosed) {
      const batch = this.#nextBatch();
      if (batch.length === 0) continue;
      try {
        this.#sequence = await this.#thread.ask({ kind: "commit", changes: batch.map(({ row }) => row) });
        this.#written(batch);
      } catch (err) {
        this.#refused(batch, err);
      }
    }
    this.#isWriting = false;
  }

  /** Takes what is queued. Refuses an intent that would be durable before a failed note of the same machine. */
  #nextBatch(): readonly Queued[] {
    const queued = this.#queue;
    this.#queue = [];
    return queued.filter(({ kind, change, reject }) => {
      const { id } = change.machine;
      if (kind === "note" || !this.#failed.some((failed) => failed.change.machine.id === id)) return true;
      reject(this.#failure);
      return false;
    });
  }

  #written(batch: readonly Queued[]): void {
    if (batch.some(({ kind }) => kind === "note")) this.#trouble = undefined;
    for (const { change, kind, resolve } of batch) {
      if (kind === "intent") this.#publish(change.machine);
      resolve();
    }
    this.#listeners.emit("outbox");
  }

  #refused(batch: readonly Queued[], err: unknown): void {
    const fault = toFault(err);
    const notes = batch.filter(({ kind }) => kind === "note");
    for (const { kind, reject } of batch) if (kind === "intent") reject(fault);
    if (notes.length === 0 || this.#isClosed) return;
    this.#trouble = fault instanceof Fault ? fault : undefined;
    this.#failure = fault;
    logger.error("what has happened to machines could not be stored yet", {
      changes: notes.length,
      error: fault,
    });
    if (this.#failed.length === 0) setTimeout(() => this.#retry(), RETRY_MS).unref();
    this.#failed.push(...notes);
  }

  #retry(): void {
    this.#queue.unshift(...this.#failed.splice(0));
    void this.#write();
  }

  #publish(machine: Machine): void {
    this.#machines.set(machine.id, machine);
    this.#listeners.emit(machine.id, machine);
  }
}

function toRow({ machine, event }: Change, known: Machine | undefined): ChangeRow {
  const { id, spec, ...status } = machine;
  return {
    id,
    generation: machine.generation,
    state: machine.state,
    updatedMs: machine.updatedAtMs,
    status: JSON.stringify(status),
    ...(known?.spec === spec ? {} : { spec: JSON.stringify(spec) }),
    ...(event ? { event: JSON.stringify(event) } : {}),
  };
}

function fromText(id: string, spec: string, status: string): Machine {
  // Written by `toRow` of this schema's version.
  return fromParts(id, JSON.parse(spec) as MachineSpec, status);
}

function fromParts(id: string, spec: MachineSpec, status: string): Machine {
  return { ...(JSON.parse(status) as Omit<Machine, "id" | "spec">), id: machineId(id), spec };
}

function toFault(err: unknown): unknown {
  if (!(err instanceof StoreError) || err.errcode !== SQLITE_FULL) return err;
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "DISK_FULL",
    "the host's disk is full: its state cannot be stored",
    {},
    { cause: err },
  );
}

function overloaded(queued: number): Fault {
  return new Fault(
    "UNAVAILABLE",
    "STORE_OVERLOADED",
    "too many changes wait to be stored",
    { queued: String(queued) },
    { retryAfterMs: 500 },
  );
}
