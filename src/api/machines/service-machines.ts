import type {
  CreateMachineRequest,
  ListMachinesRequest,
  MachinesServiceServer,
  StopMachineRequest,
  StreamLogsRequest,
  WaitMachineRequest,
  WatchCreateResponse,
} from "../../gen/windhover/machines/v1/machines.ts";
import { untilDraining } from "../../lib/grpc/draining.ts";
import { durationFromProto } from "../../lib/grpc/duration.ts";
import { serverStream, unary } from "../../lib/grpc/rpc.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { Violations } from "../../lib/runtime/violations.ts";
import type { Creates } from "../creates/creates.ts";
import type { CreateRequest } from "../creates/steps/create-state.ts";
import type { StepProgress } from "../creates/steps/progress.ts";
import { validateCreate } from "../creates/validate-create.ts";
import { measureCreate, measureStart } from "../metrics.ts";
import { placementInput } from "../regions/convert-placement.ts";
import type { KnownRegions } from "../regions/regions.ts";
import { checkAppName, checkRequestId } from "../requests/names.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "../requests/page-token.ts";
import { callerOf, machineIdOf, nameOf } from "../requests/request.ts";
import { configInput } from "./convert-config.ts";
import { machineTo, stateFrom, stateTo, timeTo } from "./convert-machine.ts";
import { MACHINE_STATES, type MachineState } from "./machine.ts";
import type { MachineLists } from "./machine-lists.ts";
import type { MachineQuery } from "./machine-store.ts";
import type { LogQuery, Machines, StopOverrides, WaitFor } from "./machines.ts";
import { checkStop, type ImageCheck } from "./validate-config.ts";

/** What the service puts on the wire. */
export interface MachinesServiceParts {
  readonly machines: Machines;
  readonly creates: Creates;
  readonly lists: MachineLists;
  /** Where this api can place machines. */
  readonly regions: KnownRegions;
  readonly checkImage: ImageCheck;
}

const MAX_WATCH_MS = 10_000;
const MAX_WAIT_MS = 300_000;
const DEFAULT_WAIT_MS = 60_000;
const MAX_TAIL = 10_000;

/** Puts machines on the wire: checks and converts, and decides nothing else. */
export function machinesService(parts: MachinesServiceParts): MachinesServiceServer {
  const { machines, creates, lists } = parts;
  return {
    createMachine: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "machines:write");
      const request = createRequest(req, caller.org, parts);
      const create = () => creates.create(request, req.requestId || undefined, caller);
      const created = await measureCreate(create);
      return { machine: machineTo(created.machine, created.hostStatus), repeated: created.repeated };
    }),
    watchCreate: serverStream(async function* (req, ctx) {
      const { org } = callerOf(ctx, "machines:read");
      const requestId = nameOf("request_id", req.requestId, checkRequestId);
      for await (const progress of creates.watch(org, requestId, ctx.signal)) yield progressTo(progress);
    }),
    getMachine: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "machines:read");
      const seen = await machines.get(machineIdOf(req.machineId), caller);
      return { machine: machineTo(seen.machine, seen.hostStatus) };
    }),
    listMachines: unary(async (req, ctx) => {
      const { org } = callerOf(ctx, "machines:read");
      const { query, list } = listQuery(req, org);
      const { items, last } = firstPage(await lists.list({ ...query, limit: query.limit + 1 }), query.limit);
      return {
        machines: items.map(({ machine, hostStatus }) => machineTo(machine, hostStatus)),
        nextPageToken: last ? encodePageToken(list, [last.key.createTime, last.key.createId]) : "",
      };
    }),
    startMachine: unary((req, ctx) => {
      const caller = callerOf(ctx, "machines:write");
      const id = machineIdOf(req.machineId);
      const watchMs = watchOf(durationFromProto(req.watch));
      // In a span of its own: where the call begins the trace, this api's share would have no name.
      return withSpan("api.start", {}, async () => {
        const started = await measureStart(() => machines.start(id, watchMs, caller));
        return {
          machine: machineTo(started.machine, "ok"),
          previousState: stateTo(started.previousState),
          alreadyStarted: started.alreadyStarted,
          startPath: started.startPath,
        };
      });
    }),
    stopMachine: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "machines:write");
      const { machine, alreadyStopped } = await machines.stop(
        machineIdOf(req.machineId),
        overrides(req),
        caller,
      );
      return { machine: machineTo(machine, "ok"), alreadyStopped };
    }),
    destroyMachine: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "machines:write");
      return {
        machine: machineTo(await machines.destroy(machineIdOf(req.machineId), req.force, caller), "ok"),
      };
    }),
    waitMachine: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "machines:read");
      const id = machineIdOf(req.machineId);
      const wanted = waitFor(req);
      const machine = await untilDraining(
        ctx,
        "the api is shutting down; ask again, another answers",
        (signal) => machines.wait(id, wanted, { ...caller, signal }),
      );
      return { machine: machineTo(machine, "ok") };
    }),
    streamLogs: serverStream(async function* (req, ctx) {
      const caller = callerOf(ctx, "machines:read");
      const id = machineIdOf(req.machineId);
      for await (const lines of machines.logs(id, logQuery(req), caller)) {
        yield { entries: lines.map((line) => ({ ...line, time: timeTo(line.timeMs) })) };
      }
    }),
  };
}

