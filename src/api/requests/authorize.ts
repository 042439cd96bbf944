import { requireScope, type Scope } from "../../lib/auth/claims.ts";
import { type CallContext, remainingMs } from "../../lib/grpc/server/rpc.ts";
import { annotate, attribute } from "../../lib/otel/tracing.ts";
import type { Caller } from "./caller.ts";

/**
 * Returns the caller. The organisation on the call's span makes the trace visible to it.
 * @throws Fault `SCOPE_MISSING`, `TOKEN_MISSING`
 */
export function authorize(ctx: CallContext, scope: Scope): Caller {
  const { org, subject } = requireScope(ctx, scope);
  annotate(attribute.org, org);
  return { org, subject, signal: ctx.signal, remainingMs: remainingMs(ctx) };
}
