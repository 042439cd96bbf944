import type {
  MachinesServiceServer,
  RestartMachineRequest,
  SignalMachineRequest,
  UpdateMetadataRequest,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { durationFromProto } from "../../../lib/grpc/messages/duration.ts";
import { mapFromProto } from "../../../lib/grpc/messages/maps.ts";
import { betweenTimes } from "../../../lib/grpc/observed/handler-times.ts";
import { unary } from "../../../lib/grpc/server/rpc.ts";
import { authorize } from "../../requests/authorize.ts";
import type { Check } from "../config/text.ts";
import { checkKey, checkMetadata, MAX_METADATA_ENTRIES } from "../config/validate-metadata.ts";
import { checkStop, signalProblem } from "../config/validate-stop.ts";
import { machineToProto } from "../convert-machine.ts";
import { isDestroyed } from "../host/find-host.ts";
import type { MachineId } from "../ids/machine-id.ts";
import { checkToken, machineRequest } from "../machine-request.ts";
import type { Machines } from "../machines.ts";
import type { LeaseGuard, MachineChanges, MetadataChange, RestartOptions, SignalOptions } from "./changes.ts";

type Changes = Pick<
  MachinesServiceServer,
  "restartMachine" | "suspendMachine" | "signalMachine" | "setMachineCordon" | "updateMetadata"
>;

export function changesService(
  changes: MachineChanges,
  machines: Pick<Machines, "get">,
  leases: LeaseGuard,
): Changes {
  return {
    restartMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const machine = await changes.restart(...restartFromProto(req), caller);
      return { machine: machineToProto(machine, "ok") };
    }),
    suspendMachine: unary((req, ctx) =>
      betweenTimes(async () => {
        const caller = authorize(ctx, "machines:write");
        const [id] = machineRequest(req.machineId, (violations) =>
          checkToken("lease_nonce", req.leaseNonce, violations),
        );
        const { leaseNonce } = req;
        try {
          return { machine: machineToProto(await changes.suspend(id, { leaseNonce }, caller), "ok") };
        } catch (err) {
          if (!hasReason(err, "NOT_BUILT_YET")) throw err;
        }
        // Faults of the machine, its state and its lease come before the refusal.
        const { machine } = await machines.get(id, caller);
        if (machine.state === "destroyed") throw isDestroyed(id, "suspend");
        await leases.guard(id, leaseNonce, caller);
        throw suspendNotSupported(id);
      }),
    ),
    signalMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      return { machine: machineToProto(await changes.signal(...signalFromProto(req), caller), "ok") };
    }),
    setMachineCordon: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const { cordoned, leaseNonce } = req;
      const [id] = machineRequest(req.machineId, (violations) =>
        checkToken("lease_nonce", leaseNonce, violations),
      );
      const machine = await changes.setCordon(id, { cordoned, leaseNonce }, caller);
      return { machine: machineToProto(machine, "ok") };
    }),
    updateMetadata: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const machine = await changes.updateMetadata(...metadataFromProto(req), caller);
      return { machine: machineToProto(machine, "ok") };
    }),
  };
}

function restartFromProto(req: RestartMachineRequest): readonly [MachineId, RestartOptions] {
  const { signal, forceStop, leaseNonce } = req;
  return machineRequest(req.machineId, (violations) => {
    const timeoutMs = durationFromProto(req.timeout);
    checkStop("signal", "timeout", signal, timeoutMs ?? 0, violations);
    checkToken("lease_nonce", leaseNonce, violations);
    return { signal, forceStop, leaseNonce, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  });
}

function signalFromProto(req: SignalMachineRequest): readonly [MachineId, SignalOptions] {
  const { signal, leaseNonce } = req;
  return machineRequest(req.machineId, (violations) => {
    violations.add("signal", signal === "" ? "is required, e.g. SIGHUP" : signalProblem(signal));
    checkToken("lease_nonce", leaseNonce, violations);
    return { signal, leaseNonce };
  });
}

function metadataFromProto(req: UpdateMetadataRequest): readonly [MachineId, MetadataChange] {
  const { remove, replace, currentVersion } = req;
  const set = mapFromProto(req.set);
  return machineRequest(req.machineId, (violations) => {
    const check: Check = (holds, field, description) => violations.check(holds, field, description);
    checkMetadata("set", set, check);
    const [{ length }, max] = [remove, MAX_METADATA_ENTRIES];
    check(length <= max, "remove", `must have at most ${max} entries, not ${length}`);
    for (const [i, key] of remove.slice(0, max).entries()) {
      checkKey(`remove[${i}]`, key, check);
      check(!req.set.has(key), `remove[${i}]`, "is in set too");
    }
    const isChange = replace || req.set.size > 0 || length > 0;
    check(isChange, "set", "is required, unless remove or replace is there");
    checkToken("current_version", currentVersion, violations);
    return { set, remove, replace, currentVersion };
  });
}

function suspendNotSupported(id: string): Fault {
  const message = `machine ${id} cannot be suspended: its host cannot save memory yet; stop it instead, and start it later`;
  return new Fault("UNIMPLEMENTED", "SUSPEND_NOT_SUPPORTED", message, { machine_id: id });
}
