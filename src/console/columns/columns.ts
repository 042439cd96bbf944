import { KINDS, type Kind, type Operation } from "../../lib/latency/operation.ts";
import type { StoredOperation } from "../../lib/latency/operation-rows.ts";
import { DIMENSIONS, type Dimension } from "../answers/operations.ts";
import { bucketOf } from "./buckets.ts";
import { Ids } from "./ids.ts";
import { Interner } from "./interner.ts";
import { operationAt } from "./read-operation.ts";

/** Hops that have a column each; further names share the last. The analysis knows some thirty. */
const MAX_HOPS = 64;
const OTHER_HOPS = "other";
const FIRST_CAPACITY = 1_024;
const MAX_UINT32 = 2 ** 32 - 1;
/** Share of removed operations from which their room is taken back. */
const COMPACT_SHARE = 0.1;

/** Columns of numbers, by name. */
const NUMBERS = {
  row: Float64Array,
  startMs: Float64Array,
  durationUs: Float64Array,
  /** Microseconds within the millisecond of `startMs`. */
  startUs: Uint16Array,
  kind: Uint8Array,
  isGone: Uint8Array,
  reason: Uint32Array,
  notFaster: Uint32Array,
  queueLength: Uint32Array,
  concurrency: Uint32Array,
  poolSize: Int32Array,
  refillMs: Int32Array,
  unexplainedUs: Uint32Array,
  skewUs: Uint32Array,
  lagMs: Uint32Array,
};
type Numbers = { -readonly [K in keyof typeof NUMBERS]: InstanceType<(typeof NUMBERS)[K]> };

/**
 * Operations as typed arrays, one for each attribute, so that a query over 100,000 of them reads
 * little memory and makes no garbage. An operation is its index. `byDuration` lists all indices,
 * shortest operation first: what is selected in its order needs no sorting.
 */
export class Columns {
  /** Operations, those that are gone included. */
  length = 0;
  numbers: Numbers = allocate(FIRST_CAPACITY);
  ids = new Ids(FIRST_CAPACITY);
  /** Numbers of interned texts, by dimension. */
  codes: Record<Dimension, Uint32Array> = allocateCodes(FIRST_CAPACITY);
  /** Own time on the critical path in microseconds, by the number of the hop. */
  hops: Uint32Array[] = [];
  /** For the number of each hop a bit for each kind of which any operation has it. */
  hopKinds: number[] = [];
  texts: Record<Dimension, Interner> = newTexts();
  hopNames = new Interner();
  reasons = new Interner();
  notFaster = new Interner();
  byDuration = new Uint32Array(0);
  #gone = 0;

  /** Operations that are kept. */
  get live(): number {
    return this.length - this.#gone;
  }

  /** Adds operations, in the order of their rows. */
  append(added: readonly StoredOperation[]): void {
    if (added.length === 0) return;
    const first = this.length;
    this.#reserve(first + added.length);
    for (const operation of added) this.#put(operation);
    const fresh = new Uint32Array(added.length);
    for (let i = 0; i < fresh.length; i++) fresh[i] = first + i;
    const { durationUs } = this.numbers;
    fresh.sort((a, b) => (durationUs[a] ?? 0) - (durationUs[b] ?? 0));
    this.byDuration = merge(this.byDuration, fresh, durationUs);
  }

  /** Removes operations by their rows, as far as they are here. */
  remove(rows: readonly number[]): void {
    const { isGone } = this.numbers;
    for (const row of rows) {
      const index = this.#indexOf(row);
      if (index !== undefined) this.#remove(index, isGone);
    }
    this.#compactIfWorthIt();
  }

  /** Removes the oldest rows until at most `count` operations are left. */
  bound(count: number): void {
    const { isGone } = this.numbers;
    for (let i = 0; i < this.length && this.live > count; i++) this.#remove(i, isGone);
    this.#compactIfWorthIt();
  }

