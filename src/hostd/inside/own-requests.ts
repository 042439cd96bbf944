import type { IncomingMessage } from "node:http";
import { parseDuration } from "../../lib/config/duration.ts";
import { Fault, invalid } from "../../lib/faults/fault.ts";
import { bodyTooLarge } from "./pass-on.ts";

const MAX_OWN_BODY_BYTES = 16 * 1024;
const PATH = /^\/v1\/(?:machines\/self|apps\/([^/]+)\/machines(?:\/([^/]+))?)(?:\/([^/]+))?$/;
/** What a host does itself for a program of one of its machines. */
const OWN = ["get", "stop", "suspend", "busy"] as const;

/** A request of a program: one that its host answers, or one for an api. */
export type Target =
  | { readonly kind: (typeof OWN)[number] }
  | { readonly kind: "pass"; readonly path: string };

/**
 * Finds out what a request is about.
 *
 * @throws Fault APP_NOT_FOUND, ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED_HERE
 */
export function targetOf(
  method: string,
  url: string,
  own: { readonly id: string; readonly app: string },
): Target {
  const [path = "/", query] = splitOnce(url.replace(/^https?:\/\/[^/?]*/i, "").replace(/^\/*/, "/"), "?");
  const known = PATH.exec(withoutEndSlashes(path));
  const [, app, id, action = ""] = known ?? [];
  const isSelf = /^\/v1\/machines\/self(?:\/|$)/.test(path);
  if (app === undefined && !isSelf) throw noRoute(method, path);
  if (app !== undefined && decoded(app) !== own.app) throw otherApp(app);
  const isOwn = isSelf || id === own.id;
  if (known && isOwn && action === "" && (method === "GET" || method === "HEAD")) return { kind: "get" };
  const kind = OWN.find((each) => each === action);
  if (isOwn && kind !== undefined && kind !== "get") {
    if (method !== "POST") throw notAllowed(method, "POST");
    return { kind };
  }
  const machines = `/v1/apps/${own.app}/machines`;
  const rest = isSelf ? `${machines}/${own.id}${path.slice("/v1/machines/self".length)}` : path;
  return { kind: "pass", path: query === undefined ? rest : `${rest}?${query}` };
}

/** Reads until when a program says that it is busy. @throws Fault INVALID_FIELDS, BODY_TOO_LARGE */
export async function busyUntil(request: IncomingMessage, nowMs: number): Promise<number> {
  const body = await readObject(request);
  const { until, for: length } = body;
  if ((until === undefined) === (length === undefined))
    throw invalid([{ field: "until", description: "give either `until` or `for`" }]);
  if (length !== undefined) {
    const ms = typeof length === "string" ? parseDuration(length) : undefined;
    if (ms === undefined && length !== "0")
      throw invalid([{ field: "for", description: 'must be a text with a unit, e.g. "90s" or "10m"' }]);
    return nowMs + (ms ?? 0);
  }
  const time = typeof until === "string" && /^\d{4}-\d\d-\d\dT/.test(until) ? Date.parse(until) : Number.NaN;
  if (Number.isNaN(time))
    throw invalid([{ field: "until", description: "must be a time such as 2026-11-29T22:00:00Z" }]);
  return time;
}

/** Reads a small body as a JSON object; an empty one is `{}`. @throws Fault INVALID_FIELDS, BODY_TOO_LARGE */
export async function readObject(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_OWN_BODY_BYTES) throw bodyTooLarge();
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8").trim();
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Answered below.
  }
  throw invalid([{ field: "body", description: "must be a JSON object" }]);
}

/** Not by a regular expression: its time would grow with the square of the slashes. */
function withoutEndSlashes(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end -= 1;
  return path.slice(0, end);
}

function splitOnce(text: string, at: string): readonly [string, string | undefined] {
  const i = text.indexOf(at);
  return i < 0 ? [text, undefined] : [text.slice(0, i), text.slice(i + 1)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function otherApp(app: string): Fault {
  const message = "the API inside a machine is about the machines of its own app";
  return new Fault("NOT_FOUND", "APP_NOT_FOUND", message, { app: app.slice(0, 64) });
}

function noRoute(method: string, path: string): Fault {
  const message = `there is no route ${method} ${path.slice(0, 200)} inside a machine: it has /v1/machines/self, and /v1/apps/APP/machines of its own app`;
  return new Fault("NOT_FOUND", "ROUTE_NOT_FOUND", message, { method });
}

function notAllowed(method: string, allowed: string): Fault {
  const message = `${method} is not allowed here; allowed is ${allowed}`;
  return new Fault("INVALID_ARGUMENT", "METHOD_NOT_ALLOWED_HERE", message, { method, allowed });
}
