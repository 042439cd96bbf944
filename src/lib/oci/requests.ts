import type { Clock } from "../runtime/clock.ts";
import { logger } from "../runtime/log.ts";
import { accessKey } from "./auth/credentials.ts";
import { type Scope, TokenRefused, type Tokens } from "./auth/tokens.ts";
import type { Subject } from "./faults.ts";
import { ConnectionError, discard, type HttpClient, type HttpResponse } from "./http/client.ts";
import type { ImageSource } from "./image-source.ts";
import type { RateLimits } from "./rate-limits.ts";
import { answered, onHold, refused, unreachable } from "./request-faults.ts";
import { pause, type RetryPolicy, retryAfterMs } from "./retry.ts";

export interface RequestParts {
  readonly http: HttpClient;
  readonly tokens: Tokens;
  readonly limits: RateLimits;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
  readonly isInsecure: (registry: string) => boolean;
}

export interface RegistryRequest {
  readonly from: ImageSource;
  /** Below `/v2/<repository>/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For faults. */
  readonly subject: Subject;
  readonly signal: AbortSignal;
}

/** A failed attempt that is worth a retry. */
interface TransientFailure {
  /** Absent: the connection failed. */
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** Sends GETs with authentication and retries, and turns failures into faults. */
export class RegistryRequests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @returns a response with status 200, 206 or 416; its body must be read or discarded. @throws Fault */
  async get(request: RegistryRequest): Promise<HttpResponse> {
    return (await this.read(request, async () => undefined)).response;
  }

  /** Like {@link get}, and reads the body in the same attempt, so that a broken body is retried too. */
  async read<T>(
    request: RegistryRequest,
    consume: (response: HttpResponse) => Promise<T>,
  ): Promise<{ response: HttpResponse; body: T }> {
    const { retry, limits } = this.#parts;
    const key = keyOf(request);
    for (let attempt = 1; ; attempt++) {
      const hold = limits.get(key);
      if (hold) throw onHold(request, hold, this.#parts.clock.now());
      const failure = await this.#attempt(request, consume);
      if ("response" in failure) return failure;
      const { status, retryAfterMs: afterMs } = failure;
      // It would be refused before it asks again.
      if (status !== undefined && afterMs !== undefined && afterMs > retry.maxMs) {
        limits.add(key, status, afterMs);
        continue;
      }
      if (attempt === retry.attempts) throw failed(request, failure, attempt);
      await pause(retry, attempt, afterMs, request.signal);
    }
  }

  /** Whether a registry has asked for credentials, and taken those of the request. @throws Fault */
  async checkLogin(request: RegistryRequest): Promise<boolean> {
    discard(await this.get(request));
    return (await this.#parts.tokens.cached(this.#scopeOf(request))) !== undefined;
  }

  async #attempt<T>(
    request: RegistryRequest,
    consume: (response: HttpResponse) => Promise<T>,
  ): Promise<{ response: HttpResponse; body: T } | TransientFailure> {
    try {
      const response = await this.#authorized(request);
      const { status } = response;
      if (status === 200 || status === 206 || status === 416)
        return { response, body: await consume(response) };
      discard(response);
      if (isTransient(status)) return this.#failure(response);
      throw refused(request, status);
    } catch (err) {
      if (err instanceof TokenRefused) {
        if (isTransient(err.response.status)) return this.#failure(err.response, err);
        throw refused(request, 401, err);
      }
      if (!(err instanceof ConnectionError)) throw err;
      if (!err.isTransient) throw notReached(request, err);
      return { cause: err };
    }
  }

  #failure(response: HttpResponse, cause?: unknown): TransientFailure {
    const afterMs = retryAfterMs(response.header("retry-after"), this.#parts.clock.now());
    return { status: response.status, cause, ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }) };
  }

  /** Sends with cached credentials; when the registry answers 401, authenticates and sends once more. */
  async #authorized(request: RegistryRequest): Promise<HttpResponse> {
    const scope = this.#scopeOf(request);
    const known = await this.#parts.tokens.cached(scope);
    const first = await this.#send(request, scope, known);
    // Who is redirected to must not say where the credentials go.
    if (first.status !== 401 || !first.isFromOrigin) return first;
    discard(first);
    const challenge = first.header("www-authenticate") ?? "";
    const fresh = await this.#parts.tokens.authenticate(scope, challenge, known, request.signal);
    if (fresh === undefined) throw refused(request, 401);
    return this.#send(request, scope, fresh);
  }

  #scopeOf({ from: { registry, repository, access } }: RegistryRequest): Scope {
    return { registry, repository, access, insecure: this.#parts.isInsecure(registry) };
  }

  #send(request: RegistryRequest, scope: Scope, authorization: string | undefined): Promise<HttpResponse> {
    const path = scope.repository === "" ? "" : `${scope.repository}/${request.path}`;
    const headers = {
      "user-agent": "windhover",
      ...request.headers,
      ...(authorization ? { authorization } : {}),
    };
    return this.#parts.http.send({
      url: new URL(`${baseUrl(scope)}/v2/${path}`),
      headers,
      signal: request.signal,
    });
  }
}

function isTransient(status: number): boolean {
  return status === 429 || status === 408 || status >= 500;
}

function keyOf({ from: { registry, repository, access } }: RegistryRequest): string {
  return `${accessKey(access)} ${registry}/${repository}`;
}

function failed(
  request: RegistryRequest,
  { status, cause, retryAfterMs: afterMs }: TransientFailure,
  attempts: number,
) {
  if (status === undefined) return notReached(request, cause);
  return answered(request, status, attempts, afterMs, cause);
}

/** Tells the operator why, and the caller that. */
function notReached({ from: { registry }, subject }: RegistryRequest, cause: unknown) {
  const code = cause instanceof ConnectionError ? cause.message : "UNKNOWN";
  logger.info("a registry cannot be reached", { registry, code });
  return unreachable(registry, subject, cause);
}

/** Docker Hub's API has another host than its references. */
function baseUrl(scope: Scope): string {
  const host = scope.registry === "docker.io" ? "registry-1.docker.io" : scope.registry;
  return `${scope.insecure ? "http" : "https"}://${host}`;
}
