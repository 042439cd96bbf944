import { z } from "zod";
import {
  MachinesServiceService,
  RestartMachineRequest,
  StartMachineRequest,
  StopMachineRequest,
  WaitMachineRequest,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { Fault, invalid } from "../../../lib/faults/fault.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { stateFromProto, stateToProto } from "../../machines/convert-machine.ts";
import { waitToJson } from "../convert/convert-machine.ts";
import { parseDuration } from "../convert/duration.ts";
import {
  duration,
  durationOrSeconds,
  flag,
  needed,
  queryDuration,
  queryFlag,
  repeated,
  signal,
  text,
} from "../convert/fields.ts";
import { type Route, route } from "../requests/route.ts";
import { statesOf, wordsOf } from "../requests/states.ts";

const TAG = "Machines";
const MACHINE = "/v1/apps/:app/machines/:id";
const OK = { body: { ok: true } } as const;
const WAIT_S = { min: 1, max: 60 } as const;
const SETTLED = "settled";
const READY = "ready";

export const lifecycleRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: `${MACHINE}/start`,
    tag: TAG,
    summary: "Starts a machine.",
    answer: "started",
    rpc: MachinesServiceService.startMachine,
    async handle(request) {
      const { machineId, leaseNonce } = {
        machineId: await request.machineId(),
        leaseNonce: request.leaseNonce,
      };
      const { previousState, alreadyStarted } = await request.unary(
        StartMachineRequest.create({ machineId, leaseNonce }),
      );
      const previous = stateFromProto(previousState);
      return {
        body: {
          previous_state: previous,
          migrated: false,
          new_host: "",
          ...(alreadyStarted ? { message: "machine is already started", status: "already_started" } : {}),
        },
      };
    },
  }),
  route({
    method: "POST",
    path: `${MACHINE}/stop`,
    tag: TAG,
    summary: "Stops a machine: signal, grace, SIGKILL.",
    answer: "ok",
    rpc: MachinesServiceService.stopMachine,
    body: z.looseObject({ signal: signal(), timeout: duration() }),
    async handle(request) {
      const { body } = request.read();
      await request.unary(
        StopMachineRequest.fromPartial({
          machineId: await request.machineId(),
          signal: body.signal ?? "",
          timeout: timeoutOf(body.timeout),
          leaseNonce: request.leaseNonce,
        }),
      );
      return OK;
    },
  }),
  route({
    method: "POST",
    path: `${MACHINE}/restart`,
    tag: TAG,
    summary: "Stops a machine and starts it again.",
    answer: "ok",
    rpc: MachinesServiceService.restartMachine,
    query: z.looseObject({
      // The Go client of 2024 sends nanoseconds.
      timeout: queryDuration({ nanoseconds: true }),
      signal: signal(),
      force_stop: queryFlag(),
    }),
    body: z.looseObject({ timeout: durationOrSeconds(), signal: signal(), force_stop: flag() }),
    async handle(request) {
      const { query, body } = request.read();
      await request.unary(
        RestartMachineRequest.fromPartial({
          machineId: await request.machineId(),
          signal: query.signal ?? body.signal ?? "",
          timeout: timeoutOf(query.timeout ?? body.timeout),
          forceStop: query.force_stop ?? body.force_stop ?? false,
          leaseNonce: request.leaseNonce,
        }),
      );
      return OK;
    },
  }),
  route({
    method: "POST",
    path: `${MACHINE}/suspend`,
    tag: TAG,
    summary: "Saves the memory of a machine and ends its VM; a start goes on where it was.",
    answer: "ok",
    rpc: MachinesServiceService.suspendMachine,
    async handle(request) {
      await request.unary({ machineId: await request.machineId(), leaseNonce: request.leaseNonce });
      return OK;
    },
  }),
  route({
    method: "POST",
    path: `${MACHINE}/signal`,
    tag: TAG,
    summary: "Sends a signal to the main process.",
    answer: "ok",
    rpc: MachinesServiceService.signalMachine,
    body: z.looseObject({ signal: needed(signal()) }),
    async handle(request) {
      const { signal: name } = request.read().body;
      if (!name) throw invalid([{ field: "signal", description: "is required" }]);
      const { leaseNonce } = request;
      await request.unary({ machineId: await request.machineId(), signal: name, leaseNonce });
      return OK;
    },
  }),
  ...[true, false].map((cordoned) =>
    route({
      method: "POST",
      path: `${MACHINE}/${cordoned ? "cordon" : "uncordon"}`,
      tag: TAG,
      summary: cordoned
        ? "Has proxies send a machine no requests."
        : "Has proxies send a machine requests again.",
      answer: "ok",
      rpc: MachinesServiceService.setMachineCordon,
      async handle(request) {
        await request.unary({
          machineId: await request.machineId(),
          cordoned,
          leaseNonce: request.leaseNonce,
        });
        return OK;
      },
    }),
  ),
  route({
    method: "GET",
    path: `${MACHINE}/wait`,
    tag: TAG,
    summary: "Waits until a machine is in one of several states.",
    answer: "waited",
    rpc: MachinesServiceService.waitMachine,
    names: { after_event_id: "from_event_id", instance_id: "version", states: "state" },
    timeoutMs: (WAIT_S.max + 15) * 1_000,
    query: z.looseObject({
      state: repeated(
        `States, repeated or with commas; \`${SETTLED}\` is any settled state, \`${READY}\` is started with passing checks. Default: started.`,
      ),
      timeout: queryDuration({ negative: true }),
      version: text("`instance_id` of the version to wait for."),
      instance_id: text("The old name of `version`."),
      from_event_id: text("Waits for what happens after this event."),
    }),
    async handle(request) {
      const { query } = request.read();
      const asked = wordsOf(query.state);
      const states = statesOf(
        asked.filter((each) => each !== SETTLED && each !== READY),
        ...[SETTLED, READY],
      );
      const found = await request.unary(
        WaitMachineRequest.fromPartial({
          machineId: await request.machineId(),
          states: states.map(stateToProto),
          settled: asked.includes(SETTLED),
          ready: asked.includes(READY),
          timeout: durationToProto(waitMs(query.timeout)),
          instanceId: query.version || query.instance_id || "",
          afterEventId: query.from_event_id ?? "",
          acrossCalls: true,
        }),
      );
      return { body: waitToJson(found) };
    },
  }),
];

/** Returns the timeout of a stop; undefined for zero, which means the default. */
function timeoutOf(text: string | undefined) {
  const ms = text === undefined ? 0 : parseDuration(text);
  return ms === 0 ? undefined : durationToProto(ms);
}

/** @throws Fault WAIT_OUT_OF_RANGE */
function waitMs(text: string | undefined): number {
  if (text === undefined) return WAIT_S.max * 1_000;
  const ms = parseDuration(text);
  if (ms >= WAIT_S.min * 1_000 && ms <= WAIT_S.max * 1_000) return ms;
  throw new Fault(
    "INVALID_ARGUMENT",
    "WAIT_OUT_OF_RANGE",
    "invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]",
    { timeout: text },
  );
}
