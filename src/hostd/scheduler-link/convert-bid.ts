import type {
  AttachRequest,
  BidRequest as BidRequestProto,
} from "../../gen/windhover/scheduler/v1/attach.ts";
import type { Offer } from "../../gen/windhover/scheduler/v1/host.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import type { BidAnswer, BidRequest } from "../capacity/bid.ts";
import { resourcesToProto } from "../convert-host.ts";

export function bidRequestFromProto(request: BidRequestProto): BidRequest {
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

export function bidAnswerToProto(reservationId: string, answer: BidAnswer): AttachRequest["message"] {
  if (answer.kind === "decline") {
    const { reason, largest } = answer;
    return {
      $case: "decline",
      value: { reservationId, reason, largest: largest && resourcesToProto(largest) },
    };
  }
  const { epoch, freeAfter, imageLocal, load, warmVms, machines, appMachines, inFlight } = answer;
  const offer: Offer = {
    // The scheduler has these from the hello.
    ...{ hostNumber: 0, hostName: "", hostAddress: "", region: "", zone: "" },
    ...{ epoch, imageLocal, load, warmVms, machines, appMachines, inFlight },
    freeAfter: resourcesToProto(freeAfter),
  };
  return { $case: "offer", value: { reservationId, offer } };
}
