import type { AttachResponse } from "../../gen/windhover/scheduler/v1/attach.ts";
import type { Fault } from "../../lib/faults/fault.ts";
import type { Wire } from "../../lib/grpc/wire.ts";
import type { Bid, BidTerms } from "../auctions/offer.ts";
import type { HostStream } from "./attached-host.ts";
import { bidToProto } from "./convert.ts";

/** Messages that may wait for one host: as many as auctions run at once, of some 0.2 kB each. */
const MAX_QUEUED = 2_048;
const MAX_IDS = 1_024;

/** Sends messages to one host at once. Queues them while the host does not read. */
export class WireStream implements HostStream {
  readonly #wire: Wire<AttachResponse>;
  readonly #queue: AttachResponse[] = [];
  #isBehind = false;
  #isOver = false;

  constructor(wire: Wire<AttachResponse>) {
    this.#wire = wire;
  }

  sendBid(bid: Bid, terms: BidTerms): boolean {
    return this.#send({ message: { $case: "bidRequest", value: bidToProto(bid, terms) } });
  }

  sendRelease(reservationId: string): boolean {
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

  close(): void {
    if (this.#close()) this.#wire.end();
  }

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
    this.#queue.length = 0;
    return true;
  }
}
