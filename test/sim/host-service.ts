import type { Award } from "../../src/api/creates/steps/context.ts";
import { machineFrom } from "../../src/api/machines/convert-machine.ts";
import type { Machine as ApiMachine } from "../../src/api/machines/machine.ts";
import { machineToProto } from "../../src/hostd/convert.ts";
import type { HostIdentity } from "../../src/hostd/convert-host.ts";
import type { Host } from "../../src/hostd/machines/host.ts";
import { type Machine, type MachineConfig, machineId } from "../../src/hostd/machines/machine.ts";
import type { Machines } from "../../src/hostd/operations/machines.ts";
import type { Store } from "../../src/hostd/store/store.ts";
import type { Handler } from "./network.ts";

/** What a host is asked about a machine. */
export interface Target {
  readonly id: string;
  readonly org: string;
}

/** What hostd serves to the apis: the part of src/hostd/service.ts that is not gRPC. */
export function hostHandlers(parts: {
  readonly host: Host;
  readonly machines: Machines;
  readonly store: Store;
  readonly hello: HostIdentity;
}): Readonly<Record<string, Handler>> {
  const { machines, store, hello } = parts;
  const told = (machine: Machine): ApiMachine => machineFrom(machineToProto(machine, hello.name));
  return {
    create: async (award: Award) => told(await machines.create(placement(award))),
    prepare: async ({ id }: Target, { signal }) => {
      for await (const _ of machines.prepare(machineId(id), signal));
      return told(machines.get(machineId(id), ""));
    },
    get: ({ id, org }: Target) => told(machines.get(machineId(id), org)),
    list: () => machines.list().map((machine) => machineFrom(machineToProto(machine, hello.name, "without"))),
    start: async ({ id, org }: Target) => {
      const { machine, previous, already, startPath } = await machines.start(machineId(id), org, 10);
      return { machine: told(machine), previousState: previous, alreadyStarted: already, startPath };
    },
    stop: async ({ id, org }: Target) => {
      const { machine, already } = await machines.stop(machineId(id), org, {});
      return { machine: told(machine), alreadyStopped: already };
    },
    destroy: async ({
      id,
      org,
      force,
      ignoreMissing,
    }: Target & { force: boolean; ignoreMissing: boolean }) => {
      const machine = await machines.destroy(machineId(id), org, { force, ignoreMissing });
      return machine && told(machine);
    },
    hello: () => entryOf(hello),
    word: () => ({ identity: store.identity, isDelivered: store.acknowledged >= store.sequence }),
  };
}

/** What a host says of itself to an api. */
export function entryOf({ vmm, ...rest }: HostIdentity) {
  const { name, acceleration, isolation, reason } = vmm;
  return { ...rest, vmm: name, acceleration, isolation, vmmReason: reason };
}

function placement({ machineId: id, request, image, createTraceId, reservationId, epoch }: Award) {
  const { name, app, org, region, skipLaunch } = request;
  const { init, ...given } = request.config;
  const config: MachineConfig = {
    ...given,
    init: { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", ...init },
  };
  const spec = { name, app, org, region, config, imageRef: image, createTraceId };
  return { id: machineId(id), spec, reservationId, epoch: BigInt(epoch), keepForLaunch: !skipLaunch };
}
