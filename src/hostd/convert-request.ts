import type { Duration } from "../gen/google/protobuf/duration.ts";
import type {
  CreateMachineRequest,
  NewLease as NewLeaseProto,
  RestartMachineRequest,
  StopMachineRequest,
  SuspendMachineRequest,
  UpdateMachineRequest,
  UpdateMetadataRequest,
  WaitMachineRequest,
} from "../gen/windhover/hostd/v1/hostd.ts";
import * as pb from "../gen/windhover/machines/v1/machine.ts";
import { invalid } from "../lib/faults/fault.ts";
import { Violations } from "../lib/faults/violations.ts";
import { mapFromProto } from "../lib/grpc/messages/maps.ts";
import { signalNumber } from "../lib/signals/signals.ts";
import { between, configFromProto } from "./convert-config.ts";
import { stateFromProto } from "./convert-machine.ts";
import type { Awaited } from "./machines/decisions/wait.ts";
import type { NewLease } from "./machines/lease.ts";
import { type Caller, machineId, type StopReason } from "./machines/machine.ts";
import { MAX_STOP_MS } from "./machines/machine-config.ts";
import type { MachineState } from "./machines/states.ts";
import type { ImageRef } from "./machines/version.ts";
import type { Award } from "./operations/awards.ts";
import type { MetadataPatch } from "./operations/machine-changes.ts";
import type { StopOptions } from "./operations/requests/request.ts";
import type { UpdateRequest } from "./operations/updates/updates.ts";

/**
 * Enough for a static program that fails at once. To wait for later failures takes too long under
 * emulation.
 */
const DEFAULT_WATCH_MS = 5;
const MAX_WATCH_MS = 10_000;
const DEFAULT_WAIT_MS = 60_000;
const MAX_WAIT_MS = 300_000;
const MAX_UNUSED_MS = 7 * 24 * 60 * 60_000;
const MAX_TAIL = 10_000;
const DEFAULT_READY_MS = 10_000;
const MAX_READY_MS = 300_000;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const DIGEST_FORM = "must be sha256: and 64 hex digits";
const DEFAULT_LEASE_MS = 30_000;
const MIN_LEASE_MS = 1_000;
const MAX_LEASE_MS = 3_600_000;

/**
 * Converts a create, without checking again what the api has checked.
 *
 * @throws Fault INVALID_FIELDS with all violations
 */
export function awardFromProto(request: CreateMachineRequest): Award {
  const { machine, reservationId, epoch, keepForLaunch } = request;
  const lease = request.lease && newLeaseFromProto(request.lease);
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
  violations.check(DIGEST.test(digest), "machine.image_ref.digest", DIGEST_FORM);
  const { cpus = 0, memoryMb = 0 } = machine?.config?.guest ?? {};
  if (cpus < 1 || memoryMb < 1) {
    violations.add("machine.config.guest", "must say CPUs and memory");
  }
  const id = violations.collect(() => machineId(machine?.id ?? "", "machine.id"));
  const config =
    machine?.config && violations.collect(() => configFromProto(machine.config, "machine.config"));
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
  return { id, spec, reservationId, epoch, keepForLaunch, isCordoned: machine.cordoned, lease };
}

/** Converts a lease to acquire. @throws Fault INVALID_FIELDS */
export function newLeaseFromProto({ ttl, owner, description, requestId }: NewLeaseProto): NewLease {
  const ttlMs = between("lease.ttl", ttl, MIN_LEASE_MS, MAX_LEASE_MS) ?? DEFAULT_LEASE_MS;
  return { ttlMs, owner, description, requestId };
}

/** Converts the options of a restart. @throws Fault INVALID_FIELDS */
export function restartFromProto({ forceStop, ...stop }: RestartMachineRequest): StopOptions {
  const options = stopFromProto(stop);
  return forceStop ? { signal: "SIGKILL", timeoutMs: 0 } : options;
}

/** Converts a signal. @throws Fault INVALID_FIELDS */
export function signalFromProto(name: string): number {
  const signal = signalNumber(name);
  if (signal !== undefined) return signal;
  throw invalid([{ field: "signal", description: "must be a signal of Linux" }]);
}

/**
 * Converts an update, without checking again what the api has checked.
 *
 * @throws Fault INVALID_FIELDS with all violations
 */
