import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import { isLoopback } from "../reference.ts";
import { filteringConnector, mayConnect, refuseAddress } from "./connector.ts";
import { HostList } from "./host-list.ts";
import { ProxyRanges } from "./no-proxy.ts";

export interface HttpTimeouts {
  /** For the TCP and TLS handshakes. */
  readonly connectMs: number;
  /** Without a byte, before the response and within it. */
  readonly idleMs: number;
}

/** Proxies by protocol of the target. Empty: none. */
export interface Proxies {
  readonly http: string;
  readonly https: string;
  /** Hosts that are reached without a proxy, as in `NO_PROXY`. */
  readonly except: string;
}

export interface HttpOptions {
  readonly timeouts: HttpTimeouts;
  /** Hosts that may be at private addresses, as `host` or `host:port`. */
  readonly allowPrivate: readonly string[];
  readonly proxies: Proxies;
}

export interface HttpRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Fields of a form. Present: a POST, whose redirects are not followed. */
  readonly form?: URLSearchParams;
}

export interface HttpResponse {
  readonly status: number;
  header(name: string): string | undefined;
  /** Whether it comes from the origin that was asked, and not from one that this redirected to. */
  readonly isFromOrigin: boolean;
  readonly body: Dispatcher.ResponseData["body"];
}

/** The host cannot be reached, or the connection broke. The message has a code and nothing that the host sent. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** Whether a retry can help. */
  readonly isTransient: boolean;

  constructor(code: string, isTransient = true) {
    super(code);
    this.isTransient = isTransient;
  }
}

const MAX_REDIRECTS = 5;
const MAX_CONNECTIONS = 16;
/** Reading so many bytes is cheaper than a new connection. */
const MAX_DISCARDED = 64 * 1024;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** Sends requests to registries over kept-alive connections, to public addresses only unless they are allowed. */
export class HttpClient {
  readonly #allowed: HostList;
  readonly #direct: Dispatcher;
  readonly #proxied: Dispatcher;
  readonly #hasProxy: Readonly<Record<string, boolean>>;
  readonly #unproxied: ProxyRanges;

  constructor({ timeouts, allowPrivate, proxies }: HttpOptions) {
    this.#allowed = new HostList(allowPrivate);
    const options = {
      connect: filteringConnector(this.#allowed, timeouts.connectMs),
      connections: MAX_CONNECTIONS,
      headersTimeout: timeouts.idleMs,
      bodyTimeout: timeouts.idleMs,
    };
    const { http: httpProxy, https: httpsProxy, except: noProxy } = proxies;
    this.#direct = new Agent(options);
    // It connects to the proxy itself without the filter: the operator has named it.
    const proxied = () => new EnvHttpProxyAgent({ ...options, httpProxy, httpsProxy, noProxy });
    this.#proxied = httpProxy || httpsProxy ? proxied() : this.#direct;
    this.#unproxied = new ProxyRanges(noProxy);
    this.#hasProxy = { "http:": httpProxy !== "", "https:": httpsProxy !== "" };
  }

  /**
   * Sends a request and follows redirects: to another origin without `Authorization`, and never from https to http.
   *
   * @returns the response of any status; its body must be read or discarded
   * @throws ConnectionError
   */
  async send(sent: HttpRequest): Promise<HttpResponse> {
    let { url, headers } = sent;
    for (let hops = 0; ; hops++) {
      const response = await this.#once(url, headers, sent);
      const location = response.header("location");
      if (!REDIRECTS.includes(response.status) || location === undefined || sent.form) return response;
      discard(response);
      if (hops === MAX_REDIRECTS) throw new ConnectionError("TOO_MANY_REDIRECTS", false);
      const next = redirectTarget(location, url);
      if (next.origin !== url.origin) headers = without(headers, "authorization");
      url = next;
    }
  }

  /** Breaks all connections. */
  close(): void {
    for (const each of new Set([this.#direct, this.#proxied])) void each.destroy().catch(() => undefined);
  }

  async #once(url: URL, headers: HttpRequest["headers"], sent: HttpRequest): Promise<HttpResponse> {
    const { signal, form } = sent;
    // A proxy looks names up by itself, so a name is not checked then.
    if (!this.#allowed.has(url) && !mayConnect(url)) throw new ConnectionError(refuseAddress().code, false);
    const isDirect = isLoopback(url.host) || this.#unproxied.has(url);
    const isProxied = this.#hasProxy[url.protocol] && !isDirect;
    const dispatcher = isProxied ? this.#proxied : this.#direct;
    const body = form && {
      method: "POST" as const,
      body: form.toString(),
      headers: { ...headers, "content-type": "application/x-www-form-urlencoded" },
    };
    try {
      const response = await request(url, { headers, ...body, dispatcher, signal });
      // A body that is left early breaks, which nobody waits for.
      response.body.on("error", () => undefined);
      return {
        status: response.statusCode,
        header: (name) => [response.headers[name]].flat()[0],
        isFromOrigin: url.origin === sent.url.origin,
        body: response.body,
      };
    } catch (err) {
      throw asConnectionError(err, signal);
    }
  }
}

/** Discards a response: reads a short one to its end, so that its connection can be reused. */
export function discard({ body }: HttpResponse): void {
  void body.dump({ limit: MAX_DISCARDED }).catch(() => undefined);
}

/** Reads a body of at most `limit` bytes; undefined when it is longer. @throws ConnectionError */
export async function readBody(
  response: HttpResponse,
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
export async function* bodyOf(response: HttpResponse, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    // Without an encoding, chunks are buffers.
    yield* response.body as AsyncIterable<Buffer>;
  } catch (err) {
    throw asConnectionError(err, signal);
  }
}

/** Keeps the code only: errors of parsers have the bytes that they failed at. */
function asConnectionError(err: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (err instanceof ConnectionError) return err;
  const { code, name } = err as { code?: unknown; name?: unknown };
  const text = String(code ?? name ?? "UNKNOWN");
  return new ConnectionError(text, text !== "ADDRESS_REFUSED");
}

function redirectTarget(location: string, from: URL): URL {
  const url = URL.parse(location, from.href);
  const isDowngrade = from.protocol === "https:" && url?.protocol === "http:";
  if (url && !isDowngrade && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new ConnectionError("REDIRECT_REFUSED", false);
}

function without(headers: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key.toLowerCase() !== name));
}