function createRequest(req: CreateMachineRequest, org: string, parts: MachinesServiceParts): CreateRequest {
  const { app, name, region, skipLaunch, requestId } = req;
  const placement = placementInput(req.placement);
  const input = { org, app, name, region, skipLaunch, requestId, placement };
  const config = { config: configInput(req.config), hasConfig: req.config !== undefined };
  return validateCreate({ ...input, ...config }, parts.regions, parts.checkImage);
}

/** The query, and the name of the list that its page tokens belong to. */
function listQuery(req: ListMachinesRequest, org: string): { query: MachineQuery; list: string } {
  const violations = new Violations();
  if (req.app !== "") violations.add("app", checkAppName(req.app));
  const asked = [...new Set(req.states.map(stateFrom))];
  if (asked.includes("unknown"))
    violations.add("states", "must be states of windhover.machines.v1.MachineState");
  violations.throwIfAny();
  const states = asked.length > 0 ? asked : MACHINE_STATES.filter((state) => state !== "destroyed");
  const list = `machines/${org}/${req.app}/${[...asked].sort().join(",")}`;
  const [createTime, createId] = decodePageToken(list, 2, req.pageToken) ?? [];
  const after = createTime !== undefined && createId !== undefined ? { after: { createTime, createId } } : {};
  const app = req.app === "" ? {} : { app: req.app };
  return { query: { org, ...app, states, ...after, limit: pageSize(req.pageSize) }, list };
}

function watchOf(ms: number | undefined): number | undefined {
  const violations = new Violations();
  if (ms !== undefined && !(ms >= 0 && ms <= MAX_WATCH_MS)) violations.add("watch", "must be 0 to 10 s");
  violations.throwIfAny();
  return ms;
}

function overrides(req: StopMachineRequest): StopOverrides {
  const timeoutMs = durationFromProto(req.timeout);
  const violations = new Violations();
  checkStop("signal", "timeout", req.signal, timeoutMs ?? 0, (field, description) =>
    violations.add(field, description),
  );
  violations.throwIfAny();
  return { signal: req.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

function waitFor(req: WaitMachineRequest): WaitFor {
  const states: MachineState[] = req.states.length > 0 ? req.states.map(stateFrom) : ["started"];
  const timeoutMs = durationFromProto(req.timeout) ?? DEFAULT_WAIT_MS;
  const violations = new Violations();
  if (states.includes("unknown"))
    violations.add("states", "must be states of windhover.machines.v1.MachineState");
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_WAIT_MS)) violations.add("timeout", "must be 1 ms to 5 min");
  violations.throwIfAny();
  return { states, timeoutMs };
}

function logQuery(req: StreamLogsRequest): LogQuery {
  const violations = new Violations();
  if (req.tail !== undefined && (req.tail < 0 || req.tail > MAX_TAIL))
    violations.add("tail", `must be 0 to ${MAX_TAIL}`);
  if (req.afterSequence < 0n) violations.add("after_sequence", "must not be negative");
  violations.throwIfAny();
  const tail = req.tail === undefined ? {} : { tail: req.tail };
  return { follow: req.follow, ...tail, afterSequence: req.afterSequence };
}

function progressTo(progress: StepProgress): WatchCreateResponse {
  return {
    step: progress.step,
    status: progress.status,
    detail: progress.detail,
    bytesDone: BigInt(Math.round(progress.bytesDone)),
    bytesTotal: BigInt(Math.round(progress.bytesTotal)),
    time: timeTo(progress.timeMs),
  };
}
