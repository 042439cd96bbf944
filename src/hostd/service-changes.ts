import type { HostServiceServer } from "../gen/windhover/hostd/v1/hostd.ts";
import type { Revocations } from "../lib/auth/revocations.ts";
import { requireGoodStanding } from "../lib/auth/rpc-rules.ts";
import { invalid } from "../lib/faults/fault.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { leaseToProto, machineToProto } from "./convert-machine.ts";
import {
  metadataFromProto,
  newLeaseFromProto,
  restartFromProto,
  signalFromProto,
  updateFromProto,
} from "./convert-request.ts";
import { type Machine, machineId } from "./machines/machine.ts";
import { MachineChanges } from "./operations/machine-changes.ts";
import type { Machines } from "./operations/machines.ts";
import { internal } from "./service-calls.ts";

type Changes = Pick<
  HostServiceServer,
  | ("updateMachine" | "restartMachine" | "signalMachine" | "setMachineCordon" | "updateMetadata")
  | ("acquireLease" | "getLease" | "releaseLease")
>;

/** Serves the calls that change machines other than by a create, a start, a stop or a destroy. */
export function changeCalls(parts: {
  readonly hostName: string;
  readonly machines: Machines;
  readonly clock: Clock;
  readonly revocations: Pick<Revocations, "isSuspended">;
}): Changes {
  const { machines, clock, revocations } = parts;
  const changes = new MachineChanges(machines, clock);
  const answer = (machine: Machine) => ({
    machine: machineToProto(machine, parts.hostName, [], clock.now()),
  });
  return {
    updateMachine: internal(async (req, ctx) => {
      const id = machineId(req.machineId);
      requireGoodStanding(machines.get(id, req.org).spec.org, revocations);
      return answer(await machines.update(id, req.org, updateFromProto(req), ctx.signal));
    }),
    restartMachine: internal(async (req) => {
      const id = machineId(req.machineId);
      requireGoodStanding(machines.get(id, req.org).spec.org, revocations);
      return answer(await machines.restart(id, req.org, restartFromProto(req), { nonce: req.leaseNonce }));
    }),
    signalMachine: internal(async (req) => {
      const signal = signalFromProto(req.signal);
      const right = { nonce: req.leaseNonce };
      return answer(await changes.signal(machineId(req.machineId), req.org, signal, right));
    }),
    setMachineCordon: internal(async (req) => {
      const right = { nonce: req.leaseNonce };
      return answer(await changes.setCordon(machineId(req.machineId), req.org, req.cordoned, right));
    }),
    updateMetadata: internal(async (req) => {
      const patch = metadataFromProto(req);
      return answer(await changes.updateMetadata(machineId(req.machineId), req.org, patch));
    }),
    acquireLease: internal(async (req) => {
      if (!req.lease) throw invalid([{ field: "lease", description: "is required" }]);
      const wanted = newLeaseFromProto(req.lease);
      const lease = await changes.acquireLease(machineId(req.machineId), req.org, wanted, req.nonce);
      return { lease: leaseToProto(lease) };
    }),
    getLease: internal((req) => ({ lease: leaseToProto(changes.lease(machineId(req.machineId), req.org)) })),
    releaseLease: internal(async (req) => {
      await changes.releaseLease(machineId(req.machineId), req.org, req.nonce);
      return {};
    }),
  };
}
