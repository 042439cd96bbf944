import type { Award } from "../../../src/api/hosts/hostd.ts";
import { machineFromProto } from "../../../src/api/machines/convert-machine.ts";
import type { Machine as ApiMachine } from "../../../src/api/machines/machine.ts";
import type {
  DestroyOptions,
  StartOptions,
  StopOptions,
  Target,
} from "../../../src/api/machines/machines.ts";
import type {
  AcquireLeaseRequest,
  GetLeaseRequest,
  ReleaseLeaseRequest,
  RestartMachineRequest,
  SetMachineCordonRequest,
  SignalMachineRequest,
  SuspendMachineRequest,
  UpdateMachineRequest,
  UpdateMetadataRequest,
} from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { HostIdentity } from "../../../src/hostd/convert-host.ts";
import { leaseToProto, machineToProto } from "../../../src/hostd/convert-machine.ts";
import {
  metadataFromProto,
  newLeaseFromProto,
  restartFromProto,
  signalFromProto,
  suspendFromProto,
  updateFromProto,
} from "../../../src/hostd/convert-request.ts";
import { type Machine, machineId } from "../../../src/hostd/machines/machine.ts";
import type { MachineConfig } from "../../../src/hostd/machines/machine-config.ts";
import { MachineChanges } from "../../../src/hostd/operations/machine-changes.ts";
import type { Machines } from "../../../src/hostd/operations/machines.ts";
import type { Store } from "../../../src/hostd/store/store.ts";
import type { Clock } from "../../../src/lib/runtime/clock.ts";
import type { Histories, Order } from "../machines/histories.ts";
import type { Handler } from "../world/network.ts";

interface HostParts {
  readonly machines: Machines;
  readonly store: Store;
  readonly clock: Clock;
  readonly histories: Histories;
  readonly hello: HostIdentity;
}

/** What hostd serves to the apis: the part of src/hostd/service.ts that is not gRPC. */
export function hostHandlers(parts: HostParts): Readonly<Record<string, Handler>> {
  const { machines, store, hello } = parts;
  const told = (machine: Machine): ApiMachine => machineFromProto(machineToProto(machine, hello.name));
  const inOrder = orders(parts);
  return {
    create: async (award: Award) => told(await machines.awards.create(placement(award))),
    prepare: async ({ machineId: id }: Pick<Target, "machineId">, { signal }) => {
      for await (const _ of machines.prepare(machineId(id), undefined, signal));
      return told(machines.get(machineId(id), ""));
    },
    get: ({ machineId: id, org }: Target) => told(machines.get(machineId(id), org)),
    list: () =>
      machines
        .list()
        .map((machine) => machineFromProto(machineToProto(machine, hello.name, ["config", "events"]))),
    start: ({ machineId: id, org, leaseNonce: nonce = "" }: Target & StartOptions, { signal }) =>
      inOrder({ machineId: id, nonce }, async () => {
        const right = { nonce, signal };
        const { machine, previous, already, startPath } = await machines.start(machineId(id), org, 10, right);
        return { machine: told(machine), previousState: previous, alreadyStarted: already, startPath };
      }),
    stop: ({ machineId: id, org, leaseNonce: nonce = "", ignoreLease = false }: Target & StopOptions) =>
      inOrder({ machineId: id, nonce, ignoreLease }, async () => {
        const { machine, already } = await machines.stop(machineId(id), org, {}, { nonce, ignoreLease });
        return { machine: told(machine), alreadyStopped: already };
      }),
    startFromProxy: ({ machineId: id }: { machineId: string }, { signal }) =>
      inOrder({ machineId: id, ignoreLease: true }, async () => {
        const how = { signal, caller: "proxy", isFromProxy: true } as const;
        await machines.start(machineId(id), "", 0, how);
      }),
    stopIdle: ({ machineId: id, unusedForMs }: { machineId: string; unusedForMs: number }) =>
      inOrder({ machineId: id, nonce: "" }, async () => {
        const why = { source: "proxy", message: "" } as const;
        await machines.stopIdle(machineId(id), "", { why }, unusedForMs, {});
      }),
    suspendIdle: ({ machineId: id, unusedForMs }: { machineId: string; unusedForMs: number }) =>
      inOrder({ machineId: id, nonce: "" }, async () => {
        const why = { source: "proxy", message: "" } as const;
        await machines.suspend(machineId(id), "", why, unusedForMs, {});
      }),
    destroy: (request: Target & DestroyOptions) => {
      const { machineId: id, org, leaseNonce: nonce = "" } = request;
      const { force, ignoreMissing = false, ignoreLease = false } = request;
      return inOrder({ machineId: id, nonce, ignoreLease }, async () => {
        const right = { nonce, ignoreLease };
        const machine = await machines.destroy(machineId(id), org, { force, ignoreMissing, ...right });
        return machine && told(machine);
      });
    },
    ...changeHandlers(parts),
    getHost: () => ({
      announced: announcementOf(hello),
      isDelivered: store.acknowledged >= store.sequence,
    }),
  };
}

