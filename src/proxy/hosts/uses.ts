/** A use of a machine that a host is told of. */
interface Use {
  /** Requests, and starts, that need the machine now. */
  count: number;
  lastEndMs: number;
  /** Sent on this stream, and not acknowledged yet. */
  isAsked: boolean;
  /** Acknowledged, on this stream or the one before. */
  isAcknowledged: boolean;
  readonly waiters: (() => void)[];
}

/** What a host is told of uses. */
export interface UseOrders {
  use(machineId: string): void;
  release(released: readonly { readonly machineId: string; readonly unusedMs: number }[]): void;
}

/** A use counts for this part of `lost_use_time` after the host's last word: see AttachProxyResponse. */
const RELIABLE_PART = 2 / 3;

/**
 * The machines of one host that this proxy uses. A machine is used before a request is sent to it,
 * and released a while after the last one has ended.
 */
export class Uses {
  readonly #uses = new Map<string, Use>();
  readonly #orders: UseOrders;
  readonly #now: () => number;
  #isAttached = false;
  /** When the host has last said anything. */
  #heardMs = Number.NEGATIVE_INFINITY;
  #lostUseMs = 0;

  constructor(orders: UseOrders, now: () => number) {
    this.#orders = orders;
    this.#now = now;
  }

  get size(): number {
    return this.#uses.size;
  }

  /** Counts a request, and tells the host when it does not know of a use. */
  begin(machineId: string): void {
    let use = this.#uses.get(machineId);
    if (!use) {
      use = { count: 0, lastEndMs: 0, isAsked: false, isAcknowledged: false, waiters: [] };
      this.#uses.set(machineId, use);
    }
    use.count += 1;
    if (!this.#isAttached || use.isAsked || use.isAcknowledged) return;
    use.isAsked = true;
    this.#orders.use(machineId);
  }

  end(machineId: string): void {
    const use = this.#uses.get(machineId);
    if (!use) return;
    use.count -= 1;
    use.lastEndMs = this.#now();
  }

  /** Requests and starts that need a machine. */
  countOf(machineId: string): number {
    return this.#uses.get(machineId)?.count ?? 0;
  }

  /** When the last request ended; undefined for a machine that is not used. */
  lastEndMs(machineId: string): number | undefined {
    return this.#uses.get(machineId)?.lastEndMs;
  }

  /** Whether the host stops the machine for no idleness: see windhover.hostd.v1.AttachProxyResponse. */
  isConfirmed(machineId: string): boolean {
    const use = this.#uses.get(machineId);
    if (!use?.isAcknowledged || use.isAsked) return false;
    // The host may have lost the stream, unnoticed here: it keeps uses from then on, so from its last word at least.
    return this.#now() < this.#heardMs + this.#lostUseMs * RELIABLE_PART;
  }

  /**
   * Calls back when the host has acknowledged the use, or cannot: then the stream is lost, and
   * requests go on unconfirmed.
   *
   * @returns false when there is nothing to wait for
   */
  whenKnown(machineId: string, known: () => void): boolean {
    const use = this.#uses.get(machineId);
    if (!use?.isAsked || !this.#isAttached) return false;
    use.waiters.push(known);
    return true;
  }

  /** A stream is open: all uses are sent again. @returns what to send */
  attached(): string[] {
    this.#isAttached = true;
    for (const use of this.#uses.values()) use.isAsked = true;
    return [...this.#uses.keys()];
  }

  /** A message has come. @param lostUseMs of the first one of a stream */
  heard(lostUseMs: number | undefined): void {
    this.#heardMs = this.#now();
    this.#lostUseMs = lostUseMs ?? this.#lostUseMs;
  }

  acknowledged(machineId: string): void {
    const use = this.#uses.get(machineId);
    if (!use) return;
    use.isAsked = false;
    use.isAcknowledged = true;
    wake(use);
  }

  lost(): void {
    if (!this.#isAttached) return;
    this.#isAttached = false;
    for (const use of this.#uses.values()) {
      // Asked again and not acknowledged on this stream: the acknowledgement of an earlier one is too old.
      if (use.isAsked) use.isAcknowledged = false;
      use.isAsked = false;
      wake(use);
    }
  }

  /** Releases what has had no request for a while. @param keepMs for how long a machine's use is kept */
  sweep(keepMs: (machineId: string) => number): void {
    if (!this.#isAttached) return;
    const now = this.#now();
    const released: { machineId: string; unusedMs: number }[] = [];
    for (const [machineId, { count, isAsked, lastEndMs }] of this.#uses) {
      const unusedMs = now - lastEndMs;
      if (count > 0 || isAsked || unusedMs < keepMs(machineId)) continue;
      this.#uses.delete(machineId);
      released.push({ machineId, unusedMs });
    }
    if (released.length > 0) this.#orders.release(released);
  }
}

function wake({ waiters }: Use): void {
  for (const known of waiters.splice(0)) known();
}
