import { EventEmitter } from "node:events";
import { Fault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { SealingKeys } from "../../lib/sealing/sealing-keys.ts";
import type { Change, Machine, MachineEvent } from "../machines/machine.ts";
import { fromParts, sealSpec, toRow, unsealSpec } from "./rows.ts";
import { type ChangeRow, type Opened, SQLITE_FULL } from "./store-database.ts";
import { StoreError, type StoreThread, type StoreWorkerData, startStoreThread } from "./store-thread.ts";

export interface StoreOptions extends StoreWorkerData {
  /** Keys for the configurations of machines. */
  readonly keys: SealingKeys;
  /** Called when the thread of the database ends: this process cannot store anything any more. */
  readonly onDeath: (err: Error) => void;
}

/** A change that no api has acknowledged. */
export interface OutboxEntry {
  readonly sequence: number;
  /** Its events are not read: each change has its own. */
  readonly machine: Machine;
  readonly event: MachineEvent | undefined;
  /** Whether the configuration is new. */
  readonly isWhole: boolean;
}

interface Queued {
  readonly change: Change;
  readonly row: ChangeRow;
  readonly kind: "intent" | "note";
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Most changes that wait to be written; more intents are refused. */
const MAX_QUEUED = 2_048;
const RETRY_MS = 500;
/**
 * Notes of this time are written together, so that the write does not compete for the CPU with the
 * answer to the call.
 */
const NOTE_DELAY_MS = 10;

/**
 * The durable state of the machines on this host, with a copy in memory for reading. Each change is written with its outbox row in
 * one transaction; changes that wait for the disk share one.
 *
 * There are two ways to store a change. `intend` is for what is about to be done: durable first, then visible. `note` is for what has
 * happened: visible first, then durable. A crash may lose a note, so it must be something that a restarted hostd learns from the VM.
 */
export class Store {
  readonly identity: string;
  readonly incarnation: number;
  readonly #thread: Pick<StoreThread, "call" | "close">;
  readonly #keys: SealingKeys;
  readonly #isSealed: boolean;
  readonly #machines = new Map<string, Machine>();
  readonly #listeners = new EventEmitter();
  #queue: Queued[] = [];
  /** Notes that could not be written and are retried, and why. */
  #failed: Queued[] = [];
  #failure: unknown;
  #isWriting = false;
  #writeTimer: NodeJS.Timeout | undefined;
  #trouble: Fault | undefined;
  #isClosed = false;
  #sequence: number;
  #acknowledged: number;

  /** Opens the database. @throws Error as {@link StoreDatabase} does */
  static async open({ onDeath, keys, ...data }: StoreOptions): Promise<Store> {
    const thread = startStoreThread(data, onDeath);
    try {
      const opened = await thread.call({ kind: "begin" });
      const store = new Store(thread, opened, keys);
      if (!store.#isSealed) await store.#seal();
      return store;
    } catch (err) {
      await thread.close({ kind: "close" });
      throw err;
    }
  }

  constructor(thread: Pick<StoreThread, "call" | "close">, opened: Opened, keys: SealingKeys) {
    this.#thread = thread;
    this.#keys = keys;
    this.identity = opened.identity;
    this.incarnation = opened.incarnation;
    this.#sequence = opened.sequence;
    this.#acknowledged = opened.acknowledged;
    this.#listeners.setMaxListeners(0);
    let isSealed = !opened.isPlain;
    for (const { id, spec: text, status } of opened.machines) {
      const { spec, isNewest } = unsealSpec(text, id, keys);
      this.#machines.set(id, fromParts(id, spec, status));
      isSealed &&= isNewest;
    }
    this.#isSealed = isSealed;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Last sequence that an api has acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Why notes cannot be written at present. Undefined: they can. */
  get trouble(): Fault | undefined {
    return this.#trouble;
  }

  get(id: string): Machine | undefined {
    return this.#machines.get(id);
  }

  all(): Iterable<Machine> {
    return this.#machines.values();
  }

  /**
   * Stores an intent. Visible once it is durable.
   *
   * @throws Fault DISK_FULL, STORE_OVERLOADED; nothing has changed then
   */
  intend(change: Change): Promise<void> {
    if (this.#queue.length >= MAX_QUEUED) return Promise.reject(overloaded(this.#queue.length));
    return this.#enqueue(change, "intent");
  }

  /** Stores a change that has happened. Visible at once; retried until it is durable, and resolves then. */
  note(change: Change): Promise<void> {
    const written = this.#enqueue(change, "note");
    this.#publish(change.machine);
    return written;
  }

  /** Writes notes now that would wait for others. Called by whoever waits until a note is durable. */
  flush(): void {
    void this.#write();
  }

  /** Calls `listener` with every new value of a machine. Returns a function that ends the subscription. */
  subscribe(id: string, listener: (machine: Machine) => void): () => void {
    this.#listeners.on(id, listener);
    return () => this.#listeners.off(id, listener);
  }

  /** Calls `listener` after each write to the outbox. */
  onOutbox(listener: () => void): void {
    this.#listeners.on("outbox", listener);
  }

  async outbox(after: number, limit: number): Promise<readonly OutboxEntry[]> {
    const rows = await this.#thread.call({ kind: "outbox", after, limit });
    return rows.flatMap(({ sequence, machineId: id, status, event, spec: sealed }) => {
      const spec = sealed === null ? this.#machines.get(id)?.spec : unsealSpec(sealed, id, this.#keys).spec;
      // Never so: machines with rows in the outbox are not pruned.
      if (!spec) return [];
      const parsed = event === null ? undefined : (JSON.parse(event) as MachineEvent);
      const machine = { ...fromParts(id, spec, status), events: [] };
      return [{ sequence, machine, event: parsed, isWhole: sealed !== null }];
    });
  }

  async acknowledge(sequence: number): Promise<void> {
    await this.#thread.call({ kind: "acknowledge", sequence });
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
  }

  /** Deletes machines destroyed before `beforeMs`, unless they have changes in the outbox. */
  async prune(beforeMs: number): Promise<void> {
    for (const id of await this.#thread.call({ kind: "prune", beforeMs })) this.#machines.delete(id);
  }

  /** Writes what is queued and closes. A restarted hostd learns of notes that could not be written. */
  async close(): Promise<void> {
    // The thread does this before it closes.
    void this.#write();
    this.#isClosed = true;
    await this.#thread.close({ kind: "close" });
  }

  /** Seals what an earlier version has stored in clear, or with an older key. */
  async #seal(): Promise<void> {
    const keys = this.#keys;
    const specs = [...this.#machines.values()].map(({ id, spec }) => ({
      id,
      spec: sealSpec(spec, id, keys),
    }));
    const rows = await this.#thread.call({ kind: "outboxSpecs" });
    const outbox = rows.map(({ sequence, machineId, spec }) => ({
      sequence,
      spec: sealSpec(unsealSpec(spec, machineId, keys).spec, machineId, keys),
    }));
    await this.#thread.call({ kind: "seal", specs, outbox });
  }

  #enqueue(change: Change, kind: Queued["kind"]): Promise<void> {
    const known = this.#machines.get(change.machine.id);
    if ((known?.generation ?? 0) !== change.machine.generation - 1) {
      // A bug: every machine has one writer.
      return Promise.reject(
        new Error(`machine ${change.machine.id}: generation ${change.machine.generation} does not follow`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ change, row: toRow(change, known, this.#keys), kind, resolve, reject });
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
        this.#sequence = await this.#thread.call({ kind: "commit", changes: batch.map(({ row }) => row) });
        this.#written(batch);
      } catch (err) {
        this.#refused(batch, err);
      }
    }
    this.#isWriting = false;
  }

  /** Empties the queue. Refuses intents that would be durable before a failed note of the same machine. */
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
    logger.error("could not store changes of machines; retrying", {
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
