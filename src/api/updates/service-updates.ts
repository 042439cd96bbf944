import { MachineConfig } from "../../gen/windhover/machines/v1/machine.ts";
import type {
  MachinesServiceServer,
  UpdateMachineRequest,
} from "../../gen/windhover/machines/v1/machines.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { hashOf } from "../creates/request-hash.ts";
import { checkReference } from "../creates/saga/images.ts";
import type { UpdateRequest } from "../machines/changes/update.ts";
import { configInputFromProto } from "../machines/config/convert-config.ts";
import { requireConfig } from "../machines/config/validate-config.ts";
import { machineToProto } from "../machines/convert-machine.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import { checkToken, machineRequest } from "../machines/machine-request.ts";
import { authorize } from "../requests/authorize.ts";
import { checkRequestId } from "../requests/names.ts";
import type { Updates } from "./updates.ts";

const MAX_READY_MS = 300_000;

export function updatesService(updates: Updates): Pick<MachinesServiceServer, "updateMachine"> {
  return {
    updateMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const machine = await updates.update(...updateFromProto(req), caller);
      return { machine: machineToProto(machine, "ok") };
    }),
  };
}

function updateFromProto(req: UpdateMachineRequest): readonly [MachineId, UpdateRequest] {
  const { currentVersion, launch, skipLaunch, leaseNonce, rollback, requestId } = req;
  const input = req.config && configInputFromProto(req.config);
  const size = req.config ? MachineConfig.encode(req.config).finish().length : 0;
  const readyTimeoutMs = durationFromProto(req.readyTimeout);
  const [id, config] = machineRequest(req.machineId, (violations) => {
    const valid = requireConfig(input, size, checkReference, violations);
    checkToken("current_version", currentVersion, violations);
    violations.check(!(launch && skipLaunch), "skip_launch", "must not be set together with launch");
    checkToken("lease_nonce", leaseNonce, violations);
    if (requestId !== "") violations.add("request_id", checkRequestId(requestId));
    const ms = readyTimeoutMs ?? 0;
    violations.check(ms >= 0 && ms <= MAX_READY_MS, "ready_timeout", "must be 0 to 5 min");
    return valid;
  });
  if (!config) throw new Error("a request without a configuration was taken as valid");
  const asked = { config, currentVersion, launch, skipLaunch, rollback, readyTimeoutMs };
  const requestHash = requestId === "" ? "" : hashOf(asked).toString("hex");
  return [id, { ...asked, leaseNonce, requestId, requestHash }];
}
