import {
  AcquireLeaseRequest,
  GetLeaseRequest,
  type LeasesServiceClient,
  ReleaseLeaseRequest,
} from "../../src/gen/windhover/machines/v1/leases.ts";
import type { MachineConfig } from "../../src/gen/windhover/machines/v1/machine.ts";
import {
  DestroyMachineRequest,
  type MachinesServiceClient,
  RestartMachineRequest,
  SetMachineCordonRequest,
  SignalMachineRequest,
  StartMachineRequest,
  StopMachineRequest,
  SuspendMachineRequest,
  UpdateMachineRequest,
  UpdateMetadataRequest,
} from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { mapToProto } from "../../src/lib/grpc/messages/maps.ts";

/** Longer than a pull and a start on a loaded machine. */
const LIMIT = { timeoutMs: 60_000 };

type Config = Partial<Omit<MachineConfig, "guest">> & { guest?: Partial<MachineConfig["guest"]> };

interface ChangeClients {
  readonly machines: MachinesServiceClient;
  readonly leases: LeasesServiceClient;
}

/** Calls that change a machine, as short as a test wants them. */
export function changeCalls({ machines, leases }: ChangeClients) {
  return {
    start: (machineId: string, leaseNonce = "") =>
      call(
        machines,
        machines.startMachine,
        StartMachineRequest.fromPartial({ machineId, leaseNonce }),
        LIMIT,
      ),
    stop: (machineId: string, leaseNonce = "") =>
      call(machines, machines.stopMachine, StopMachineRequest.fromPartial({ machineId, leaseNonce }), LIMIT),
    destroy: (machineId: string, leaseNonce = "", force = true) =>
      call(
        machines,
        machines.destroyMachine,
        DestroyMachineRequest.fromPartial({ machineId, leaseNonce, force }),
        LIMIT,
      ),
    restart: (machineId: string, change: Partial<RestartMachineRequest> = {}) =>
      call(
        machines,
        machines.restartMachine,
        RestartMachineRequest.fromPartial({ machineId, ...change }),
        LIMIT,
      ),
    suspend: (machineId: string) =>
      call(machines, machines.suspendMachine, SuspendMachineRequest.fromPartial({ machineId }), LIMIT),
    signal: (machineId: string, signal: string, leaseNonce = "") =>
      call(
        machines,
        machines.signalMachine,
        SignalMachineRequest.fromPartial({ machineId, signal, leaseNonce }),
        LIMIT,
      ),
    cordon: (machineId: string, cordoned: boolean, leaseNonce = "") =>
      call(
        machines,
        machines.setMachineCordon,
        SetMachineCordonRequest.fromPartial({ machineId, cordoned, leaseNonce }),
        LIMIT,
      ),
    metadata: (
      machineId: string,
      set: Readonly<Record<string, string>>,
      change: Partial<UpdateMetadataRequest> = {},
    ) =>
      call(
        machines,
        machines.updateMetadata,
        UpdateMetadataRequest.fromPartial({ machineId, ...change, set: mapToProto(set) }),
        LIMIT,
      ),
    update: (machineId: string, config: Config, change: Partial<Omit<UpdateMachineRequest, "config">> = {}) =>
      call(
        machines,
        machines.updateMachine,
        UpdateMachineRequest.fromPartial({ machineId, config: { image: "nginx", ...config }, ...change }),
        LIMIT,
      ),
    acquire: (machineId: string, change: Partial<AcquireLeaseRequest> = {}) =>
      call(leases, leases.acquireLease, AcquireLeaseRequest.fromPartial({ machineId, ...change }), LIMIT),
    lease: (machineId: string) =>
      call(leases, leases.getLease, GetLeaseRequest.fromPartial({ machineId }), LIMIT),
    release: (machineId: string, nonce: string) =>
      call(leases, leases.releaseLease, ReleaseLeaseRequest.fromPartial({ machineId, nonce }), LIMIT),
  };
}

export type ChangeCalls = ReturnType<typeof changeCalls>;
