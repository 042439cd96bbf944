import type { Clock } from "../../lib/runtime/clock.ts";

/** How long a machine has been without requests, as far as this host knows. */
export type Idleness =
  | { readonly kind: "unused"; readonly forMs: number }
  /** `leftMs`: until the use may end. Undefined: a proxy that is attached uses it. */
  | { readonly kind: "used"; readonly leftMs: number | undefined };

/** The machines that one stream of a proxy uses. */
export interface StreamUses {
  /** Counts the machine as used until it is released, or for a while after {@link end}. */
  use(machineId: string): void;
  /** @param unusedForMs since the last request of the proxy has ended */
  release(machineId: string, unusedForMs: number): void;
  /** The stream has ended: its proxy may go on sending requests for a while. */
  end(): void;
}

export interface UsesOptions {
  /** How long the uses of a stream last after it has ended. */
  readonly lostUseMs: number;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** A proxy's use of a machine. */
interface Use {
  /** Undefined: its stream has ended. */
  stream: object | undefined;
  /** When it ends, once its stream has ended. */
  endMs: number;
}

/**
 * The machines that proxies use, and since when others are unused. In memory: what an earlier hostd knew is lost, so for as long as
 * lost uses last, every machine counts as used.
 */
export class Uses {
  readonly #options: UsesOptions;
  readonly #startedMs: number;
  /** By machine and proxy. */
  readonly #uses = new Map<string, Map<string, Use>>();
  /** Monotonic time of the last use or start, by machine. */
  readonly #lastUseMs = new Map<string, number>();

  constructor(options: UsesOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonicMs();
  }

  get lostUseMs(): number {
    return this.#options.lostUseMs;
  }

  /** Machines with a use that has not been found to be over. */
  get size(): number {
    return this.#uses.size;
  }

  /** Begins a stream of a proxy. The uses of its earlier streams last as those of an ended stream do. */
  stream(proxyId: string): StreamUses {
    const stream = {};
    const used = new Set<string>();
    return {
      use: (machineId) => {
        used.add(machineId);
        const uses = this.#uses.get(machineId) ?? new Map<string, Use>();
        this.#uses.set(machineId, uses);
        uses.set(proxyId, { stream, endMs: Number.POSITIVE_INFINITY });
      },
      release: (machineId, unusedForMs) => {
        used.delete(machineId);
        if (!this.#remove(machineId, proxyId)) return;
        this.#used(machineId, this.#nowMs - Math.max(0, unusedForMs));
      },
      end: () => {
        const endMs = this.#nowMs + this.lostUseMs;
        for (const machineId of used) {
          const use = this.#uses.get(machineId)?.get(proxyId);
          if (use?.stream !== stream) continue;
          use.stream = undefined;
          use.endMs = endMs;
        }
        used.clear();
      },
    };
  }

  /** Counts a start as a use: whoever asked for it has had no time for a request. */
  started(machineId: string): void {
    this.#used(machineId, this.#nowMs);
  }

  /** Returns how long no proxy has used a machine. */
  idleness(machineId: string): Idleness {
    const nowMs = this.#nowMs;
    const blindMs = this.#startedMs + this.lostUseMs - nowMs;
    let leftMs = Math.max(0, blindMs);
    for (const [proxyId, use] of this.#uses.get(machineId) ?? []) {
      if (use.stream !== undefined) return { kind: "used", leftMs: undefined };
      if (use.endMs > nowMs) leftMs = Math.max(leftMs, use.endMs - nowMs);
      else {
        this.#remove(machineId, proxyId);
        this.#used(machineId, use.endMs);
      }
    }
    if (leftMs > 0) return { kind: "used", leftMs };
    return { kind: "unused", forMs: nowMs - (this.#lastUseMs.get(machineId) ?? this.#startedMs) };
  }

  /** Forgets machines that are gone. */
  prune(isThere: (machineId: string) => boolean): void {
    for (const id of this.#uses.keys()) if (!isThere(id)) this.#uses.delete(id);
    for (const id of this.#lastUseMs.keys()) if (!isThere(id)) this.#lastUseMs.delete(id);
  }

  get #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  #used(machineId: string, atMs: number): void {
    const before = this.#lastUseMs.get(machineId) ?? this.#startedMs;
    this.#lastUseMs.set(machineId, Math.max(before, atMs));
  }

  #remove(machineId: string, proxyId: string): boolean {
    const uses = this.#uses.get(machineId);
    const wasThere = uses?.delete(proxyId) ?? false;
    if (uses?.size === 0) this.#uses.delete(machineId);
    return wasThere;
  }
}
