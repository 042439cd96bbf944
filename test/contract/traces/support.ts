import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditEntry } from "../../../src/lib/audit/audit-entry.ts";
import { mintToken, TokenVerifier } from "../../../src/lib/auth/auth.ts";
import type { Scope } from "../../../src/lib/auth/claims.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { serve } from "../../../src/lib/grpc/server/serve.ts";
import { type Clock, systemClock } from "../../../src/lib/runtime/clock.ts";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { grpcServer } from "../../../src/traces/otlp/grpc-server.ts";
import { closeServer, traceServer } from "../../../src/traces/server.ts";
import { startSealing } from "../../../src/traces/store/seal-loop.ts";
import { TraceStore } from "../../../src/traces/store/store.ts";

/** The cluster's keys of these tests. */
export const keys = generateKeyPair();

/** A token, ready for the header. */
export async function bearer(org: string, ...scopes: readonly Scope[]): Promise<string> {
  return `Bearer ${await mintToken(keys.privateKey, { subject: "test", org, scopes }, 600)}`;
}

/** A receiver in this process. */
export interface Receiver {
  readonly url: string;
  /** Where it takes OTLP/gRPC. */
  readonly grpcAddress: string;
  /** What it wrote to its audit log. */
  readonly refusals: readonly AuditEntry[];
  post(body: unknown, options?: { token?: string; headers?: Record<string, string> }): Promise<Response>;
  get(path: string, token?: string): Promise<Response>;
  /** Requests that it has been asked so far. */
  asked(): number;
  /** Sets its clock forward. */
  pass(ms: number): void;
  close(): Promise<void>;
}

/** A private directory, removed by the answer. */
export function privateDir(): { dir: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), "windhover-traces-"));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Starts a receiver in `dir` on a free port. */
export async function startReceiver(
  dir: string,
  keep = 2_000,
  budgetBytes = 56 * 1024 * 1024,
): Promise<Receiver> {
  const verifier = new TokenVerifier(keys.publicKey);
  let passedMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + passedMs };
  const store = new TraceStore(dir, { keep, budgetBytes }, clock);
  const refusals: AuditEntry[] = [];
  const audit = { record: (entry: AuditEntry) => refusals.push(entry) };
  const server = traceServer(store, (header) => verifier.verify(header), clock, audit);
  let asked = 0;
  server.on("request", () => (asked += 1));
  const url = `http://127.0.0.1:${await listen(server, "127.0.0.1:0", "TRACES_LISTEN")}`;
  const stopSealing = startSealing(store);
  const { server: grpc, health } = grpcServer(store, verifier, audit);
  const running = await serve(grpc, "127.0.0.1:0", 1_000, health, "TRACES_GRPC_LISTEN");
  const grpcAddress = `127.0.0.1:${running.port}`;
  const close = async () => {
    await running();
    await closeServer(server);
    await stopSealing();
    store.close();
  };
  const pass = (ms: number) => {
    passedMs += ms;
  };
  return { url, grpcAddress, refusals, ...requests(url), asked: () => asked, pass, close };
}

/** Makes requests to a receiver: posts as a service and reads as an administrator by default. */
export function requests(url: string): Pick<Receiver, "post" | "get"> {
  return {
    post: async (body, { token, headers } = {}) =>
      fetch(`${url}/v1/traces`, {
        method: "POST",
        headers: {
          authorization: token ?? (await bearer("", "telemetry")),
          "content-type": "application/json",
          ...headers,
        },
        // Bytes and text go as they are, anything else as JSON.
        body:
          body instanceof Uint8Array
            ? new Uint8Array(body)
            : typeof body === "string"
              ? body
              : JSON.stringify(body),
      }),
    get: async (path, token) =>
      fetch(`${url}${path}`, { headers: { authorization: token ?? (await bearer("ops", "admin")) } }),
  };
}

/** One span as OTLP/JSON has it. */
export interface RawSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly [field: string]: unknown;
}

let made = 0;

/** Makes a well-formed span, by default the root of a new trace. */
export function rawSpan(fields: Partial<RawSpan> = {}, attributes: Record<string, string> = {}): RawSpan {
  made += 1;
  return {
    traceId: `a${made.toString(16).padStart(31, "0")}`,
    spanId: `b${made.toString(16).padStart(15, "0")}`,
    name: "hover machine start",
    kind: 3,
    startTimeUnixNano: String(1_764_000_000_000_000_000n + BigInt(made) * 1_000_000n),
    endTimeUnixNano: String(1_764_000_000_080_000_000n + BigInt(made) * 1_000_000n),
    attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: { stringValue: value } })),
    ...fields,
  };
}

/** An export request with these spans, of one service. */
export function exportRequest(spans: readonly unknown[], service = "api") {
  return {
    resourceSpans: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
        scopeSpans: [{ scope: { name: "windhover" }, spans }],
      },
    ],
  };
}

/** The JSON of an answer. */
// biome-ignore lint/suspicious/noExplicitAny: answers are compared as a whole, field by field
export async function json(response: Response | Promise<Response>): Promise<any> {
  return (await response).json();
}

/** The traces of a list, by id. */
export function ids(list: { traces: { trace_id: string }[] }): string[] {
  return list.traces.map((trace) => trace.trace_id);
}
