import { ulid } from "ulid";
import {
  type HostServiceServer,
  type PrepareMachineRequest,
  StartMachineResponse,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { notBuilt } from "../../../../src/lib/grpc/server/not-built.ts";
import { type CallContext, serverStream, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import { eventOf, type FakeLeases } from "./changes.ts";
import type { HostParts } from "./parts.ts";

interface LifecycleHost {
  readonly name: string;
  readonly machines: Map<string, Machine>;
  readonly holds: Map<string, bigint>;
  readonly leases: FakeLeases;
  readonly suspends: boolean;
  readonly imageBytes: bigint;
  credentials: PrepareMachineRequest["credentials"];
  change(id: string, change: Partial<Machine>): Machine;
}

/** Serves the calls from a machine's create to its destroy. */
export function lifecycleMethods({ host, act, find }: HostParts<LifecycleHost>) {
  async function* prepare({ machineId, credentials }: PrepareMachineRequest, ctx: CallContext) {
    host.credentials = credentials;
    const progress = { machine: undefined, imageWasLocal: false };
    yield { detail: "pulling 1 of 2 layers", bytesDone: 5n, bytesTotal: 10n, ...progress };
    const machine = await act(ctx, "prepareMachine", machineId, () => {
      const known = find(machineId, "");
      return known.state === MachineState.CREATING
        ? host.change(machineId, { state: MachineState.CREATED, imageBytes: host.imageBytes })
        : known;
    });
    yield { detail: "", bytesDone: 10n, bytesTotal: 10n, machine, imageWasLocal: false };
  }

  return {
    createMachine: unary(({ machine, reservationId, epoch, lease }, ctx) =>
      act(ctx, "createMachine", machine?.id ?? "", () => {
        if (!machine) throw new Error("no machine");
        const known = host.machines.get(machine.id);
        if (known) return { machine: known };
        if (host.holds.get(reservationId) !== epoch) {
          throw new Fault("FAILED_PRECONDITION", "HOLD_EXPIRED", "the hold is gone");
        }
        host.holds.delete(reservationId);
        const now = new Date();
        const state = MachineState.CREATING;
        const created = {
          ...machine,
          state,
          host: host.name,
          generation: 1n,
          createTime: now,
          updateTime: now,
          instanceId: ulid(),
        };
        const held = lease && host.leases.acquire(created, lease, "");
        const described = { ...created, lease: held && { ...held, nonce: "" } };
        host.machines.set(machine.id, described);
        return { machine: described };
      }),
    ),
    prepareMachine: serverStream(prepare),
    startMachine: unary(({ machineId, org, leaseNonce }, ctx) =>
      act(ctx, "startMachine", machineId, () => {
        const before = find(machineId, org);
        host.leases.guard(machineId, leaseNonce);
        const alreadyStarted = before.state === MachineState.STARTED;
        const machine = alreadyStarted ? before : host.change(machineId, started(before));
        return StartMachineResponse.fromPartial({
          machine,
          previousState: before.state,
          alreadyStarted,
          startPath: "warm",
        });
      }),
    ),
    stopMachine: unary(({ machineId, org, leaseNonce, ignoreLease }, ctx) =>
      act(ctx, "stopMachine", machineId, () => {
        const before = find(machineId, org);
        if (!ignoreLease) host.leases.guard(machineId, leaseNonce);
        const alreadyStopped = before.state !== MachineState.STARTED;
        const machine = alreadyStopped ? before : host.change(machineId, { state: MachineState.STOPPED });
        return { machine, alreadyStopped };
      }),
    ),
    suspendMachine: unary(({ machineId, org, leaseNonce }, ctx) =>
      act(ctx, "suspendMachine", machineId, () => {
        if (!host.suspends) notBuilt("SuspendMachine");
        const { state } = find(machineId, org);
        host.leases.guard(machineId, leaseNonce);
        const machine = host.change(machineId, { state: MachineState.SUSPENDED });
        return { machine, alreadySuspended: state === MachineState.SUSPENDED };
      }),
    ),
    destroyMachine: unary(({ machineId, org, force, ignoreMissing, ...leased }, ctx) =>
      act(ctx, "destroyMachine", machineId, () => {
        if (ignoreMissing && !host.machines.has(machineId)) return { machine: undefined };
        const machine = find(machineId, org);
        if (!leased.ignoreLease) host.leases.guard(machineId, leased.leaseNonce);
        if (machine.state === MachineState.STARTED && !force) {
          throw new Fault("FAILED_PRECONDITION", "MACHINE_RUNNING", "it is running; stop it or force it");
        }
        const gone = host.change(machineId, { state: MachineState.DESTROYED });
        host.machines.delete(machineId);
        return { machine: gone };
      }),
    ),
  } satisfies Partial<HostServiceServer>;
}

function started(machine: Machine): Partial<Machine> {
  const event = eventOf("start", MachineState.STARTED, machine.instanceId);
  return { state: MachineState.STARTED, lastStartPath: "warm", events: [event, ...machine.events] };
}
