import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Problem, problemOf } from "../problem.ts";
import type { Functions } from "./functions-server.ts";

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_LOG_LINES = 1_000;
const BODY_MS = 30_000;
const PATH = /^\/fn\/([a-z][a-z0-9-]{0,39})(\/logs)?$/;

/** Serves `POST /fn/NAME`, `GET /fn/NAME`, `GET /fn/NAME/logs` and `GET /health`. */
export function httpServer(functions: Functions, log: (entry: object) => void): Server {
  return createServer({ requestTimeout: BODY_MS }, (request, response) => {
    const left = new AbortController();
    response.on("close", () => left.abort(new Problem(499, "CALLER_LEFT", "the caller has left")));
    route(functions, request, response, left.signal, log).catch((err: unknown) => {
      const { status, code, message, retryAfterS } = problemOf(err);
      log({ message: "failed", method: request.method, path: request.url, status, code, error: message });
      if (response.headersSent || response.destroyed) return response.destroy();
      if (retryAfterS !== undefined) response.setHeader("retry-after", retryAfterS);
      // What is left of a body that was too large is not read.
      if (!request.complete) response.setHeader("connection", "close");
      return json(response, status, { error: message, code });
    });
  });
}

async function route(
  functions: Functions,
  request: IncomingMessage,
  response: ServerResponse,
  left: AbortSignal,
  log: (entry: object) => void,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://faas");
  if (url.pathname === "/health") return json(response, 200, { ok: true });
  const [, name, logs] = PATH.exec(url.pathname) ?? [];
  if (name === undefined) throw new Problem(404, "NO_SUCH_PATH", "functions are called by POST /fn/NAME");
  if (logs !== undefined) {
    only(request, response, ["GET"]);
    const tail = Math.min(MAX_LOG_LINES, Number(url.searchParams.get("tail") ?? 100) || 100);
    const text = await functions.logs(name, tail);
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(text);
    return;
  }
  only(request, response, ["POST", "GET"]);
  if (request.method === "GET") return json(response, 200, await functions.describe(name));

  const body = await readBody(request);
  const contentType = request.headers["content-type"];
  const result = await functions.run({ name, contentType, body }, left);
  const { runId, version, machine, path, status } = result;
  const times = { queue: result.queueMs, start: result.startMs, run: result.runMs };
  const timing = Object.entries(times).map(([what, ms]) => [what, Math.round(ms)] as const);
  log({
    message: "run",
    function: name,
    version,
    run: runId,
    machine: machine.id,
    region: machine.region,
    path,
    status,
    ...Object.fromEntries(timing),
  });
  response.writeHead(status, {
    "content-type": result.contentType ?? "application/json",
    "content-length": result.body.length,
    "x-faas-run": runId,
    "x-faas-machine": machine.id,
    "x-faas-region": machine.region,
    "x-faas-start": path,
    "server-timing": timing.map(([what, ms]) => `${what};dur=${ms}`).join(", "),
  });
  response.end(result.body);
}

function only({ method = "" }: IncomingMessage, response: ServerResponse, methods: readonly string[]): void {
  if (methods.includes(method)) return;
  response.setHeader("allow", methods.join(", "));
  throw new Problem(405, "METHOD_NOT_ALLOWED", `${method} is not one of ${methods.join(", ")}`);
}

/** Reads the whole body: it is sent again when a machine turns out to be busy. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw new Problem(413, "TOO_LARGE", `a body has at most ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
}
