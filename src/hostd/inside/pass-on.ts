import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { pipeline, Transform } from "node:stream";
import { Fault } from "../../lib/faults/fault.ts";

/** Of the REST API, too. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Longer than any call of the REST API may take. */
const IDLE_MS = 1_000_000;
const CONNECT_MS = 2_000;
/** To one api: what one organisation may have under way (64) must not keep others from theirs. */
const MAX_SOCKETS = 1_024;
/** Idle ones. */
const MAX_FREE_SOCKETS = 64;
/** Headers that are passed on. The token is the machine's, whatever the program sends. */
const REQUEST_HEADERS = [
  ...["accept", "content-type", "content-length", "idempotency-key", "fly-machine-lease-nonce"],
  ...["traceparent", "tracestate", "user-agent"],
];
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "set-cookie"],
]);

/** The REST addresses of apis, nearest first. */
export class PassOn {
  readonly #addresses: readonly string[];
  readonly #agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    maxFreeSockets: MAX_FREE_SOCKETS,
    timeout: IDLE_MS,
  });

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  /**
   * Passes a request on to the first api that takes the connection, and its answer back.
   *
   * @throws Fault API_UNAVAILABLE, BODY_TOO_LARGE
   */
  async pass(request: IncomingMessage, response: ServerResponse, path: string, token: string): Promise<void> {
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw bodyTooLarge();
    for (const address of this.#addresses) {
      const answer = await this.#ask(address, request, response, path, token);
      if (!answer) continue;
      const headers = Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name));
      response.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers));
      await new Promise<void>((resolve) => pipeline(answer, response, () => resolve()));
      return;
    }
    const why = this.#addresses.length === 0 ? "this host knows no api" : "no api can be reached";
    throw new Fault("UNAVAILABLE", "API_UNAVAILABLE", why, {}, { retryAfterMs: 1_000 });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Undefined: nobody has taken the connection, and nothing of the request was read. */
  #ask(
    address: string,
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    token: string,
  ): Promise<IncomingMessage | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | undefined>();
    const outgoing = httpRequest({
      ...{ ...placeOf(address), path, agent: this.#agent },
      method: request.method ?? "GET",
      headers: { ...headersOf(request), authorization: `Bearer ${token}` },
    });
    let isConnected = false;
    const begin = (): void => {
      clearTimeout(late);
      isConnected = true;
      pipeline(request, bounded(), outgoing, (err) => {
        if (err) reject(err);
      });
    };
    const late = setTimeout(() => outgoing.destroy(new Error("no connection in time")), CONNECT_MS);
    outgoing.once("socket", (socket) => {
      if (socket.connecting) socket.once("connect", begin);
      else begin();
    });
    outgoing.once("response", resolve);
    outgoing.on("error", (err) => {
      clearTimeout(late);
      if (isConnected) reject(err instanceof Fault ? err : broken(err));
      else resolve(undefined);
    });
    // The program has gone.
    response.once("close", () => outgoing.destroy());
    return promise;
  }
}

/** Reads `host:port`, `[address]:port` or `unix:/path`. */
function placeOf(
  address: string,
): { readonly socketPath: string } | { readonly host: string; readonly port: string } {
  if (address.startsWith("unix:")) return { socketPath: address.slice("unix:".length) };
  const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(address) ?? [];
  return { host: host.replace(/^\[|\]$/g, ""), port };
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const kept = REQUEST_HEADERS.flatMap((name) => {
    const value = headers[name];
    return typeof value === "string" ? [[name, value] as const] : [];
  });
  return Object.fromEntries(kept);
}

/** Passes a body on up to its limit. */
function bounded(): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) done(bodyTooLarge());
      else done(null, chunk);
    },
  });
}

export function bodyTooLarge(): Fault {
  const message = `a body may have at most ${MAX_BODY_BYTES} bytes`;
  return new Fault("INVALID_ARGUMENT", "BODY_TOO_LARGE", message, { limit: String(MAX_BODY_BYTES) });
}

function broken(cause: unknown): Fault {
  const message = "the api broke the connection; what the request asked for may have been done";
  return new Fault("UNAVAILABLE", "API_UNAVAILABLE", message, {}, { cause, retryAfterMs: 1_000 });
}
