import type { HttpSettings, Wake } from "../../route.ts";
import type { AnswerHead, FlatHeaders } from "../exchange.ts";
import { headerOf, hopByHop } from "./fields.ts";
import { viaOf } from "./request-headers.ts";

/** What the proxy says of an answer. */
export interface AnswerFacts {
  readonly requestId: string;
  readonly wake: Wake | undefined;
}

/** For the proxy alone. */
const CONSUMED = new Set([
  ...["fly-replay", "fly-replay-cache", "fly-replay-cache-ttl-secs", "fly-replay-cache-allow-bypass"],
  ...["x-windhover-error", "x-windhover-start"],
]);

/** Returns the head that a client gets of a machine's answer. */
export function answerHead(head: AnswerHead, settings: HttpSettings, facts: AnswerFacts): AnswerHead {
  const { status, statusText } = head;
  const dropped = hopByHop(head.headers);
  const own = settings.responseHeaders;
  const headers: string[] = [];
  for (let at = 0; at + 1 < head.headers.length; at += 2) {
    const name = head.headers[at] ?? "";
    const lower = name.toLowerCase();
    if (dropped.has(lower) || own.has(lower) || CONSUMED.has(lower)) continue;
    // By HTTP/2 it would announce a body: RFC 9110 section 8.6.
    if (status === 204 && lower === "content-length") continue;
    headers.push(name, head.headers[at + 1] ?? "");
  }
  for (const [name, value] of own) if (value !== "") headers.push(name, value);
  if (headerOf(headers, "date") === undefined && !own.has("date"))
    headers.push("date", new Date().toUTCString());
  if (settings.pristineResponse) return { status, statusText, headers };
  return { status, statusText, headers: [...headers, ...ownHeaders(facts, own)] };
}

/** Returns the head of an answer that changes the protocol, with what says so. */
export function changedHead(head: AnswerHead, sent: AnswerHead): AnswerHead {
  const protocol = headerOf(sent.headers, "upgrade") ?? "";
  return { ...head, headers: [...head.headers, "connection", "Upgrade", "upgrade", protocol] };
}

function ownHeaders({ requestId, wake }: AnswerFacts, own: ReadonlyMap<string, string>): string[] {
  const added: (readonly [string, string])[] = [
    ["via", viaOf("1.1")],
    ["fly-request-id", requestId],
    ...wakeHeaders(wake),
  ];
  return added.filter(([name]) => !own.has(name)).flat();
}

/** Returns the headers of an answer whose request waited for a start. */
export function wakeHeaders(wake: Wake | undefined): readonly (readonly [name: string, value: string])[] {
  if (!wake) return [];
  return [
    ["x-windhover-start", startHeader(wake)],
    ["server-timing", serverTiming(wake)],
  ];
}

/** Says how long the parts of a start took. */
function startHeader({ path, queueMs, startMs, readyMs, traceId }: Wake): string {
  const parts = [`path=${path}`, `queue=${ms(queueMs)}`, `start=${ms(startMs)}`, `ready=${ms(readyMs)}`];
  return [...parts, ...(traceId === "" ? [] : [`trace=${traceId}`])].join("; ");
}

function serverTiming({ path, queueMs, startMs, readyMs }: Wake): string {
  return [
    `queue;dur=${fine(queueMs)}`,
    `start;desc="${path}";dur=${fine(startMs)}`,
    `ready;dur=${fine(readyMs)}`,
  ].join(", ");
}

function ms(value: number): string {
  return `${Math.round(value)}ms`;
}

function fine(value: number): string {
  return value.toFixed(1);
}

/** Headers of an informational answer that reach the client. */
export function informationHeaders(headers: FlatHeaders): string[] {
  const dropped = hopByHop(headers);
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    if (!dropped.has(name.toLowerCase())) kept.push(name, headers[at + 1] ?? "");
  }
  return kept;
}
