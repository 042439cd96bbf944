import type { Fault } from "../../../lib/faults/fault.ts";
import { HTTP_STATUS } from "../../../lib/faults/http-status.ts";
import { BY_REASON } from "./texts.ts";

/** An error as a REST client sees it. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Every member is a text. */
  readonly body: Readonly<Record<string, string>> & { readonly error: string };
}

const BAD_TOKEN = "Authenticate: token validation error";

/** Converts a fault to the answer of a REST call. @param action what was to be done with a machine, e.g. `start` */
export function errorAnswer(fault: Fault, action = ""): ErrorAnswer {
  const entry = BY_REASON[fault.reason]?.(fault, action) ?? {};
  const code = fault.code.toLowerCase();
  const isTokenWrong = fault.code === "UNAUTHENTICATED";
  const text = entry.text ?? (isTokenWrong ? BAD_TOKEN : `${code}: ${fault.message}`);
  const status = entry.status ?? HTTP_STATUS[fault.code];
  return {
    status,
    headers: headersOf(fault, status),
    body: {
      error: text,
      status: entry.name ?? code,
      reason: fault.reason,
      ...(isTokenWrong ? { hint: fault.message } : {}),
      ...entry.more,
    },
  };
}

function headersOf(fault: Fault, status: number): Record<string, string> {
  const headers: Record<string, string> = {};
  if (status === 429 || fault.retryAfterMs !== undefined)
    headers["retry-after"] = String(Math.max(1, Math.ceil((fault.retryAfterMs ?? 0) / 1_000)));
  if (status === 401) headers["www-authenticate"] = "Bearer";
  if (status === 426) headers["upgrade"] = "websocket";
  const allowed = fault.facts["allowed"];
  if (status === 405 && allowed !== undefined) headers["allow"] = allowed;
  return headers;
}