  kindOf(index: number): Kind {
    return KINDS[this.numbers.kind[index] ?? 0] ?? "start";
  }

  /** Returns an operation as it was added. */
  at(index: number): Operation {
    return operationAt(this, index);
  }

  /** Returns what reads operations by the indices of now, whatever is added or removed later. */
  reader(): (index: number) => Operation {
    const { numbers, ids, codes, hops, texts, hopNames, reasons, notFaster } = this;
    const view = { numbers, ids, codes, hops: [...hops], texts, hopNames, reasons, notFaster };
    return (index) => operationAt(view, index);
  }

  /** Name of the hop with the largest part of the critical path. */
  dominantOf(index: number): string {
    return this.texts.hop.textOf(this.codes.hop[index]);
  }

  #put(operation: StoredOperation): void {
    const { numbers: n, codes, texts } = this;
    const i = this.length++;
    const startMs = Math.floor(operation.startUs / 1_000);
    n.row[i] = operation.row;
    n.startMs[i] = startMs;
    n.startUs[i] = operation.startUs - startMs * 1_000;
    n.durationUs[i] = operation.durationUs;
    n.kind[i] = KINDS.indexOf(operation.kind);
    n.isGone[i] = 0;
    n.reason[i] = this.reasons.intern(operation.reason);
    n.notFaster[i] = this.notFaster.intern(operation.notFaster);
    n.queueLength[i] = bounded(operation.queueLength);
    n.concurrency[i] = bounded(operation.concurrency);
    n.poolSize[i] = countOrNone(operation.poolSize);
    n.refillMs[i] = countOrNone(operation.refillMs);
    n.unexplainedUs[i] = bounded(operation.unexplainedUs);
    n.skewUs[i] = bounded(Math.abs(operation.skewUs));
    n.lagMs[i] = bounded(operation.lagMs);
    this.ids.put(i, operation.traceId, operation.spanId);
    const dominant = this.#putHops(i, operation.hops);
    const texted: Record<Dimension, string> = {
      ...{ path: operation.path, host: operation.host, image: operation.image, app: operation.app },
      ...{ org: operation.org, region: operation.region, version: operation.version },
      ...{ size: operation.size, machine: operation.machineId, reason: operation.reason, hop: dominant },
      queue: bucketOf(operation.queueLength),
      concurrency: bucketOf(operation.concurrency),
    };
    for (const dimension of DIMENSIONS) codes[dimension][i] = texts[dimension].intern(texted[dimension]);
  }

  /** Returns the hop that took longest. */
  #putHops(index: number, hops: Operation["hops"]): string {
    let dominant = "";
    let most = 0;
    for (const [name, us] of Object.entries(hops)) {
      const isNew = this.hopNames.find(name) === undefined;
      const own = isNew && this.hops.length >= MAX_HOPS - 1 ? OTHER_HOPS : name;
      const code = this.hopNames.intern(own);
      const times = this.hops[code] ?? new Uint32Array(this.numbers.row.length);
      this.hops[code] = times;
      times[index] = bounded((times[index] ?? 0) + us);
      this.hopKinds[code] = (this.hopKinds[code] ?? 0) | (1 << (this.numbers.kind[index] ?? 0));
      if (us > most) [dominant, most] = [own, us];
    }
    return dominant;
  }

  /** Finds a row: rows only grow. */
  #indexOf(wanted: number): number | undefined {
    const { row } = this.numbers;
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((row[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low < this.length && row[low] === wanted ? low : undefined;
  }

  #remove(index: number, isGone: Uint8Array): void {
    if (isGone[index] === 1) return;
    isGone[index] = 1;
    this.#gone += 1;
  }

  #reserve(length: number): void {
    const capacity = this.numbers.row.length;
    if (length <= capacity) return;
    const larger = Math.max(length, 2 * capacity);
    const { numbers, codes, hops, ids } = this;
    this.numbers = allocate(larger);
    for (const name of NAMES) this.numbers[name].set(numbers[name].subarray(0, this.length));
    this.codes = allocateCodes(larger);
    for (const dimension of DIMENSIONS) this.codes[dimension].set(codes[dimension]);
    this.hops = hops.map((times) => grown(times, larger));
    this.ids = ids.grown(larger);
  }

  /** Moves what is kept together, and forgets texts that only what is gone had. */
  #compactIfWorthIt(): void {
    if (this.#gone <= Math.max(FIRST_CAPACITY, this.length * COMPACT_SHARE)) return;
    const before = { numbers: this.numbers, codes: this.codes, texts: this.texts, hops: this.hops };
    const { ids, length, byDuration } = this;
    const capacity = Math.max(FIRST_CAPACITY, Math.ceil(this.live * 1.25));
    this.numbers = allocate(capacity);
    this.codes = allocateCodes(capacity);
    this.texts = newTexts();
    this.hops = before.hops.map(() => new Uint32Array(capacity));
    this.ids = new Ids(capacity);
    const moved = new Uint32Array(length);
    let to = 0;
    for (let from = 0; from < length; from++) {
      if (before.numbers.isGone[from] === 1) continue;
      moved[from] = to;
      for (const name of NAMES) this.numbers[name][to] = before.numbers[name][from] ?? 0;
      for (const dimension of DIMENSIONS) {
        const text = before.texts[dimension].textOf(before.codes[dimension][from]);
        this.codes[dimension][to] = this.texts[dimension].intern(text);
      }
      for (const [code, times] of this.hops.entries()) times[to] = before.hops[code]?.[from] ?? 0;
      this.ids.copy(to, ids, from);
      to += 1;
    }
    this.byDuration = byDuration.filter((i) => before.numbers.isGone[i] !== 1).map((i) => moved[i] ?? 0);
    this.length = to;
    this.#gone = 0;
  }
}

