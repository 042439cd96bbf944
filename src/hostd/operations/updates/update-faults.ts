import { Fault } from "../../../lib/faults/fault.ts";
import type { Machine } from "../../machines/machine.ts";

/** Makes the fault of an update that has been rolled back, or will be. */
export function notReady({ id, spec, update }: Machine): Fault {
  const { reason = "", message = "" } = update?.failure ?? {};
  return new Fault(
    "FAILED_PRECONDITION",
    "ROLLED_BACK",
    `the new version of machine ${id} did not become ready, and the old one is back: ${message}`,
    { machine_id: id, reason, instance_id: spec.instanceId },
  );
}

/** Adds that the old version does not run either, and why. */
export function withEnd(failure: Fault, { state }: Machine, cause: unknown): Fault {
  if (state !== "failed" || !(cause instanceof Fault)) return failure;
  const message = `${failure.message}; but it could not be started: ${cause.message}`;
  return new Fault(failure.code, failure.reason, message, { ...failure.facts, state }, { cause });
}

export function requestReused(id: string, requestId: string): Fault {
  const message = `request_id ${requestId} stands for another update of machine ${id}; use a new one for each update`;
  return new Fault("INVALID_ARGUMENT", "REQUEST_ID_REUSED", message, {
    machine_id: id,
    request_id: requestId,
  });
}
