import { requireScope, type Scope as TokenScope } from "../../lib/auth/auth.ts";
import { type CallContext, remainingMs } from "../../lib/grpc/rpc.ts";
import { annotate, attribute } from "../../lib/otel/tracing.ts";
import { invalid } from "../../lib/runtime/fault.ts";
import { type MachineId, parseMachineId } from "../machines/machine-id.ts";
import type { NameCheck } from "./names.ts";
import type { Caller } from "./scope.ts";

/** Who asks, once they may; the call's span says for which organisation, so that its members may see the trace. @throws Fault `SCOPE_MISSING`, `TOKEN_MISSING` */
export function callerOf(ctx: CallContext, scope: TokenScope): Caller {
  const { org } = requireScope(ctx, scope);
  annotate(attribute.org, org);
  return { org, signal: ctx.signal, remainingMs: remainingMs(ctx) };
}

/** A field that holds a machine's id; the call's span says which. @throws Fault INVALID_FIELDS */
export function machineIdOf(text: string): MachineId {
  const id = parseMachineId(text);
  if (id) {
    annotate(attribute.machineId, id);
    return id;
  }
  const description = text === "" ? "is required" : "must be 14 lower-case hex digits, e.g. 0000148ed5a2f3";
  throw invalid([{ field: "machine_id", description }]);
}

/** A field that holds a name. @throws Fault INVALID_FIELDS */
export function nameOf(field: string, text: string, check: NameCheck): string {
  const description = check(text);
  if (description !== undefined) throw invalid([{ field, description }]);
  return text;
}
