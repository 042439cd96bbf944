import { type IncomingMessage, request as requestHttp } from "node:http";
import { type RequestOptions, request as requestHttps } from "node:https";
import type { HttpCheck } from "../machines/health/check-plan.ts";

/** What one run of a check has seen. */
export interface CheckResult {
  readonly isPassing: boolean;
  readonly output: string;
}

/** The part of a body in which a text is looked for. */
const MAX_BODY_BYTES = 64 * 1024;
/** The part of the body of a failure that is shown. */
const MAX_SHOWN_BYTES = 256;

/**
 * Runs a check against a port of this host, over a connection of its own. Redirects are not
 * followed. Never rejects.
 */
export async function runHttpCheck(
  check: HttpCheck,
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { promise, resolve } = Promise.withResolvers<CheckResult>();
  const what = `${check.method} ${check.path}`;
  const fail = (why: string) => resolve({ isPassing: false, output: `${what}: ${why}` });
  const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
  const controller = new AbortController();
  const onAbort = () => fail("cancelled");
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const send = check.isTls ? requestHttps : requestHttp;
    const request = send(optionsOf(check, port, controller.signal), (response) => {
      response.on("error", (err) => fail(err.message));
      void judge(check, response).then(({ isPassing, output }) =>
        resolve({ isPassing, output: `${what}: ${output}` }),
      );
    });
    request.on("error", (err) => fail(describe(err)));
    request.on("upgrade", (_response, socket) => {
      socket.destroy();
      fail("it answered with an upgrade");
    });
    request.end();
    return await promise;
  } catch (err) {
    // E.g. a header that may not be sent.
    return { isPassing: false, output: `${what}: ${err instanceof Error ? err.message : String(err)}` };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    controller.abort();
  }
}

function optionsOf(check: HttpCheck, port: number, signal: AbortSignal): RequestOptions {
  const values = new Map([["user-agent", ["windhover-check"]]]);
  for (const header of check.headers) {
    const name = header.name.toLowerCase();
    const before = name === "user-agent" ? [] : (values.get(name) ?? []);
    values.set(name, [...before, ...header.values.map(encoded)]);
  }
  // Node takes no list for some of those that are there once.
  const headers = Object.fromEntries(
    [...values].map(([name, each]) => [name, each[1] === undefined ? (each[0] ?? "") : each]),
  );
  return {
    ...{ host: "127.0.0.1", port, method: check.method, path: check.path, headers, signal, agent: false },
    ...(check.isTls
      ? { servername: check.serverName, rejectUnauthorized: !check.acceptsAnyCertificate }
      : {}),
  } as RequestOptions;
}

/** Node writes headers byte by byte, and refuses characters that have no byte: UTF-8 has them. */
function encoded(value: string): string {
  return Buffer.from(value).toString("latin1");
}

async function judge(check: HttpCheck, response: IncomingMessage): Promise<CheckResult> {
  const { statusCode = 0, statusMessage = "" } = response;
  const isExpected = check.status === 0 ? statusCode >= 200 && statusCode < 300 : statusCode === check.status;
  const status = `${statusCode} ${statusMessage}`.trimEnd();
  if (isExpected && check.body === "") return { isPassing: true, output: status };
  const body = await read(response, isExpected ? MAX_BODY_BYTES : MAX_SHOWN_BYTES);
  if (!isExpected) return { isPassing: false, output: `${status}: ${body.slice(0, MAX_SHOWN_BYTES)}` };
  if (body.includes(check.body)) return { isPassing: true, output: status };
  return {
    isPassing: false,
    output: `${status}, but the body does not contain ${JSON.stringify(check.body)}`,
  };
}

/** Reads the beginning of a body. What is there when the connection breaks counts. */
async function read(response: IncomingMessage, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length >= maxBytes) break;
    }
  } catch {
    // The rest does not come.
  }
  return Buffer.concat(parts).subarray(0, maxBytes).toString();
}

function describe(err: Error): string {
  return "code" in err && err.code === "ECONNREFUSED" ? "the connection was refused" : err.message;
}