// The keys of `NUMBERS`, which `Object.keys` types as texts.
const NAMES = Object.keys(NUMBERS) as (keyof Numbers)[];

function allocate(capacity: number): Numbers {
  const columns = Object.entries(NUMBERS).map(([name, Type]) => [name, new Type(capacity)]);
  // Made of the very entries of `NUMBERS`.
  return Object.fromEntries(columns) as Numbers;
}

function allocateCodes(capacity: number): Record<Dimension, Uint32Array> {
  return byDimension(() => new Uint32Array(capacity));
}

function newTexts(): Record<Dimension, Interner> {
  return byDimension(() => new Interner());
}

/** Makes a value for each dimension. */
export function byDimension<T>(make: (dimension: Dimension) => T): Record<Dimension, T> {
  // Made of all dimensions.
  return Object.fromEntries(DIMENSIONS.map((each) => [each, make(each)])) as Record<Dimension, T>;
}

function grown(column: Uint32Array, capacity: number): Uint32Array {
  const larger = new Uint32Array(capacity);
  larger.set(column);
  return larger;
}

function bounded(value: number): number {
  return Math.max(0, Math.min(Math.round(value), MAX_UINT32)) || 0;
}

/** -1: nobody said. */
function countOrNone(value: number): number {
  return Math.max(-1, Math.min(Math.round(value), 2 ** 31 - 1));
}

/** Merges two lists of indices that are in the order of their durations. */
function merge(a: Uint32Array, b: Uint32Array, durationUs: Float64Array): Uint32Array<ArrayBuffer> {
  const merged = new Uint32Array(a.length + b.length);
  let [i, j] = [0, 0];
  for (let to = 0; to < merged.length; to++) {
    const ofA = i < a.length ? (durationUs[a[i] ?? 0] ?? 0) : Number.POSITIVE_INFINITY;
    const ofB = j < b.length ? (durationUs[b[j] ?? 0] ?? 0) : Number.POSITIVE_INFINITY;
    merged[to] = (i < a.length && ofA <= ofB ? a[i++] : b[j++]) ?? 0;
  }
  return merged;
}
