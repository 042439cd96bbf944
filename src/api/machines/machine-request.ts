import { Violations } from "../../lib/faults/violations.ts";
import { annotate, attribute } from "../../lib/otel/tracing.ts";
import { MACHINE_ID_FORM, type MachineId, parseMachineId } from "./ids/machine-id.ts";

/** More than nonces and versions have. The host compares them. */
const MAX_CHARS = 64;

/**
 * Reads a request about a machine, whose id is set on the call's span.
 *
 * @param read reads the rest of the request and adds what is wrong with it
 * @throws Fault INVALID_FIELDS with every wrong field
 */
export function machineRequest<T>(
  machineId: string,
  read: (violations: Violations) => T,
): readonly [MachineId, T] {
  const violations = new Violations();
  const id = parseMachineId(machineId);
  if (!id) violations.add("machine_id", idProblem(machineId));
  const rest = read(violations);
  if (violations.any || !id) throw violations.fault();
  annotate(attribute.machineId, id);
  return [id, rest];
}

/** Reads the id in a request that has nothing else to check. @throws Fault INVALID_FIELDS */
export function machineIdFromProto(text: string): MachineId {
  return machineRequest(text, () => undefined)[0];
}

/** Checks a nonce or a version that is sent to a host. */
export function checkToken(field: string, token: string, violations: Violations): void {
  violations.check(token.length <= MAX_CHARS, field, `must have at most ${MAX_CHARS} characters`);
}

function idProblem(text: string): string {
  return text === "" ? "is required" : MACHINE_ID_FORM;
}
