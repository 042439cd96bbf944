import { MachineConfig } from "../../gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  MachinesServiceServer,
  WatchCreateResponse,
} from "../../gen/windhover/machines/v1/machines.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { betweenTimes } from "../../lib/grpc/observed/handler-times.ts";
import { serverStream, unary } from "../../lib/grpc/server/rpc.ts";
import { configInputFromProto } from "../machines/config/convert-config.ts";
import { leaseToProto, machineToProto } from "../machines/convert-machine.ts";
import { placementFromProto } from "../regions/convert-placement.ts";
import type { KnownRegions } from "../regions/regions.ts";
import { authorize } from "../requests/authorize.ts";
import type { Caller } from "../requests/caller.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkRequestId, requireName } from "../requests/names.ts";
import type { Creates } from "./creates.ts";
import { measureCreate } from "./metrics.ts";
import { checkReference } from "./saga/images.ts";
import type { StepProgress } from "./store/progress.ts";
import { type CreateInput, validateCreate } from "./validate-create.ts";

export function createsService(
  creates: Creates,
  regions: KnownRegions,
): Pick<MachinesServiceServer, "createMachine" | "watchCreate"> {
  return {
    createMachine: unary((req, ctx) =>
      betweenTimes(async () => {
        const caller = authorize(ctx, "machines:write");
        const request = validateCreate(inputFromProto(req, caller), regions, checkReference);
        const created = await measureCreate(() =>
          creates.create(request, req.requestId || undefined, caller),
        );
        const { lease, repeated } = created;
        const machine = machineToProto(created.machine, created.hostStatus);
        return {
          machine: lease ? { ...machine, lease: leaseToProto(lease, lease.nonce) } : machine,
          repeated,
        };
      }),
    ),
    watchCreate: serverStream(async function* (req, ctx) {
      const { org } = authorize(ctx, "machines:read");
      const requestId = requireName("request_id", req.requestId, checkRequestId);
      for await (const progress of creates.watch(org, requestId, ctx.signal)) yield progressToProto(progress);
    }),
  };
}

function inputFromProto(req: CreateMachineRequest, { org, subject }: Caller): CreateInput {
  const { app, name, region, skipLaunch, cordoned, requestId } = req;
  const config = req.config && configInputFromProto(req.config);
  const placement = placementFromProto(req.placement);
  const configBytes = req.config ? MachineConfig.encode(req.config).finish().length : 0;
  const leaseTtlMs = durationFromProto(req.leaseTtl);
  return {
    ...{ org, app, name, region, skipLaunch, cordoned, requestId, placement, config, configBytes },
    ...{ subject, leaseTtlMs },
  };
}

function progressToProto({
  step,
  status,
  detail,
  bytesDone,
  bytesTotal,
  timeMs,
}: StepProgress): WatchCreateResponse {
  return {
    ...{ step, status, detail },
    bytesDone: BigInt(Math.round(bytesDone)),
    bytesTotal: BigInt(Math.round(bytesTotal)),
    time: timeToProto(timeMs),
  };
}
