import type { Fault } from "../../lib/fault.ts";
import type { BidTerms } from "../domain/attached-host.ts";
import type { HostStream } from "../domain/hosts.ts";
import type { Bid } from "../domain/offer.ts";

/** What goes down to a host. */
export type Down =
  | { readonly kind: "bid"; readonly bid: Bid; readonly terms: BidTerms }
  | { readonly kind: "release"; readonly reservationIds: string[] };

/** Messages that may wait for a host: as many as auctions run at once, some 0.2 kB each. A host behind by more is not reading. */
const MAX_QUEUED = 2_048;
/** Reservations in one release. */
const MAX_IDS = 1_024;

/**
 * What waits to go down one host's stream: the auctions put it in without waiting, the stream takes it out as fast as the host
 * reads. Releases in a row become one message.
 */
export class HostQueue implements HostStream, AsyncIterable<Down> {
  readonly #queue: Down[] = [];
  #wake: (() => void) | undefined;
  #end: { fault: Fault | undefined } | undefined;

  ask(bid: Bid, terms: BidTerms): boolean {
    return this.#push({ kind: "bid", bid, terms });
  }

  letGo(reservationId: string): boolean {
    const last = this.#queue.at(-1);
    if (last?.kind === "release" && last.reservationIds.length < MAX_IDS) {
      last.reservationIds.push(reservationId);
      return true;
    }
    return this.#push({ kind: "release", reservationIds: [reservationId] });
  }

  end(fault: Fault): void {
    this.#close({ fault });
  }

  /** Ends it without a fault: the host wants no more. */
  close(): void {
    this.#close({ fault: undefined });
  }

  /**
   * Takes the messages out, one at a time. To be iterated once. No generator: of several messages for each auction, what its promises cost
   * is to be seen.
   */
  [Symbol.asyncIterator](): AsyncIterator<Down, undefined> {
    return { next: () => this.#next() };
  }

  async #next(): Promise<IteratorResult<Down, undefined>> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) return { done: false, value: next };
      if (this.#end?.fault) throw this.#end.fault;
      if (this.#end) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #push(message: Down): boolean {
    if (this.#end || this.#queue.length >= MAX_QUEUED) return false;
    this.#queue.push(message);
    this.#ring();
    return true;
  }

  #close(end: { fault: Fault | undefined }): void {
    if (this.#end) return;
    this.#end = end;
    // Nobody is there to read it, and holds end by time.
    this.#queue.length = 0;
    this.#ring();
  }

  #ring(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
