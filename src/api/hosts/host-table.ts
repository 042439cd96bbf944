import { Fault } from "../../lib/runtime/fault.ts";

/** Amounts of a host's resources. */
export interface Capacity {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** Where a host is and what it says of itself. Plain data: a file and the record store it as JSON. */
export interface HostEntry {
  readonly number: number;
  /** Made at the host's first start; tells two hosts with one number apart. */
  readonly identity: string;
  readonly name: string;
  readonly region: string;
  readonly zone: string;
  /** gRPC address of its hostd. */
  readonly address: string;
  readonly capacity: Capacity;
  readonly vmm: string;
  readonly acceleration: string;
  readonly isolation: string;
  readonly vmmReason: string;
  /** What constraints of creates may ask for. Absent in what earlier versions stored. */
  readonly labels?: Readonly<Record<string, string>>;
  /** When it last announced itself, to any api: milliseconds since the epoch, by that api's clock. */
  readonly lastSeenMs: number;
}

/** What an entry did to the table: `new` facts, or only a later sign of life. */
export type HostChange = "new" | "seen";

/**
 * The hosts by number, in memory: all that a start needs to find a machine. Fed by announcements, by the record, and at the api's own start by a
 * file, so that it is complete with everything central down.
 */
export class HostTable {
  readonly #hosts = new Map<number, HostEntry>();
  readonly #onChange: (change: HostChange) => void;

  /** @param onChange called after each entry that told something */
  constructor(onChange: (change: HostChange) => void = () => {}) {
    this.#onChange = onChange;
  }

  /** The host with this number. */
  get(number: number): HostEntry | undefined {
    return this.#hosts.get(number);
  }

  /** All hosts by number. */
  all(): readonly HostEntry[] {
    return [...this.#hosts.values()].sort((a, b) => a.number - b.number);
  }

  /**
   * A host announced itself here. The first identity owns the number.
   *
   * @throws Fault ALREADY_EXISTS / `HOST_NUMBER_TAKEN`
   */
  announce(entry: HostEntry): void {
    const known = this.#hosts.get(entry.number);
    if (known && known.identity !== entry.identity) throw numberTaken(entry.number, known.name);
    this.#put(entry, known);
  }

  /** What the record says: it decides who owns a number, and else the later word counts. */
  learn(entry: HostEntry): void {
    const known = this.#hosts.get(entry.number);
    if (known && known.identity === entry.identity && known.lastSeenMs >= entry.lastSeenMs) return;
    this.#put(entry, known);
  }

  #put(entry: HostEntry, known: HostEntry | undefined): void {
    this.#hosts.set(entry.number, entry);
    this.#onChange(known && isSame(known, entry) ? "seen" : "new");
  }
}

/** The fault of a host whose number belongs to another. */
export function numberTaken(number: number, owner: string): Fault {
  return new Fault(
    "ALREADY_EXISTS",
    "HOST_NUMBER_TAKEN",
    `host number ${number} belongs to another host${owner === "" ? "" : `, ${owner}`}; give this one another number`,
    { number: String(number), owner },
  );
}

/** Whether two entries differ in nothing but when the host was last seen. */
export function isSame(a: HostEntry, b: HostEntry): boolean {
  return JSON.stringify({ ...sorted(a), lastSeenMs: 0 }) === JSON.stringify({ ...sorted(b), lastSeenMs: 0 });
}

/** Reads entries back from a file; whatever is not one is left out, so a damaged file costs its damaged part only. */
export function parseHostEntries(value: unknown): readonly HostEntry[] {
  return Array.isArray(value) ? value.filter(isHostEntry) : [];
}

function sorted(e: HostEntry): HostEntry {
  const {
    number,
    identity,
    name,
    region,
    zone,
    address,
    vmm,
    acceleration,
    isolation,
    vmmReason,
    labels = {},
    lastSeenMs,
  } = e;
  const { cpus, memoryMb, diskMb } = e.capacity;
  const capacity = { cpus, memoryMb, diskMb };
  return {
    number,
    identity,
    name,
    region,
    zone,
    address,
    capacity,
    vmm,
    acceleration,
    isolation,
    vmmReason,
    labels: Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    lastSeenMs,
  };
}

const TEXTS = [
  "identity",
  "name",
  "region",
  "zone",
  "address",
  "vmm",
  "acceleration",
  "isolation",
  "vmmReason",
];

function isHostEntry(value: unknown): value is HostEntry {
  if (!isRecord(value)) return false;
  const capacity = value["capacity"];
  return (
    TEXTS.every((name) => typeof value[name] === "string") &&
    ["number", "lastSeenMs"].every((name) => Number.isFinite(value[name])) &&
    isRecord(capacity) &&
    ["cpus", "memoryMb", "diskMb"].every((name) => Number.isFinite(capacity[name]))
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
