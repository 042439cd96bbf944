import type { HostServiceServer } from "../gen/windhover/hostd/v1/hostd.ts";
import { requireScope } from "../lib/auth/auth.ts";
import { untilDraining } from "../lib/grpc/draining.ts";
import { serverStream, unary } from "../lib/grpc/server/rpc.ts";
import type { Scheduling } from "./availability/scheduling.ts";
import { lineToProto, machineToProto, stateToProto } from "./convert.ts";
import {
  type HostIdentity,
  holdToProto,
  hostInfoToProto,
  schedulingFromProto,
  schedulingToProto,
  statusToProto,
} from "./convert-host.ts";
import {
  logsFromProto,
  placementFromProto,
  stopFromProto,
  waitFromProto,
  watchFromProto,
} from "./convert-request.ts";
import type { LogStore } from "./logs/log-store.ts";
import type { Host } from "./machines/host.ts";
import { machineId } from "./machines/machine.ts";
import type { Machines } from "./operations/machines.ts";

/** What the service puts on the wire. */
export interface HostServiceParts {
  readonly identity: HostIdentity;
  readonly host: Host;
  readonly machines: Machines;
  readonly logs: LogStore;
  /** 0 idle, 1 all CPUs busy. */
  readonly load: () => number;
  readonly outbox: { readonly sequence: number; readonly acknowledged: number };
  /** Keeps what operators say of this host. */
  readonly scheduling: { set(scheduling: Scheduling): Promise<Scheduling> };
}

/** Puts the machines of a host on the wire: checks and converts, and decides nothing else. */
export function hostService(parts: HostServiceParts): HostServiceServer {
  const { identity, host, machines, logs } = parts;
  const onWire = (machine: Parameters<typeof machineToProto>[0]) => machineToProto(machine, identity.name);
  return {
    createMachine: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      return { machine: onWire(await machines.create(placementFromProto(req))) };
    }),
    prepareMachine: serverStream(async function* (req, ctx) {
      requireScope(ctx, "internal");
      const id = machineId(req.machineId);
      let imageWasLocal = true;
      for await (const step of machines.prepare(id, ctx.signal)) {
        if (step.kind === "ready") imageWasLocal = step.wasLocal;
        else yield { ...step, machine: undefined, imageWasLocal: false };
      }
      const machine = onWire(machines.get(id, ""));
      yield { detail: "", bytesDone: 0n, bytesTotal: 0n, machine, imageWasLocal };
    }),
    getMachine: unary((req, ctx) => {
      requireScope(ctx, "internal");
      return { machine: onWire(machines.get(machineId(req.machineId), req.org)) };
    }),
    listMachines: unary((_req, ctx) => {
      requireScope(ctx, "internal");
      return {
        machines: machines.list().map((machine) => machineToProto(machine, identity.name, "without")),
      };
    }),
    setScheduling: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const scheduling = schedulingFromProto(req.scheduling);
      return { previous: schedulingToProto(await parts.scheduling.set(scheduling)) };
    }),
    startMachine: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const watchMs = watchFromProto(req.watch);
      const result = await machines.start(machineId(req.machineId), req.org, watchMs);
      const { previous, already, startPath } = result;
      return {
        machine: onWire(result.machine),
        previousState: stateToProto(previous),
        alreadyStarted: already,
        startPath,
      };
    }),
    stopMachine: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { machine, already } = await machines.stop(machineId(req.machineId), req.org, stopFromProto(req));
      return { machine: onWire(machine), alreadyStopped: already };
    }),
    destroyMachine: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { force, ignoreMissing } = req;
      const machine = await machines.destroy(machineId(req.machineId), req.org, { force, ignoreMissing });
      return { machine: machine && onWire(machine) };
    }),
    waitMachine: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { states, timeoutMs } = waitFromProto(req);
      const id = machineId(req.machineId);
      const machine = await untilDraining(ctx, "the server is shutting down", (signal) =>
        machines.wait(id, req.org, states, timeoutMs, signal),
      );
      return { machine: onWire(machine) };
    }),
    streamLogs: serverStream(async function* (req, ctx) {
      requireScope(ctx, "internal");
      const machine = machines.get(machineId(req.machineId), req.org);
      const query = { ...logsFromProto(req), follow: req.follow, signal: ctx.signal };
      if (machine.state === "destroyed") return;
      for await (const lines of logs.read(machine.id, query)) yield { entries: lines.map(lineToProto) };
    }),
    getHost: unary((_req, ctx) => {
      requireScope(ctx, "internal");
      const offsetMs = host.clock.now() - host.clock.monotonicMs();
      return {
        info: hostInfoToProto(identity),
        status: statusToProto(host, parts.load()),
        holds: host.ledger.holds().map((hold) => holdToProto(hold, offsetMs)),
        outboxSequence: BigInt(parts.outbox.sequence),
        outboxAcknowledged: BigInt(parts.outbox.acknowledged),
      };
    }),
  };
}
