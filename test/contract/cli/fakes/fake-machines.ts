import {
  type ExitEvent,
  MachineConfig,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  StreamLogsRequest,
  UpdateMachineRequest,
  UpdateMetadataRequest,
  WaitMachineRequest,
  WatchMachinesRequest,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { untilDraining } from "../../../../src/lib/grpc/draining.ts";
import { type CallContext, serverStream, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import { sleep } from "../../../../src/lib/runtime/wait.ts";
import type { FakeState } from "./fake-state.ts";

/** Machines in memory. */
export function machinesService(api: FakeState) {
  const { STARTED, STOPPED, DESTROYED } = MachineState;
  return {
    createMachine: unary(async (req: CreateMachineRequest, ctx) => {
      api.answer("createMachine", req, ctx, () => undefined);
      const id = "0000a1b2c3d4e5";
      const repeated = api.machines.has(id);
      await sleep(api.createMs, ctx.signal);
      if (api.endsCreatesWhenWatched) await api.watched.promise;
      ctx.signal.throwIfAborted();
      const state = req.skipLaunch ? MachineState.CREATED : STARTED;
      const serviceAddresses = [{ protocol: "tcp", internalPort: 8080, address: "127.0.0.1:20001" }];
      const fields = { state, name: req.name || "made-up", config: req.config, serviceAddresses };
      return {
        machine: api.add({ id, ...fields, lastStartPath: req.skipLaunch ? "" : "warm" }),
        repeated,
      };
    }),
    watchCreate: serverStream(async function* () {
      yield* api.steps;
      api.watched.resolve();
    }),
    getMachine: unary((req: { machineId: string }, ctx) =>
      api.answer("getMachine", req, ctx, () => ({ machine: api.machine(req.machineId) })),
    ),
    listMachines: unary((req: { app: string; pageSize: number; pageToken: string }, ctx) =>
      api.answer("listMachines", req, ctx, () => {
        // Two to a page, so that paging is used.
        const all = [...api.machines.values()].filter((m) => req.app === "" || m.app === req.app);
        const from = Number(req.pageToken || 0);
        const nextPageToken = from + 2 < all.length ? String(from + 2) : "";
        return { machines: all.slice(from, from + 2), nextPageToken, unansweredRegions: [] };
      }),
    ),
    startMachine: unary((req: { machineId: string }, ctx) =>
      api.answer("startMachine", req, ctx, () => {
        const before = api.machine(req.machineId).state;
        const machine = api.change(req.machineId, { state: STARTED });
        return { machine, previousState: before, alreadyStarted: before === STARTED, startPath: "warm" };
      }),
    ),
    stopMachine: unary((req: { machineId: string; signal: string }, ctx) =>
      api.answer("stopMachine", req, ctx, () => {
        const alreadyStopped = api.machine(req.machineId).state === STOPPED;
        const exit = {
          exitCode: 0,
          signal: "",
          oomKilled: false,
          requestedStop: true,
          exitTime: undefined,
          restarting: false,
        };
        const events = [{ ...MachineEvent.create(), id: "e1", type: "exit", status: STOPPED, exit }];
        return { machine: api.change(req.machineId, { state: STOPPED, events }), alreadyStopped };
      }),
    ),
    destroyMachine: unary((req: { machineId: string; force: boolean }, ctx) =>
      api.answer("destroyMachine", req, ctx, () => {
        if (api.machine(req.machineId).state === STARTED && !req.force) {
          throw new Fault("FAILED_PRECONDITION", "MACHINE_RUNNING", "the machine is running");
        }
        return { machine: api.change(req.machineId, { state: DESTROYED }) };
      }),
    ),
    waitMachine: unary(async (req: WaitMachineRequest, ctx) => {
      api.answer("waitMachine", req, ctx, () => undefined);
      await untilDraining(ctx, "the api is shutting down", async (signal) => {
        while (api.waitsHang && !signal.aborted) await sleep(10, signal);
        signal.throwIfAborted();
        if (req.states.includes(STOPPED) && !req.settled) await endOfProgram(api, req.machineId);
      });
      return { machine: api.machine(req.machineId), eventId: "e1" };
    }),
    streamLogs: serverStream(async function* (req: StreamLogsRequest, ctx: CallContext) {
      api.requests.push({ method: "streamLogs", request: req, traceparent: "" });
      const after = api.logs.filter(({ sequence }) => sequence > req.afterSequence);
      const kept = after.slice(req.tail === undefined ? 0 : after.length - req.tail);
      for (const entry of kept) yield { entries: [entry], position: undefined };
      // Tells where a reader goes on that loses the stream before the first line.
      if (req.follow && kept.length === 0) yield { entries: [], position: req.afterSequence };
      let seen = api.logs.length;
      while (req.follow && !ctx.signal.aborted) {
        for (; seen < api.logs.length; seen++)
          yield { entries: api.logs.slice(seen, seen + 1), position: undefined };
        if (api.machines.get(req.machineId)?.state === DESTROYED) return;
        await sleep(10, ctx.signal);
      }
    }),
    updateMachine: unary((req: UpdateMachineRequest, ctx) =>
      api.answer("updateMachine", req, ctx, () => {
        const { state } = api.machine(req.machineId);
        const next = req.launch ? STARTED : req.skipLaunch ? STOPPED : state;
        const fields = { config: req.config, state: next, instanceId: "01JE0000000000000000000002" };
        return { machine: api.change(req.machineId, fields) };
      }),
    ),
    restartMachine: unary((req: { machineId: string }, ctx) =>
      api.answer("restartMachine", req, ctx, () => ({
        machine: api.change(req.machineId, { state: STARTED }),
      })),
    ),
    suspendMachine: unary((req: { machineId: string }, ctx) =>
      api.answer("suspendMachine", req, ctx, () => ({
        machine: api.change(req.machineId, { state: MachineState.SUSPENDED }),
      })),
    ),
    signalMachine: unary((req: { machineId: string }, ctx) =>
      api.answer("signalMachine", req, ctx, () => ({ machine: api.machine(req.machineId) })),
    ),
    setMachineCordon: unary((req: { machineId: string; cordoned: boolean }, ctx) =>
      api.answer("setMachineCordon", req, ctx, () => ({
        machine: api.change(req.machineId, { cordoned: req.cordoned }),
      })),
    ),
    updateMetadata: unary((req: UpdateMetadataRequest, ctx) =>
      api.answer("updateMetadata", req, ctx, () => {
        const { config = MachineConfig.create() } = api.machine(req.machineId);
        const metadata = new Map([...(req.replace ? [] : config.metadata), ...req.set]);
        for (const key of req.remove) metadata.delete(key);
        return { machine: api.change(req.machineId, { config: { ...config, metadata } }) };
      }),
    ),
    listMachineEvents: unary((req: { machineId: string; pageSize: number; pageToken: string }, ctx) =>
      api.answer("listMachineEvents", req, ctx, () => {
        api.machine(req.machineId);
        const { items, nextPageToken } = twoOf(api.events, req);
        return { events: items, nextPageToken };
      }),
    ),
    listMachineVersions: unary((req: { machineId: string; pageSize: number; pageToken: string }, ctx) =>
      api.answer("listMachineVersions", req, ctx, () => {
        const { items, nextPageToken } = twoOf(api.versions, req);
        return { versions: items, nextPageToken };
      }),
    ),
    watchMachines: serverStream(async function* (req: WatchMachinesRequest, ctx: CallContext) {
      api.answer("watchMachines", req, ctx, () => undefined);
      const from = api.changes.findIndex(({ position }) => position === req.afterPosition) + 1;
      for (const change of api.changes.slice(from)) yield change;
      await sleep(60_000, ctx.signal);
    }),
  };
}

/** A page of two, so that paging is used. */
function twoOf<T>(all: readonly T[], { pageSize, pageToken }: { pageSize: number; pageToken: string }) {
  const from = Number(pageToken || 0);
  const to = from + Math.min(2, pageSize);
  return { items: all.slice(from, to), nextPageToken: to < all.length ? String(to) : "" };
}

/** Waits until a test ends the program. */
async function endOfProgram(api: FakeState, id: string): Promise<void> {
  const exit: ExitEvent = await api.exits.promise;
  const { STOPPED, DESTROYED } = MachineState;
  const state = api.machine(id).config?.autoDestroy ? DESTROYED : STOPPED;
  const event = { ...MachineEvent.create(), id: "e9", type: "exit", status: STOPPED, exit };
  api.change(id, { state, events: [event] });
}
