import { randomBytes } from "node:crypto";
import { ulid } from "ulid";
import type {
  AcquireLeaseRequest,
  NewLease,
  ReleaseLeaseRequest,
  RestartMachineRequest,
  SetMachineCordonRequest,
  SignalMachineRequest,
  UpdateMachineRequest,
  UpdateMetadataRequest,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import {
  type Lease,
  type Machine,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { durationFromProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { type CallContext, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import type { HostParts } from "./parts.ts";

/** The leases of a fake host: by the clock, one for a machine. */
export class FakeLeases {
  readonly #leases = new Map<string, Lease>();
  /** Request ids of leases by their nonces. */
  readonly #requests = new Map<string, string>();

  clear(): void {
    this.#leases.clear();
  }

  /** Returns the lease of a machine; undefined: none, or it has ended. */
  find(id: string): Lease | undefined {
    const lease = this.#leases.get(id);
    return lease && (lease.expireTime?.getTime() ?? 0) > Date.now() ? lease : undefined;
  }

  /** @throws Fault `LEASE_HELD` unless the nonce is the lease's or there is none */
  guard(id: string, nonce: string): void {
    const lease = this.find(id);
    if (!lease || lease.nonce === nonce) return;
    const until = lease.expireTime?.toISOString() ?? "";
    const message = `machine ID ${id} lease currently held by ${lease.owner}, expires at ${until}`;
    const facts = { machine_id: id, owner: lease.owner, expire_time: until };
    throw new Fault("ABORTED", "LEASE_HELD", message, facts);
  }

  acquire({ id, instanceId }: Machine, wanted: NewLease | undefined, nonce: string): Lease {
    if (nonce !== "") this.get(id);
    const requestId = wanted?.requestId ?? "";
    const isRepeat = requestId !== "" && this.#requests.get(this.find(id)?.nonce ?? "") === requestId;
    if (!isRepeat) this.guard(id, nonce);
    const lease = {
      nonce: this.find(id)?.nonce ?? randomBytes(16).toString("hex"),
      owner: wanted?.owner ?? "",
      description: wanted?.description ?? "",
      expireTime: new Date(Date.now() + (durationFromProto(wanted?.ttl) ?? 0)),
      instanceId,
    };
    this.#leases.set(id, lease);
    this.#requests.set(lease.nonce, requestId);
    return lease;
  }

  get(id: string): Lease {
    const lease = this.find(id);
    if (lease) return lease;
    throw new Fault("NOT_FOUND", "LEASE_NOT_FOUND", `machine ${id} has no lease`, { machine_id: id });
  }

  release(id: string, nonce: string): void {
    this.get(id);
    this.guard(id, nonce);
    this.#leases.delete(id);
  }
}

interface Target {
  readonly machineId: string;
  readonly org: string;
}

interface ChangedHost {
  readonly leases: FakeLeases;
  readonly signals: string[];
  credentials: UpdateMachineRequest["credentials"];
  change(id: string, change: Partial<Machine>): Machine;
}

/** Serves the calls that change machines in place, as hostd does as far as an api can tell. */
export function changeMethods({ host, act, find }: HostParts<ChangedHost>) {
  const change = <Req extends Target & { leaseNonce: string }>(
    method: string,
    changed: (machine: Machine, req: Req) => Partial<Machine>,
  ) =>
    unary((req: Req, ctx: CallContext) =>
      act(ctx, method, req.machineId, () => {
        const machine = find(req.machineId, req.org);
        host.leases.guard(req.machineId, req.leaseNonce);
        return { machine: host.change(req.machineId, changed(machine, req)) };
      }),
    );
  return {
    updateMachine: change("updateMachine", (machine, req: UpdateMachineRequest) => {
      host.credentials = req.credentials;
      return updated(machine, req);
    }),
    restartMachine: change("restartMachine", restarted),
    signalMachine: change("signalMachine", (machine, { signal }: SignalMachineRequest) => {
      if (machine.state !== MachineState.STARTED)
        throw new Fault("FAILED_PRECONDITION", "INVALID_STATE", "it does not run");
      host.signals.push(signal);
      return {};
    }),
    setMachineCordon: change("setMachineCordon", (_, { cordoned }: SetMachineCordonRequest) => ({
      cordoned,
    })),
    updateMetadata: unary((req: UpdateMetadataRequest & Target, ctx: CallContext) =>
      act(ctx, "updateMetadata", req.machineId, () => ({
        machine: host.change(req.machineId, withMetadata(find(req.machineId, req.org), req)),
      })),
    ),
    acquireLease: unary((req: AcquireLeaseRequest, ctx: CallContext) =>
      act(ctx, "acquireLease", req.machineId, () => {
        const machine = find(req.machineId, req.org);
        const lease = host.leases.acquire(machine, req.lease, req.nonce);
        host.change(machine.id, { lease: { ...lease, nonce: "" } });
        return { lease };
      }),
    ),
    getLease: unary(({ machineId, org }: Target, ctx: CallContext) =>
      act(ctx, "getLease", machineId, () => ({ lease: host.leases.get(find(machineId, org).id) })),
    ),
    releaseLease: unary(({ machineId, org, nonce }: ReleaseLeaseRequest, ctx: CallContext) =>
      act(ctx, "releaseLease", machineId, () => {
        host.leases.release(find(machineId, org).id, nonce);
        host.change(machineId, { lease: undefined });
        return {};
      }),
    ),
  };
}

/** Returns the members that an update changes. @throws Fault `VERSION_MISMATCH`, `AUTO_DESTROY` */
function updated(machine: Machine, request: UpdateMachineRequest): Partial<Machine> {
  checkVersion("ABORTED", machine, request.currentVersion);
  if (machine.config?.autoDestroy)
    throw new Fault("FAILED_PRECONDITION", "AUTO_DESTROY", "it destroys itself and cannot be updated");
  const isStarted = machine.state === MachineState.STARTED;
  const starts = (isStarted && !request.skipLaunch) || (!isStarted && request.launch);
  const state = starts ? MachineState.STARTED : isStarted ? MachineState.STOPPED : machine.state;
  const instanceId = ulid();
  return {
    ...{ config: request.config, imageRef: request.imageRef, instanceId, state },
    events: [eventOf("update", state, instanceId), ...machine.events],
  };
}

function restarted(machine: Machine, { forceStop }: RestartMachineRequest): Partial<Machine> {
  const state = MachineState.STARTED;
  const event = eventOf("restart", state, machine.instanceId);
  return { state, events: [{ ...event, message: forceStop ? "killed" : "" }, ...machine.events] };
}

/** Returns the members that a change of metadata changes. @throws Fault `VERSION_MISMATCH` */
function withMetadata(machine: Machine, request: UpdateMetadataRequest): Partial<Machine> {
  checkVersion("FAILED_PRECONDITION", machine, request.currentVersion);
  const metadata = new Map(request.replace ? [] : machine.config?.metadata);
  for (const [key, value] of request.set) metadata.set(key, value);
  for (const key of request.remove) metadata.delete(key);
  return { config: machine.config && { ...machine.config, metadata } };
}

export function eventOf(type: string, status: MachineState, instanceId = ""): MachineEvent {
  const id = ulid(Date.now());
  return MachineEvent.fromPartial({ id, type, status, source: "user", time: new Date(), instanceId });
}

function checkVersion(code: "ABORTED" | "FAILED_PRECONDITION", machine: Machine, expected: string): void {
  if (expected === "" || expected === machine.instanceId) return;
  const message = `machine ${machine.id} has another version`;
  throw new Fault(code, "VERSION_MISMATCH", message, { current_version: machine.instanceId });
}
