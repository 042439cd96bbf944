import http, { type IncomingMessage } from "node:http";
import https from "node:https";

export interface HttpTimeouts {
  /** For the TCP and TLS handshakes. */
  readonly connectMs: number;
  /** Without a byte, before the response and within it. */
  readonly idleMs: number;
}

export interface HttpGet {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeouts: HttpTimeouts;
  readonly signal: AbortSignal;
  /** Whether a redirect may lead from https to http, as for registries declared insecure. */
  readonly allowDowngrade: boolean;
}

/** The connection failed, timed out or broke. Worth a retry. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}

const MAX_REDIRECTS = 5;
/** Reading so many bytes is cheaper than a new connection. */
const MAX_DISCARDED = 64 * 1024;
const REDIRECTS: readonly (number | undefined)[] = [301, 302, 303, 307, 308];

/** Sends requests to registries over kept-alive connections. */
export class HttpClient {
  readonly #http = new http.Agent({ keepAlive: true, maxSockets: 16 });
  readonly #https = new https.Agent({ keepAlive: true, maxSockets: 16 });

  /**
   * Sends a GET and follows redirects, to another origin without `Authorization`.
   *
   * @returns the response of any status; its body must be read or destroyed
   * @throws ConnectionError
   */
  async get(request: HttpGet): Promise<IncomingMessage> {
    let { url, headers } = request;
    for (let hops = 0; ; hops++) {
      const response = await this.#once(url, headers, request);
      const location = response.headers.location;
      if (!REDIRECTS.includes(response.statusCode) || location === undefined) return response;
      discard(response);
      if (hops === MAX_REDIRECTS) throw new ConnectionError(`more than ${MAX_REDIRECTS} redirects`);
      const next = redirectTarget(location, url);
      if (url.protocol === "https:" && next.protocol === "http:" && !request.allowDowngrade) {
        throw new ConnectionError(`refused to follow a redirect from https to ${next.origin}`);
      }
      if (next.origin !== url.origin) headers = without(headers, "authorization");
      url = next;
    }
  }

  /** Closes idle connections and breaks the others. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #once(url: URL, headers: HttpGet["headers"], { timeouts, signal }: HttpGet): Promise<IncomingMessage> {
    const secure = url.protocol === "https:";
    return new Promise((resolve, reject) => {
      const options = { headers, signal, agent: secure ? this.#https : this.#http };
      const request = secure ? https.get(url, options) : http.get(url, options);
      const fail = (message: string) => request.destroy(new ConnectionError(message));
      const connecting = setTimeout(
        () => fail(`no connection in ${timeouts.connectMs} ms`),
        timeouts.connectMs,
      );
      request.setTimeout(timeouts.idleMs, () => fail(`nothing arrived for ${timeouts.idleMs} ms`));
      request.once("socket", (socket) => {
        if (!socket.connecting) clearTimeout(connecting);
        else socket.once(secure ? "secureConnect" : "connect", () => clearTimeout(connecting));
      });
      request.once("response", resolve);
      request.on("error", (err) => reject(asConnectionError(err, signal)));
      request.once("close", () => clearTimeout(connecting));
    });
  }
}

/** Discards a response: reads a short one to its end, so that its connection can be reused. */
export function discard(response: IncomingMessage): void {
  response.on("error", () => undefined);
  if (Number(response.headers["content-length"] ?? Number.NaN) <= MAX_DISCARDED) response.resume();
  else response.destroy();
}

/** Reads a body of at most `limit` bytes; undefined when it is longer. @throws ConnectionError */
export async function readBody(
  response: IncomingMessage,
  limit: number,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of bodyOf(response, signal)) {
    length += part.length;
    if (length > limit) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Yields the body as it arrives. Leaving the loop closes the connection. @throws ConnectionError */
export async function* bodyOf(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    // Without an encoding, chunks are buffers.
    yield* response as AsyncIterable<Buffer>;
  } catch (err) {
    throw asConnectionError(err, signal);
  }
}

function asConnectionError(err: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (err instanceof ConnectionError) return err;
  return new ConnectionError(err instanceof Error ? err.message : String(err), { cause: err });
}

function redirectTarget(location: string, from: URL): URL {
  const url = URL.parse(location, from.href);
  if (url !== null) {
    if (url.protocol === "http:" || url.protocol === "https:") return url;
  }
  throw new ConnectionError("redirected to something that is not an http address");
}

function without(headers: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key.toLowerCase() !== name));
}