/** As src/hostd/service-changes.ts. */
function changeHandlers(parts: HostParts): Readonly<Record<string, Handler>> {
  const { machines, clock, hello } = parts;
  const changes = new MachineChanges(machines, clock);
  const told = (machine: Machine) => ({ machine: machineToProto(machine, hello.name, [], clock.now()) });
  const inOrder = orders(parts);
  return {
    updateMachine: (req: UpdateMachineRequest, { signal }) =>
      inOrder({ ...req, nonce: req.leaseNonce }, async () =>
        told(await machines.update(machineId(req.machineId), req.org, updateFromProto(req), signal)),
      ),
    restartMachine: (req: RestartMachineRequest) => {
      const right = { nonce: req.leaseNonce };
      return inOrder({ ...req, ...right }, async () =>
        told(await machines.restart(machineId(req.machineId), req.org, restartFromProto(req), right)),
      );
    },
    suspendMachine: (req: SuspendMachineRequest) => {
      const right = { nonce: req.leaseNonce, ignoreLease: req.ignoreLease };
      const { why, unusedForMs } = suspendFromProto(req);
      return inOrder({ ...req, ...right }, async () => {
        const id = machineId(req.machineId);
        const { machine } = await machines.suspend(id, req.org, why, unusedForMs, right);
        return told(machine);
      });
    },
    signalMachine: (req: SignalMachineRequest) => {
      const right = { nonce: req.leaseNonce };
      return inOrder({ ...req, ...right }, async () =>
        told(await changes.signal(machineId(req.machineId), req.org, signalFromProto(req.signal), right)),
      );
    },
    setMachineCordon: (req: SetMachineCordonRequest) => {
      const right = { nonce: req.leaseNonce };
      return inOrder({ ...req, ...right }, async () =>
        told(await changes.setCordon(machineId(req.machineId), req.org, req.cordoned, right)),
      );
    },
    updateMetadata: (req: UpdateMetadataRequest) =>
      // No lease guards it.
      inOrder({ ...req, ignoreLease: true }, async () =>
        told(await changes.updateMetadata(machineId(req.machineId), req.org, metadataFromProto(req))),
      ),
    acquireLease: ({ machineId: id, org, lease, nonce }: AcquireLeaseRequest) =>
      inOrder({ machineId: id, nonce, request: lease }, async () => {
        if (!lease) throw new Error("a lease is to be acquired that is not described");
        const acquired = await changes.acquireLease(machineId(id), org, newLeaseFromProto(lease), nonce);
        return { lease: leaseToProto(acquired) };
      }),
    getLease: ({ machineId: id, org }: GetLeaseRequest) => ({
      lease: leaseToProto(changes.lease(machineId(id), org)),
    }),
    releaseLease: ({ machineId: id, org, nonce }: ReleaseLeaseRequest) =>
      inOrder({ machineId: id, nonce }, async () => {
        await changes.releaseLease(machineId(id), org, nonce);
        return {};
      }),
  };
}

/** Has somebody look on while a host does what it is asked for. */
function orders({ store, histories }: HostParts) {
  return <T>(order: Pick<Order, "machineId"> & Partial<Order>, work: () => Promise<T>): Promise<T> => {
    const whole = { nonce: "", ignoreLease: false, currentVersion: "", request: undefined, ...order };
    return histories.during(whole, () => store.get(order.machineId), work);
  };
}

/** What a host announces to an api. */
export function announcementOf({ vmm, ...rest }: HostIdentity) {
  const { name, acceleration, isolation, reason } = vmm;
  return { ...rest, vmm: name, acceleration, isolation, vmmReason: reason };
}

function placement({ machineId: id, config: given, image, reservationId, epoch, ...award }: Award) {
  const { name, app, org, region, createTraceId, keepForLaunch, cordoned, lease } = award;
  const { init, ...rest } = given;
  const config: MachineConfig = {
    ...rest,
    init: { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", ...init },
  };
  const spec = { name, app, org, region, config, imageRef: image, createTraceId };
  return {
    id: machineId(id),
    spec,
    reservationId,
    epoch: BigInt(epoch),
    keepForLaunch,
    isCordoned: cordoned,
    lease: lease && { requestId: "", ...lease },
  };
}