export function updateFromProto(request: UpdateMachineRequest): UpdateRequest {
  const violations = new Violations();
  const { config: given, credentials, currentVersion, launch, skipLaunch, leaseNonce: nonce } = request;
  violations.check((given?.image ?? "") !== "", "config.image", "is required");
  const { cpus = 0, memoryMb = 0 } = given?.guest ?? {};
  violations.check(cpus >= 1 && memoryMb >= 1, "config.guest", "must say CPUs and memory");
  const imageRef = imageRefFromProto(request.imageRef);
  violations.check(DIGEST.test(imageRef.digest), "image_ref.digest", DIGEST_FORM);
  const readyMs = violations.collect(() => between("ready_timeout", request.readyTimeout, 0, MAX_READY_MS));
  const config = violations.collect(() => configFromProto(given, "config"));
  if (violations.any || !config) throw violations.fault();
  return {
    ...{ config, imageRef, credentials, currentVersion, nonce, launch, skipLaunch },
    ...(request.requestId === "" ? {} : { key: { id: request.requestId, hash: request.requestHash } }),
    rollbackWithinMs: request.rollback ? (readyMs ?? DEFAULT_READY_MS) : undefined,
    watchMs: request.rollback ? 0 : (readyMs ?? DEFAULT_WATCH_MS),
  };
}

/** Converts a change of metadata. */
export function metadataFromProto(request: UpdateMetadataRequest): MetadataPatch {
  const { remove, replace, currentVersion } = request;
  return { set: mapFromProto(request.set), remove, replace, currentVersion };
}

/** Converts the options of a stop. @throws Fault INVALID_FIELDS */
function stopFromProto(request: { signal: string; timeout: Duration | undefined }): StopOptions {
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

/** Converts a stop, which may be one of a machine that is idle. @throws Fault INVALID_FIELDS */
export function stopRequestFromProto(
  request: Pick<StopMachineRequest, "signal" | "timeout" | "ifUnusedFor" | "source">,
): { readonly options: StopOptions; readonly unusedForMs: number | undefined } {
  const violations = new Violations();
  const options = violations.collect(() => stopFromProto(request));
  const source = violations.collect(() => callerFromProto(request.source));
  const unusedForMs = violations.collect(() =>
    between("if_unused_for", request.ifUnusedFor, 0, MAX_UNUSED_MS),
  );
  violations.throwIfAny();
  return { options: { ...options, why: { source: source ?? "user", message: "" } }, unusedForMs };
}

/** Converts a suspend, which may be one of a machine that is idle. @throws Fault INVALID_FIELDS */
export function suspendFromProto(request: Pick<SuspendMachineRequest, "ifUnusedFor" | "source">): {
  readonly why: StopReason;
  readonly unusedForMs: number | undefined;
} {
  const { options, unusedForMs } = stopRequestFromProto({ signal: "", timeout: undefined, ...request });
  return { why: options.why ?? { source: "user", message: "" }, unusedForMs };
}

/** Converts who has asked for something. @throws Fault INVALID_FIELDS */
export function callerFromProto(source: string): Caller {
  if (source === "") return "user";
  if (source === "user" || source === "proxy" || source === "machine") return source;
  throw invalid([{ field: "source", description: "must be user, proxy or machine" }]);
}

/** Converts the start watch into milliseconds. @throws Fault INVALID_FIELDS */
export function watchFromProto(watch: Duration | undefined): number {
  return between("watch", watch, 0, MAX_WATCH_MS) ?? DEFAULT_WATCH_MS;
}

/** Converts the conditions of a wait, and its timeout. @throws Fault INVALID_FIELDS */
export function waitFromProto(
  request: Pick<WaitMachineRequest, "states" | "timeout" | "instanceId" | "afterEventId" | "ready">,
): { readonly awaited: Awaited; readonly timeoutMs: number } {
  const violations = new Violations();
  const states: MachineState[] = [];
  const { instanceId, afterEventId, ready } = request;
  for (const [index, proto] of request.states.entries()) {
    const state = stateFromProto(proto);
    if (state) states.push(state);
    else if (proto !== pb.MachineState.REPLACED)
      violations.add(`states[${index}]`, "is not a state that can be waited for");
  }
  const timeoutMs = violations.collect(() => between("timeout", request.timeout, 1, MAX_WAIT_MS));
  violations.throwIfAny();
  const replaced = request.states.includes(pb.MachineState.REPLACED);
  const wanted: readonly MachineState[] = states.length > 0 || replaced || ready ? states : ["started"];
  return {
    awaited: { states: wanted, ready, replaced, instanceId, afterEventId },
    timeoutMs: timeoutMs ?? DEFAULT_WAIT_MS,
  };
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

function imageRefFromProto(ref: pb.ImageRef | undefined): ImageRef {
  const { registry = "", repository = "", tag = "", digest = "" } = ref ?? {};
  return { registry, repository, tag, digest };
}
