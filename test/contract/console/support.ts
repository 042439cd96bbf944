import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { operation } from "../../../src/console/columns/operations.fixture.ts";
import { startConsole } from "../../../src/console/console.ts";
import type { AuditEntry } from "../../../src/lib/audit/audit-entry.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { Revocations } from "../../../src/lib/auth/revocations.ts";
import type { Operation } from "../../../src/lib/latency/operation.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import { TraceReader } from "../../../src/lib/latency/trace-reader.ts";
import { systemClock } from "../../../src/lib/runtime/clock.ts";
import { TraceDatabase } from "../../support/console/trace-database.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { keys } from "../traces/support.ts";

/** A console in this process, and the database that it reads. */
export interface TestConsole {
  readonly url: string;
  readonly port: number;
  readonly database: TraceDatabase;
  readonly revocations: Revocations;
  readonly refusals: readonly AuditEntry[];
  get(path: string, token?: string, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

/** Starts a console over these operations, which it has read when this returns. */
export async function startTestConsole(operations: readonly Operation[] = []): Promise<TestConsole> {
  const scratch = temporaryFolder("console");
  const database = new TraceDatabase(join(scratch.path, "traces"));
  database.addOperations(operations);
  const pageDir = join(scratch.path, "page");
  mkdirSync(join(pageDir, "assets"), { recursive: true });
  writeFileSync(join(pageDir, "index.html"), "<!doctype html><title>console</title>");
  writeFileSync(join(pageDir, "assets/main-ABCD2345.js"), `console.log(${"1".repeat(4_000)})`);
  const refusals: AuditEntry[] = [];
  const revocations = new Revocations();
  const verifier = new TokenVerifier(keys.publicKey, systemClock, revocations);
  const source = new TraceReader(database.dir);
  const audit = { record: (entry: AuditEntry) => void refusals.push(entry) };
  const running = await startConsole(
    {
      ...{ listen: "127.0.0.1:0", publicUrl: undefined, capacity: 100_000, pageDir },
      objectives: [{ kind: "start", path: "warm", targetUs: 100_000, goal: 0.99 }],
    },
    { source, verifier, audit, clock: systemClock },
  );
  const url = `http://127.0.0.1:${running.port}`;
  while ((await json(fetch(`${url}/healthz`))).is_loaded !== true) await delay(10);
  return {
    ...{ url, port: running.port, database, revocations, refusals },
    get: (path, token, headers = {}) =>
      fetch(`${url}${path}`, {
        headers: { ...(token === undefined ? {} : { authorization: token }), ...headers },
        redirect: "manual",
      }),
    close: async () => {
      await running.close();
      source.close();
      database.close();
      scratch.remove();
    },
  };
}

/** An operation of a minute ago. */
export function recent(fields: Partial<Operation> & { readonly traceId?: string } = {}): Operation {
  const { row: _, ...own } = operation({ startUs: (Date.now() - 60_000) * 1_000 });
  made += 1;
  const id = made.toString(16);
  return { ...own, traceId: id.padStart(32, "c"), spanId: id.padStart(16, "d"), ...fields };
}

let made = 0;

/** A span of an operation's trace; by default the operation's own. */
export function spanOf(of: Operation, fields: Partial<Span> = {}): Span {
  return {
    ...{ trace_id: of.traceId, span_id: of.spanId, name: "hostd.start", service: "hostd", kind: "server" },
    ...{ start_us: of.startUs, duration_us: of.durationUs, status: "ok", attributes: {} },
    ...fields,
  };
}

/** The JSON of an answer. */
// biome-ignore lint/suspicious/noExplicitAny: answers are compared as a whole, field by field
export async function json(response: Response | Promise<Response>): Promise<any> {
  return (await response).json();
}

/** The cookie that an answer sets, as a request sends it. */
export function cookieOf(response: Response): string {
  return (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

/** Makes a request with headers that `fetch` does not let anybody set. */
export function rawRequest(
  port: number,
  path: string,
  headers: Record<string, string>,
  method = "GET",
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", path, method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}
