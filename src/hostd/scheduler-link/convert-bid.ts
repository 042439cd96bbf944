import type * as pb from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { durationFromProto } from "../../lib/grpc/duration.ts";
import { attribute, failSpan, tracer, withRemoteParent } from "../../lib/otel/tracing.ts";
import { logger } from "../../lib/runtime/log.ts";

/** Amounts of resources. Memory and disk in MB. */
export interface Amounts {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** What an auction asks of this host. */
export interface AskedBid {
  readonly reservationId: string;
  readonly resources: Amounts;
  readonly imageDigest: string;
  readonly app: string;
  /** Say no when a machine of the app is here already. */
  readonly distinctHosts: boolean;
  /** How long to hold: the reservation's TTL. The ledger adds its grace. */
  readonly holdMs: number;
  /** How long an answer is of use. */
  readonly windowMs: number;
}

/** What this host answers. */
export type BidAnswer =
  | {
      /** Yes: the capacity is held already. */
      readonly kind: "offer";
      /** Of the hold. */
      readonly epoch: bigint;
      readonly freeAfter: Amounts;
      readonly imageLocal: boolean;
      /** 0 idle, 1 all CPUs busy. */
      readonly load: number;
      /** Warm VMs of the shape. */
      readonly warmVms: number;
      /** Machines on the host. */
      readonly machines: number;
      /** Of these, machines of the bid's app. */
      readonly appMachines: number;
      /** Starts, pulls and the like under way. */
      readonly inFlight: number;
    }
  | {
      readonly kind: "decline";
      readonly reason:
        | "no_cpu"
        | "no_memory"
        | "no_disk"
        | "draining"
        | "cordoned"
        | "app_present"
        | "busy"
        | "other";
      /** The largest that would fit now. */
      readonly largest?: Amounts;
    };

/**
 * Answers a bid request with what `bid` says, under a span `hostd.bid` in the auction's trace. A bid that throws is a no: one
 * bad request must not cost the host its stream.
 */
export function answerBid(request: pb.BidRequest, bid: (asked: AskedBid) => BidAnswer): pb.AttachRequest {
  const answer = (): BidAnswer => {
    try {
      return bid(toAsked(request));
    } catch (error) {
      logger.error("a bid could not be answered", { reservation: request.reservationId, error });
      return { kind: "decline", reason: "other" };
    }
  };
  // Without a trace there is nothing to hang a span on, and each bid would begin one of its own.
  const given =
    request.traceparent === ""
      ? answer()
      : withRemoteParent(request.traceparent, () => inSpan(request, answer));
  return toMessage(request.reservationId, given);
}

function inSpan(request: pb.BidRequest, answer: () => BidAnswer): BidAnswer {
  const attributes = { [attribute.reservationId]: request.reservationId };
  const span = tracer().startSpan("hostd.bid", { attributes });
  try {
    const given = answer();
    span.setAttribute("windhover.bid.answer", given.kind === "offer" ? "offer" : given.reason);
    if (given.kind === "offer") span.setAttribute(attribute.imageCached, given.imageLocal);
    return given;
  } catch (err) {
    failSpan(span, err);
    throw err;
  } finally {
    span.end();
  }
}

function toAsked(request: pb.BidRequest): AskedBid {
  const { reservationId, imageDigest, app, distinctHosts } = request;
  return {
    reservationId,
    resources: toAmounts(request.resources),
    imageDigest,
    app,
    distinctHosts,
    holdMs: durationFromProto(request.hold) ?? 0,
    windowMs: durationFromProto(request.window) ?? 0,
  };
}

function toMessage(reservationId: string, answer: BidAnswer): pb.AttachRequest {
  if (answer.kind === "decline") {
    const { reason, largest } = answer;
    const value = { reservationId, reason, largest: largest && fromAmounts(largest) };
    return { message: { $case: "decline", value } };
  }
  const { epoch, freeAfter, imageLocal, load, warmVms, machines, appMachines, inFlight } = answer;
  const offer: pb.Offer = {
    // Who and where this host is, the scheduler knows from its hello.
    ...{ hostNumber: 0, hostName: "", hostAddress: "", region: "", zone: "" },
    ...{
      epoch,
      freeAfter: fromAmounts(freeAfter),
      imageLocal,
      load,
      warmVms,
      machines,
      appMachines,
      inFlight,
    },
  };
  return { message: { $case: "offer", value: { reservationId, offer } } };
}

function toAmounts(written: pb.Resources | undefined): Amounts {
  return {
    cpus: written?.cpus ?? 0,
    memoryMb: Number(written?.memoryMb ?? 0n),
    diskMb: Number(written?.diskMb ?? 0n),
  };
}

function fromAmounts({ cpus, memoryMb, diskMb }: Amounts): pb.Resources {
  const whole = (amount: number) => BigInt(Math.max(0, Math.floor(amount)));
  return { cpus: Math.max(0, Math.floor(cpus)), memoryMb: whole(memoryMb), diskMb: whole(diskMb) };
}
