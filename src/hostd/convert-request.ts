import type { Duration } from "../gen/google/protobuf/duration.ts";
import type { CreateMachineRequest } from "../gen/windhover/hostd/v1/hostd.ts";
import type * as pb from "../gen/windhover/machines/v1/machine.ts";
import { invalid } from "../lib/faults/fault.ts";
import { Violations } from "../lib/faults/violations.ts";
import { durationFromProto } from "../lib/grpc/messages/duration.ts";
import { mapFromProto } from "../lib/grpc/messages/maps.ts";
import { signalNumber } from "../lib/signals/signals.ts";
import { stateFromProto } from "./convert-machine.ts";
import { type ImageRef, type MachineConfig, machineId, type ServiceConfig } from "./machines/machine.ts";
import type { MachineState } from "./machines/states.ts";
import type { Award } from "./operations/machines.ts";
import type { StopOptions } from "./operations/stop-operation.ts";

const MAX_STOP_MS = 300_000;
/** Enough for a static program that fails at once. What fails later takes too long under emulation to wait for. */
const DEFAULT_WATCH_MS = 5;
const MAX_WATCH_MS = 10_000;
const DEFAULT_WAIT_MS = 60_000;
const MAX_WAIT_MS = 300_000;
const MAX_TAIL = 10_000;

/** Converts a create, without checking again what the api has checked. @throws Fault INVALID_FIELDS with all violations */
export function awardFromProto(request: CreateMachineRequest): Award {
  const { machine, reservationId, epoch, keepForLaunch } = request;
  const violations = new Violations();
  const required = (field: string, value: string): void => {
    if (value === "") violations.add(field, "is required");
  };
  required("reservation_id", reservationId);
  required("machine.name", machine?.name ?? "");
  required("machine.app", machine?.app ?? "");
  required("machine.org", machine?.org ?? "");
  required("machine.config.image", machine?.config?.image ?? "");
  const digest = machine?.imageRef?.digest ?? "";
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
    violations.add("machine.image_ref.digest", "must be sha256: and 64 hex digits");
  }
  const { cpus = 0, memoryMb = 0 } = machine?.config?.guest ?? {};
  if (cpus < 1 || memoryMb < 1) {
    violations.add("machine.config.guest", "must say CPUs and memory");
  }
  const id = violations.collect(() => machineId(machine?.id ?? "", "machine.id"));
  const config = machine?.config && violations.collect(() => configFromProto(machine.config));
  if (violations.any || !machine || !config || !id) throw violations.fault();
  const { name, app, org, region, createTraceId } = machine;
  const spec = {
    name,
    app,
    org,
    region,
    config,
    imageRef: imageRefFromProto(machine.imageRef),
    createTraceId,
  };
  return { id, spec, reservationId, epoch, keepForLaunch };
}

/** Converts the options of a stop. @throws Fault INVALID_FIELDS */
export function stopFromProto(request: { signal: string; timeout: Duration | undefined }): StopOptions {
  const violations = new Violations();
  const isSignal = request.signal === "" || signalNumber(request.signal) !== undefined;
  violations.check(isSignal, "signal", "must be a signal of Linux");
  const timeoutMs = violations.collect(() => between("timeout", request.timeout, 0, MAX_STOP_MS));
  violations.throwIfAny();
  return {
    ...(request.signal === "" ? {} : { signal: request.signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

/** Converts the start watch into milliseconds. @throws Fault INVALID_FIELDS */
export function watchFromProto(watch: Duration | undefined): number {
  return between("watch", watch, 0, MAX_WATCH_MS) ?? DEFAULT_WATCH_MS;
}

/** Converts the states and the timeout of a wait. @throws Fault INVALID_FIELDS */
export function waitFromProto(request: {
  states: readonly pb.MachineState[];
  timeout: Duration | undefined;
}): { readonly states: readonly MachineState[]; readonly timeoutMs: number } {
  const violations = new Violations();
  const states: MachineState[] = [];
  for (const [index, proto] of request.states.entries()) {
    const state = stateFromProto(proto);
    if (state) states.push(state);
    else violations.add(`states[${index}]`, "is not a state that can be waited for");
  }
  const timeoutMs = violations.collect(() => between("timeout", request.timeout, 1, MAX_WAIT_MS));
  violations.throwIfAny();
  return { states: states.length > 0 ? states : ["started"], timeoutMs: timeoutMs ?? DEFAULT_WAIT_MS };
}

/** Converts a query for log lines. @throws Fault INVALID_FIELDS */
export function logsFromProto(request: { tail?: number | undefined; afterSequence: bigint }): {
  readonly tail: number | undefined;
  readonly afterSequence: number;
} {
  const violations = new Violations();
  const { tail } = request;
  const afterSequence = Number(request.afterSequence);
  if (tail !== undefined && (tail < 0 || tail > MAX_TAIL)) {
    violations.add("tail", `must be from 0 to ${MAX_TAIL}`);
  }
  if (!Number.isSafeInteger(afterSequence) || afterSequence < 0) {
    violations.add("after_sequence", "must not be negative");
  }
  violations.throwIfAny();
  return { tail, afterSequence };
}

function configFromProto(config: pb.MachineConfig | undefined): MachineConfig {
  const timeoutMs = between(
    "machine.config.stop_config.timeout",
    config?.stopConfig?.timeout,
    0,
    MAX_STOP_MS,
  );
  const { exec = [], entrypoint = [], cmd = [], user = "", workingDir = "" } = config?.init ?? {};
  return {
    image: config?.image ?? "",
    guest: {
      cpuKind: config?.guest?.cpuKind ?? "",
      cpus: config?.guest?.cpus ?? 0,
      memoryMb: config?.guest?.memoryMb ?? 0,
    },
    env: mapFromProto(config?.env),
    init: { exec, entrypoint, cmd, user, workingDir },
    services: (config?.services ?? []).map(serviceFromProto),
    stop: { signal: config?.stopConfig?.signal ?? "", ...(timeoutMs === undefined ? {} : { timeoutMs }) },
    metadata: mapFromProto(config?.metadata),
  };
}

function serviceFromProto({ protocol, internalPort }: pb.ServiceConfig): ServiceConfig {
  return { protocol: protocol === "udp" ? "udp" : "tcp", internalPort };
}

function imageRefFromProto(ref: pb.ImageRef | undefined): ImageRef {
  const { registry = "", repository = "", tag = "", digest = "" } = ref ?? {};
  return { registry, repository, tag, digest };
}

function between(
  field: string,
  duration: Duration | undefined,
  minMs: number,
  maxMs: number,
): number | undefined {
  const ms = durationFromProto(duration);
  if (ms === undefined || (ms >= minMs && ms <= maxMs)) return ms;
  throw invalid([{ field, description: `must be from ${minMs} ms to ${maxMs / 1_000} s` }]);
}
