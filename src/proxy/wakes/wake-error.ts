import { Fault } from "../../lib/faults/fault.ts";
import { ProxyError } from "../proxy-error.ts";

/** Reasons for which the same start may work soon. */
const PASSING: ReadonlySet<Fault["code"]> = new Set([
  "RESOURCE_EXHAUSTED",
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
]);

/**
 * Makes the error of requests whose machines could not be started.
 *
 * @param cause undefined: no start was tried, since nobody hears of their hosts
 */
export function wakeFailed(app: string, cause: unknown = unreachable()): ProxyError {
  const fault = cause instanceof Fault ? cause : undefined;
  const why = fault ? `${fault.message} (${fault.reason})` : "the start has failed";
  const message = `no machine of ${app} could be started: ${why}`;
  if (!fault || !PASSING.has(fault.code)) return new ProxyError("WAKE_FAILED", message, { cause });
  const retryAfterS = Math.max(1, Math.ceil((fault.retryAfterMs ?? 1_000) / 1_000));
  return new ProxyError("WAKE_FAILED", message, { status: 503, retryAfterS, cause });
}

export function autostartOff(app: string): ProxyError {
  const fix = `start one (hover machine start), or set autostart to true in the service of the machine's config`;
  return new ProxyError("AUTOSTART_OFF", `all machines of ${app} are stopped, and autostart is off: ${fix}`);
}

export function noMachine(app: string, port: number): ProxyError {
  return new ProxyError("NO_MACHINE", `no machine of ${app} takes requests at port ${port}`);
}

export function noRoutes(): ProxyError {
  return new ProxyError("NO_ROUTES", "the proxy does not know the apps yet: no api has told it of them");
}

export function queueFull(app: string): ProxyError {
  return new ProxyError("QUEUE_FULL", `too many requests wait for machines of ${app}`, { retryAfterS: 2 });
}

/** @param why what the request waited for */
export function waitedTooLong(app: string, why: "starting" | "full", ms: number): ProxyError {
  const waited = `after ${Math.round(ms / 1_000)} s`;
  return why === "full"
    ? new ProxyError("ALL_AT_HARD_LIMIT", `${waited}, all machines of ${app} are still at their hard limits`)
    : new ProxyError("WAKE_TIMEOUT", `${waited}, no machine of ${app} was ready`);
}

function unreachable(): Fault {
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "the hosts of its machines do not answer");
}
