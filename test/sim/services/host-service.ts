import type { Award } from "../../../src/api/hosts/hostd.ts";
import { machineFromProto } from "../../../src/api/machines/convert-machine.ts";
import type { Machine as ApiMachine } from "../../../src/api/machines/machine.ts";
import type { DestroyOptions, Target } from "../../../src/api/machines/machines.ts";
import type { HostIdentity } from "../../../src/hostd/convert-host.ts";
import { machineToProto } from "../../../src/hostd/convert-machine.ts";
import { type Machine, machineId } from "../../../src/hostd/machines/machine.ts";
import type { MachineConfig } from "../../../src/hostd/machines/machine-config.ts";
import type { Machines } from "../../../src/hostd/operations/machines.ts";
import type { Store } from "../../../src/hostd/store/store.ts";
import type { Handler } from "../world/network.ts";

/** What hostd serves to the apis: the part of src/hostd/service.ts that is not gRPC. */
export function hostHandlers(parts: {
  readonly machines: Machines;
  readonly store: Store;
  readonly hello: HostIdentity;
}): Readonly<Record<string, Handler>> {
  const { machines, store, hello } = parts;
  const told = (machine: Machine): ApiMachine => machineFromProto(machineToProto(machine, hello.name));
  return {
    create: async (award: Award) => told(await machines.create(placement(award))),
    prepare: async ({ machineId: id }: Pick<Target, "machineId">, { signal }) => {
      for await (const _ of machines.prepare(machineId(id), undefined, signal));
      return told(machines.get(machineId(id), ""));
    },
    get: ({ machineId: id, org }: Target) => told(machines.get(machineId(id), org)),
    list: () =>
      machines
        .list()
        .map((machine) => machineFromProto(machineToProto(machine, hello.name, ["config", "events"]))),
    start: async ({ machineId: id, org }: Target) => {
      const { machine, previous, already, startPath } = await machines.start(machineId(id), org, 10);
      return { machine: told(machine), previousState: previous, alreadyStarted: already, startPath };
    },
    stop: async ({ machineId: id, org }: Target) => {
      const { machine, already } = await machines.stop(machineId(id), org, {});
      return { machine: told(machine), alreadyStopped: already };
    },
    destroy: async ({ machineId: id, org, force, ignoreMissing = false }: Target & DestroyOptions) => {
      const machine = await machines.destroy(machineId(id), org, { force, ignoreMissing });
      return machine && told(machine);
    },
    getHost: () => ({
      announced: announcementOf(hello),
      isDelivered: store.acknowledged >= store.sequence,
    }),
  };
}

/** What a host announces to an api. */
export function announcementOf({ vmm, ...rest }: HostIdentity) {
  const { name, acceleration, isolation, reason } = vmm;
  return { ...rest, vmm: name, acceleration, isolation, vmmReason: reason };
}

function placement({ machineId: id, config: given, image, reservationId, epoch, ...award }: Award) {
  const { name, app, org, region, createTraceId, keepForLaunch } = award;
  const { init, ...rest } = given;
  const config: MachineConfig = {
    ...rest,
    init: { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", ...init },
  };
  const spec = { name, app, org, region, config, imageRef: image, createTraceId };
  return { id: machineId(id), spec, reservationId, epoch: BigInt(epoch), keepForLaunch };
}
