import type {
  AttachRequest,
  AttachResponse,
  BidRequest as BidRequestProto,
} from "../../gen/windhover/scheduler/v1/attach.ts";
import { type HostInfo, Status } from "../../gen/windhover/scheduler/v1/host.ts";
import type { Fault } from "../../lib/faults/fault.ts";
import type { Wire, WireUser } from "../../lib/grpc/wire.ts";
import { attribute, tracer, withRemoteParent } from "../../lib/otel/tracing.ts";
import { every } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { BidAnswer, BidRequest } from "../capacity/bid.ts";
import { ImageChanges, STATUS_INTERVAL_MS, StatusChanges } from "./changes.ts";
import { bidAnswerToProto, bidRequestFromProto } from "./convert-bid.ts";

/** The host behind a stream. */
export interface StreamHost {
  /** Read each time the host attaches. */
  readonly hello: () => HostInfo;
  readonly status: () => Status;
  /** Answers a bid request from memory. Holds what it offers; a repeat gets the same hold. */
  readonly bid: (request: BidRequest) => BidAnswer;
  /** Releases holds. Ignores unknown ones. */
  readonly release: (reservationIds: readonly string[]) => void;
  /** Sorted image hints, read every second. Default: none are sent. */
  readonly images?: () => readonly number[];
}

export interface StreamEvents {
  welcomed(scheduler: string): void;
  /** Called once, at the end of the stream. */
  closed(fault: Fault | undefined): void;
}

/** One stream between a host and a scheduler, from hello to its end. */
export class SchedulerStream implements WireUser<AttachResponse> {
  readonly #wire: Wire<AttachRequest>;
  readonly #host: StreamHost;
  readonly #events: StreamEvents;
  readonly #signal: AbortSignal;
  readonly #statusChanges = new StatusChanges();
  readonly #imageChanges = new ImageChanges();
  /** The scheduler does not read. */
  #isBehind = false;
  #owesStatus = false;

  /** @param signal aborts when the stream ends */
  constructor(wire: Wire<AttachRequest>, host: StreamHost, events: StreamEvents, signal: AbortSignal) {
    this.#wire = wire;
    this.#host = host;
    this.#events = events;
    this.#signal = signal;
    this.#send({ $case: "hello", value: host.hello() });
  }

  received({ message }: AttachResponse): void {
    switch (message?.$case) {
      case "bidRequest":
        // A scheduler that does not read gets no answer, and nothing is held for it.
        if (!this.#isBehind) this.#send(answerBid(message.value, this.#host.bid));
        break;
      case "holdRelease":
        this.#release(message.value.reservationIds);
        break;
      case "welcome":
        this.#events.welcomed(message.value.scheduler);
        void every(STATUS_INTERVAL_MS, 0, () => this.#sendChanges(), this.#signal, { name: "send status" });
        break;
      default:
      // A message of a newer version.
    }
  }

  drained(): void {
    this.#isBehind = false;
    if (this.#owesStatus) this.sendStatus();
  }

  finished(): void {
    // `closed` follows.
  }

  closed(fault: Fault | undefined): void {
    this.#events.closed(fault);
  }

  /** Sends the status if it is due; to a scheduler that does not read, once it does. */
  sendStatus(): void {
    this.#owesStatus = this.#isBehind;
    if (this.#isBehind) return;
    const status = this.#host.status();
    // Changes of the load by less than 0.01 do not count.
    const encoded = Status.encode({ ...status, load: Math.round(status.load * 100) / 100 }).finish();
    if (this.#statusChanges.isDue(encoded, performance.now())) this.#send({ $case: "status", value: status });
  }

  #sendChanges(): void {
    this.sendStatus();
    const hints = this.#host.images?.() ?? [];
    if (this.#isBehind || !this.#imageChanges.isDue(hints)) return;
    this.#send({ $case: "localImages", value: { hints: [...hints] } });
  }

  #release(reservationIds: readonly string[]): void {
    try {
      this.#host.release(reservationIds);
    } catch (error) {
      logger.error("could not release holds", { error });
    }
  }

  #send(message: AttachRequest["message"]): void {
    if (!this.#wire.send({ message })) this.#isBehind = true;
  }
}

/** Answers a bid request, in a span `hostd.bid` of the auction's trace. Declines when `bid` throws, so that the stream goes on. */
export function answerBid(
  request: BidRequestProto,
  bid: (request: BidRequest) => BidAnswer,
): AttachRequest["message"] {
  const answer = (): BidAnswer => {
    try {
      return bid(bidRequestFromProto(request));
    } catch (error) {
      logger.error("could not answer a bid request", { reservation: request.reservationId, error });
      return { kind: "decline", reason: "other" };
    }
  };
  const { reservationId, traceparent } = request;
  // Without the auction's trace each bid would begin one of its own.
  const given =
    traceparent === "" ? answer() : withRemoteParent(traceparent, () => inSpan(reservationId, answer));
  return bidAnswerToProto(reservationId, given);
}

function inSpan(reservationId: string, answer: () => BidAnswer): BidAnswer {
  const span = tracer().startSpan("hostd.bid", {
    attributes: { [attribute.reservationId]: reservationId },
  });
  const given = answer();
  span.setAttribute("windhover.bid.answer", given.kind === "offer" ? "offer" : given.reason);
  if (given.kind === "offer") span.setAttribute(attribute.imageCached, given.imageLocal);
  span.end();
  return given;
}
