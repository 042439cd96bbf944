import type * as pbAttach from "../../gen/windhover/scheduler/v1/attach.ts";
import type * as pbHost from "../../gen/windhover/scheduler/v1/host.ts";
import { durationFromProto } from "../../lib/grpc/duration.ts";
import type { BidAnswer, BidRequest } from "../capacity/bid.ts";
import { resourcesToProto } from "../convert-host.ts";

/** Converts a bid request. */
export function bidRequestFromProto(request: pbAttach.BidRequest): BidRequest {
  const { reservationId, imageDigest, app, distinctHosts, resources, hold } = request;
  return {
    ...{ reservationId, imageDigest, app, distinctHosts },
    resources: {
      cpus: resources?.cpus ?? 0,
      memoryMb: Number(resources?.memoryMb ?? 0n),
      diskMb: Number(resources?.diskMb ?? 0n),
    },
    holdMs: durationFromProto(hold) ?? 0,
  };
}

/** Converts an answer to a bid request. */
export function bidAnswerToProto(
  reservationId: string,
  answer: BidAnswer,
): pbAttach.AttachRequest["message"] {
  if (answer.kind === "decline") {
    const { reason, largest } = answer;
    return {
      $case: "decline",
      value: { reservationId, reason, largest: largest && resourcesToProto(largest) },
    };
  }
  const { epoch, freeAfter, imageLocal, load, warmVms, machines, appMachines, inFlight } = answer;
  const offer: pbHost.Offer = {
    // The scheduler has these from the hello.
    ...{ hostNumber: 0, hostName: "", hostAddress: "", region: "", zone: "" },
    ...{ epoch, imageLocal, load, warmVms, machines, appMachines, inFlight },
    freeAfter: resourcesToProto(freeAfter),
  };
  return { $case: "offer", value: { reservationId, offer } };
}
