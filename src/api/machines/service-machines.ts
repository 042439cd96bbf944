import type {
  MachinesServiceServer,
  StartMachineRequest,
  StopMachineRequest,
  StreamLogsRequest,
  WaitMachineRequest,
} from "../../gen/windhover/machines/v1/machines.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { untilDraining } from "../../lib/grpc/draining.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { betweenTimes } from "../../lib/grpc/observed/handler-times.ts";
import { serverStream, unary } from "../../lib/grpc/server/rpc.ts";
import type { Paces } from "../../lib/limits/paces.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { authorize } from "../requests/authorize.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkStates, MAX_STATES } from "./check-states.ts";
import { checkStop } from "./config/validate-stop.ts";
import { machineToProto, stateFromProto, stateToProto } from "./convert-machine.ts";
import type { MachineId } from "./ids/machine-id.ts";
import { timeOfUlid } from "./ids/ulids.ts";
import { type AwaitedState, SETTLED_STATES } from "./machine.ts";
import { checkToken, machineIdFromProto, machineRequest } from "./machine-request.ts";
import type { LogOptions, Machines, StartOptions, StopOptions, WaitOptions } from "./machines.ts";
import { measureStart } from "./metrics.ts";

const MAX_WATCH_MS = 10_000;
const MAX_WAIT_MS = 300_000;
const DEFAULT_WAIT_MS = 60_000;
/** What a message costs beyond its lines, in lines. */
const LINES_PER_MESSAGE = 20;
const STARTED: AwaitedState = "started";
const MAX_TAIL = 10_000;

/** The RPCs on existing machines. Creates, lists and history are served elsewhere. */
type ExistingMachines = Pick<
  MachinesServiceServer,
  "getMachine" | "startMachine" | "stopMachine" | "destroyMachine" | "waitMachine" | "streamLogs"
>;

/** @param lines that an organisation reads, from all hosts */
export function machinesService(machines: Machines, lines: Paces): ExistingMachines {
  return {
    getMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:read");
      const view = await machines.get(machineIdFromProto(req.machineId), caller);
      return { machine: machineToProto(view.machine, view.hostStatus) };
    }),
    startMachine: unary((req, ctx) =>
      betweenTimes(() => {
        const caller = authorize(ctx, "machines:write");
        const [id, options] = startFromProto(req);
        // Names the api's share in traces that begin with this call.
        return withSpan("api.start", {}, async () => {
          const started = await measureStart(() => machines.start(id, options, caller));
          return {
            machine: machineToProto(started.machine, "ok"),
            previousState: stateToProto(started.previousState),
            alreadyStarted: started.alreadyStarted,
            startPath: started.startPath,
          };
        });
      }),
    ),
    stopMachine: unary((req, ctx) =>
      betweenTimes(async () => {
        const caller = authorize(ctx, "machines:write");
        const { machine, alreadyStopped } = await machines.stop(...stopFromProto(req), caller);
        return { machine: machineToProto(machine, "ok"), alreadyStopped };
      }),
    ),
    destroyMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const { force, leaseNonce } = req;
      const [id] = machineRequest(req.machineId, (violations) =>
        checkToken("lease_nonce", leaseNonce, violations),
      );
      const machine = await machines.destroy(id, { force, leaseNonce }, caller);
      return { machine: machineToProto(machine, "ok") };
    }),
    waitMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:read");
      const [id, options] = waitFromProto(req);
      const message = "the api is shutting down; ask again, another answers";
      const { machine, eventId } = await untilDraining(ctx, message, (signal) =>
        machines.wait(id, options, { ...caller, signal }),
      );
      return { machine: machineToProto(machine, "ok"), eventId };
    }),
    streamLogs: serverStream(async function* (req, ctx) {
      const caller = authorize(ctx, "machines:read");
      const id = machineIdFromProto(req.machineId);
      const sinceMs = req.since?.getTime() ?? 0;
      for await (const batch of machines.logs(id, logsFromProto(req), caller)) {
        const wanted = batch.lines.filter(({ timeMs = 0 }) => timeMs >= sinceMs);
        const entries = wanted.map((line) => ({ ...line, time: timeToProto(line.timeMs) }));
        yield { entries, position: batch.position };
        const cost = LINES_PER_MESSAGE + batch.lines.length;
        if (caller.org !== "") await lines.take(caller.org, cost, ctx.signal);
      }
    }),
  };
}

function startFromProto(req: StartMachineRequest): readonly [MachineId, StartOptions] {
  const { leaseNonce } = req;
  return machineRequest(req.machineId, (violations) => {
    const watchMs = durationFromProto(req.watch);
    const isWatch = watchMs === undefined || (watchMs >= 0 && watchMs <= MAX_WATCH_MS);
    violations.check(isWatch, "watch", "must be 0 to 10 s");
    checkToken("lease_nonce", leaseNonce, violations);
    return { watchMs, leaseNonce };
  });
}

function stopFromProto(req: StopMachineRequest): readonly [MachineId, StopOptions] {
  const { signal, leaseNonce } = req;
  return machineRequest(req.machineId, (violations) => {
    const timeoutMs = durationFromProto(req.timeout);
    checkStop("signal", "timeout", signal, timeoutMs ?? 0, violations);
    checkToken("lease_nonce", leaseNonce, violations);
    return { signal, leaseNonce, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  });
}

function waitFromProto(req: WaitMachineRequest): readonly [MachineId, WaitOptions] {
  const { instanceId, afterEventId, acrossCalls, settled, ready } = req;
  return machineRequest(req.machineId, (violations) => {
    violations.check(req.states.length <= MAX_STATES, "states", `must have at most ${MAX_STATES} entries`);
    const asked = req.states.slice(0, MAX_STATES).map(stateFromProto);
    checkStates(asked, violations);
    const timeoutMs = durationFromProto(req.timeout) ?? DEFAULT_WAIT_MS;
    violations.check(timeoutMs >= 1 && timeoutMs <= MAX_WAIT_MS, "timeout", "must be 1 ms to 5 min");
    const mayBeVersion = instanceId === "" || timeOfUlid(instanceId) !== undefined;
    violations.check(mayBeVersion, "instance_id", "must be that of a version, 26 letters and digits");
    const mayBeEvent = afterEventId === "" || timeOfUlid(afterEventId) !== undefined;
    violations.check(mayBeEvent, "after_event_id", "must be that of an event, 26 letters and digits");
    const all = new Set<AwaitedState>(asked);
    if (settled) for (const state of SETTLED_STATES) all.add(state);
    if (ready) all.add("ready");
    const states = all.size > 0 ? [...all] : [STARTED];
    return { states, timeoutMs, instanceId, afterEventId, acrossCalls };
  });
}

function logsFromProto({ follow, tail, afterSequence, since }: StreamLogsRequest): LogOptions {
  const violations = new Violations();
  const isTail = tail === undefined || (tail >= 0 && tail <= MAX_TAIL);
  violations.check(isTail, "tail", `must be 0 to ${MAX_TAIL}`);
  violations.check(afterSequence >= 0n, "after_sequence", "must not be negative");
  const isTime = since === undefined || !Number.isNaN(since.getTime());
  violations.check(isTime, "since", "must be a time of the years 1 to 9999");
  violations.throwIfAny();
  return { follow, tail, afterSequence };
}
