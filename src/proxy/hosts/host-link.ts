import type { HostNews, HostOrders, MachineView } from "./machine-view.ts";
import { Uses } from "./uses.ts";

/** Whether a host's stream is open. `connecting`: it has not been yet, and no attempt has failed. */
export type LinkState = "connecting" | "up" | "lost";

/** Who is told of a host's machines. */
export interface LinkListener {
  /** A machine is not as it was. */
  machineChanged(machineId: string): void;
}

/** Most ids in one message. */
const MAX_IDS = 5_000;
/** Weight of a new round trip in the average. */
const RTT_WEIGHT = 0.2;

/** What this proxy and one host tell each other, whichever stream it goes by. */
export class HostLink {
  readonly uses: Uses;
  readonly #proxyId: string;
  readonly #listener: LinkListener;
  readonly #now: () => number;
  readonly #watched = new Set<string>();
  readonly #views = new Map<string, MachineView>();
  #state: LinkState = "connecting";
  #send: ((orders: HostOrders) => void) | undefined;
  #openedMs = 0;
  #isWelcome = false;
  /** When uses were sent whose round trip is measured. */
  readonly #askedMs = new Map<string, number>();
  #rttMs: number | undefined;

  constructor(proxyId: string, listener: LinkListener, now: () => number) {
    this.#proxyId = proxyId;
    this.#listener = listener;
    this.#now = now;
    this.uses = new Uses(
      {
        use: (machineId) => this.#sendUse(machineId),
        release: (released) => this.#send?.({ released }),
      },
      now,
    );
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Average round trip; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  view(machineId: string): MachineView | undefined {
    return this.#views.get(machineId);
  }

  watch(machineIds: readonly string[]): void {
    const added = machineIds.filter((id) => !this.#watched.has(id));
    for (const id of added) this.#watched.add(id);
    for (const watch of chunks(added)) this.#send?.({ watch });
  }

  unwatch(machineIds: readonly string[]): void {
    const removed = machineIds.filter((id) => this.#watched.delete(id));
    // Uses of them are released like all others.
    for (const id of removed) this.#views.delete(id);
    for (const unwatch of chunks(removed)) this.#send?.({ unwatch });
  }

  /** A stream has been opened: sends all that the host must know. */
  opened(send: (orders: HostOrders) => void): void {
    this.#send = send;
    this.#openedMs = this.#now();
    this.#isWelcome = false;
    this.#askedMs.clear();
    send({ proxyId: this.#proxyId });
    // Uses first: they count from the moment they arrive.
    for (const use of chunks(this.uses.attached())) send({ use });
    for (const watch of chunks([...this.#watched])) send({ watch });
  }

  received({ machines, usedIds, lostUseMs }: HostNews): void {
    if (!this.#isWelcome) this.#welcome();
    this.uses.heard(lostUseMs);
    for (const { id, view } of machines) {
      // A use may be told of a machine that nobody watches any more.
      if (this.#watched.has(id)) this.#views.set(id, view);
    }
    for (const id of usedIds) this.#acknowledged(id);
    for (const { id } of machines) this.#listener.machineChanged(id);
  }

  /** The stream has ended, or could not be opened. */
  lost(): void {
    this.#send = undefined;
    const wasUp = this.#state !== "lost";
    this.#state = "lost";
    this.uses.lost();
    if (wasUp) this.#tellAll();
  }

  #welcome(): void {
    this.#isWelcome = true;
    this.#measured(this.#openedMs);
    const wasUp = this.#state === "up";
    this.#state = "up";
    if (!wasUp) this.#tellAll();
  }

  #tellAll(): void {
    for (const id of this.#watched) this.#listener.machineChanged(id);
  }

  #sendUse(machineId: string): void {
    // One at a time is enough for an average.
    if (this.#askedMs.size === 0) this.#askedMs.set(machineId, this.#now());
    this.#send?.({ use: [machineId] });
  }

  #acknowledged(machineId: string): void {
    const askedMs = this.#askedMs.get(machineId);
    if (askedMs !== undefined) {
      this.#askedMs.clear();
      this.#measured(askedMs);
    }
    this.uses.acknowledged(machineId);
  }

  #measured(sinceMs: number): void {
    const ms = this.#now() - sinceMs;
    this.#rttMs = this.#rttMs === undefined ? ms : this.#rttMs + RTT_WEIGHT * (ms - this.#rttMs);
  }
}

function* chunks(ids: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < ids.length; at += MAX_IDS) yield ids.slice(at, at + MAX_IDS);
}
