import { isDeepStrictEqual } from "node:util";
import { Fault } from "../../lib/faults/fault.ts";
import type { HostAddress } from "../machines/machines.ts";

/** Whether a host takes machines. `unknown`: a value that only newer hosts know. */
export type Scheduling = "open" | "cordoned" | "draining" | "unknown";

export interface Capacity {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** A host as it announces itself. */
export interface AnnouncedHost extends HostAddress {
  /** Made at the host's first start; tells two hosts with one number apart. */
  readonly identity: string;
  readonly region: string;
  readonly zone: string;
  readonly capacity: Capacity;
  readonly vmm: string;
  readonly acceleration: string;
  readonly isolation: string;
  readonly vmmReason: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface HostEntry extends AnnouncedHost {
  /** When it last announced itself to any api: milliseconds since the epoch. */
  readonly lastSeenMs: number;
}

/** How an entry changed the table: `new` facts, or only a later `lastSeenMs`. */
export type HostChange = "new" | "seen";

/**
 * The hosts in memory, where a start finds its host. Filled by announcements, from the database
 * and, when the api starts, from a file.
 */
export class HostTable {
  readonly #hosts = new Map<number, HostEntry>();
  readonly #onChange: (change: HostChange) => void;

  constructor(onChange: (change: HostChange) => void = () => {}) {
    this.#onChange = onChange;
  }

  get(number: number): HostEntry | undefined {
    return this.#hosts.get(number);
  }

  all(): readonly HostEntry[] {
    return [...this.#hosts.values()].sort((a, b) => a.number - b.number);
  }

  /** Adds a host that announced itself here. @throws Fault `HOST_NUMBER_TAKEN` */
  announce(entry: HostEntry): void {
    const known = this.#hosts.get(entry.number);
    if (known && known.identity !== entry.identity) throw numberTaken(entry.number, known.name);
    this.#put(entry, known);
  }

  /** Adds a host from the database or the file, unless the known entry is newer. */
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

export function numberTaken(number: number, owner: string): Fault {
  return new Fault(
    "ALREADY_EXISTS",
    "HOST_NUMBER_TAKEN",
    `host number ${number} belongs to another host${owner === "" ? "" : `, ${owner}`}; give this one another number`,
    { number: String(number), owner },
  );
}

/** Whether two entries are equal but for `lastSeenMs`. */
export function isSame(a: HostEntry, b: HostEntry): boolean {
  return isDeepStrictEqual({ ...a, lastSeenMs: 0 }, { ...b, lastSeenMs: 0 });
}

/** Reads entries from a file's JSON, without damaged ones. */
export function parseHostEntries(value: unknown): readonly HostEntry[] {
  return Array.isArray(value) ? value.filter(isHostEntry) : [];
}

const STRINGS = [
  ...["identity", "name", "region", "zone", "address"],
  ...["vmm", "acceleration", "isolation", "vmmReason"],
];

function isHostEntry(value: unknown): value is HostEntry {
  if (!isObject(value)) return false;
  const { capacity, labels } = value;
  return (
    STRINGS.every((name) => typeof value[name] === "string") &&
    ["number", "lastSeenMs"].every((name) => Number.isFinite(value[name])) &&
    isObject(capacity) &&
    ["cpus", "memoryMb", "diskMb"].every((name) => Number.isFinite(capacity[name])) &&
    isObject(labels)
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
