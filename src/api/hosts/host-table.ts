import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { Fault } from "../../lib/faults/fault.ts";

/** Whether a host takes machines. `unknown`: a value that only newer hosts know. */
export type Scheduling = "open" | "cordoned" | "draining" | "unknown";

const capacity = z.object({ cpus: z.number(), memoryMb: z.number(), diskMb: z.number() });

/** A host as it announces itself. */
const announced = z.object({
  number: z.number(),
  name: z.string(),
  /** gRPC address of its hostd. */
  address: z.string(),
  /** Made at the host's first start; tells two hosts with one number apart. */
  identity: z.string(),
  region: z.string(),
  zone: z.string(),
  capacity,
  vmm: z.string(),
  acceleration: z.string(),
  isolation: z.string(),
  vmmReason: z.string(),
  labels: z.record(z.string(), z.string()),
});

/** When it last announced itself to any api: milliseconds since the epoch. */
const entry = announced.extend({ lastSeenMs: z.number() });

export type Capacity = Readonly<z.infer<typeof capacity>>;
export type AnnouncedHost = Readonly<z.infer<typeof announced>>;
export type HostEntry = Readonly<z.infer<typeof entry>>;

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
  const message = `host number ${number} belongs to another host${owner === "" ? "" : `, ${owner}`}; give this one another number`;
  return new Fault("ALREADY_EXISTS", "HOST_NUMBER_TAKEN", message, { number: String(number), owner });
}

/** Whether two entries are equal but for `lastSeenMs`. */
export function isSame(a: HostEntry, b: HostEntry): boolean {
  return isDeepStrictEqual({ ...a, lastSeenMs: 0 }, { ...b, lastSeenMs: 0 });
}

/** Reads entries from a file's JSON, without damaged ones. */
export function parseHostEntries(value: unknown): readonly HostEntry[] {
  return Array.isArray(value) ? value.filter((each): each is HostEntry => entry.safeParse(each).success) : [];
}
