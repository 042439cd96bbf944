import type { AttachResponse } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { Wire } from "../../lib/grpc/wire.ts";
import type { Fault } from "../../lib/runtime/fault.ts";
import type { Bid } from "../auctions/offer.ts";
import { fromBid } from "../convert.ts";
import type { BidTerms } from "./attached-host.ts";
import type { HostStream } from "./hosts.ts";

/** Messages that may wait for a host: as many as auctions run at once, some 0.2 kB each. A host behind by more is not reading. */
const MAX_QUEUED = 2_048;
/** Reservations in one release. */
const MAX_IDS = 1_024;

/**
 * The way down to one host. What an auction has to say goes out at once; while the host does not read, it waits here, and releases in a row become
 * one message.
 */
export class HostLine implements HostStream {
  readonly #wire: Wire<AttachResponse>;
  readonly #queue: AttachResponse[] = [];
  #isBehind = false;
  #isOver = false;

  constructor(wire: Wire<AttachResponse>) {
    this.#wire = wire;
  }

  ask(bid: Bid, terms: BidTerms): boolean {
    return this.#send({ message: { $case: "bidRequest", value: fromBid(bid, terms) } });
  }

  letGo(reservationId: string): boolean {
    const last = this.#queue.at(-1)?.message;
    if (last?.$case === "holdRelease" && last.value.reservationIds.length < MAX_IDS) {
      last.value.reservationIds.push(reservationId);
      return true;
    }
    return this.#send({ message: { $case: "holdRelease", value: { reservationIds: [reservationId] } } });
  }

  end(fault: Fault): void {
    if (this.#close()) this.#wire.fail(fault);
  }

  /** Ends it without a fault: the host wants no more. */
  close(): void {
    if (this.#close()) this.#wire.end();
  }

  /** The host reads again. */
  drained(): void {
    this.#isBehind = false;
    while (!this.#isBehind && !this.#isOver) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#isBehind = !this.#wire.send(next);
    }
  }

  #send(message: AttachResponse): boolean {
    if (this.#isOver || this.#queue.length >= MAX_QUEUED) return false;
    if (this.#isBehind) this.#queue.push(message);
    else this.#isBehind = !this.#wire.send(message);
    return true;
  }

  #close(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    // Nobody is there to read it, and holds end by time.
    this.#queue.length = 0;
    return true;
  }
}
