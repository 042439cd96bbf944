import type { IncomingMessage } from "node:http";
import type { Clock } from "../runtime/clock.ts";
import { imageFault, type Subject } from "./faults.ts";
import { ConnectionError, discard, type HttpClient, type HttpTimeouts } from "./http.ts";
import type { ImageReference } from "./reference.ts";
import { pause, type RetryPolicy, retryAfterMs } from "./retry.ts";
import { type Scope, TokenRefused, type Tokens } from "./tokens.ts";

export interface RequestParts {
  readonly http: HttpClient;
  readonly tokens: Tokens;
  readonly timeouts: HttpTimeouts;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
  readonly isInsecure: (registry: string) => boolean;
}

export interface RegistryRequest {
  readonly ref: ImageReference;
  /** Below `/v2/<repository>/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For faults. */
  readonly subject: Subject;
  readonly signal: AbortSignal;
}

/** A failed attempt that is worth a retry. */
interface TransientFailure {
  readonly problem: string;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** Sends GETs with authentication and retries, and turns failures into faults. */
export class RegistryRequests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @returns a response with status 200, 206 or 416; its body must be read or destroyed. @throws Fault */
  async get(request: RegistryRequest): Promise<IncomingMessage> {
    return (await this.read(request, async () => undefined)).response;
  }

  /** Like {@link get}, and reads the body in the same attempt, so that a broken body is retried too. */
  async read<T>(
    request: RegistryRequest,
    consume: (response: IncomingMessage) => Promise<T>,
  ): Promise<{ response: IncomingMessage; body: T }> {
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#attempt(request, consume);
      if ("response" in failure) return failure;
      if (attempt === this.#parts.retry.attempts) throw unavailable(request, failure, attempt);
      await pause(this.#parts.retry, attempt, failure.retryAfterMs, request.signal);
    }
  }

  async #attempt<T>(
    request: RegistryRequest,
    consume: (response: IncomingMessage) => Promise<T>,
  ): Promise<{ response: IncomingMessage; body: T } | TransientFailure> {
    try {
      const response = await this.#authorized(request);
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 206 || status === 416)
        return { response, body: await consume(response) };
      discard(response);
      if (status === 429 || status === 408 || status >= 500) {
        const afterMs = retryAfterMs(response.headers["retry-after"], this.#parts.clock.now());
        return {
          problem: `answered ${status}`,
          ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }),
        };
      }
      throw refused(request, status);
    } catch (err) {
      if (err instanceof TokenRefused && err.status < 500 && err.status !== 429)
        throw refused(request, 401, err);
      if (err instanceof ConnectionError || err instanceof TokenRefused) {
        return { problem: `failed: ${err.message}`, cause: err };
      }
      throw err;
    }
  }

  /** Sends with cached credentials; on 401 authenticates and sends once more. */
  async #authorized(request: RegistryRequest): Promise<IncomingMessage> {
    const { registry, repository } = request.ref;
    const scope: Scope = { registry, repository, insecure: this.#parts.isInsecure(registry) };
    const known = await this.#parts.tokens.cached(scope);
    const first = await this.#send(request, scope, known);
    if (first.statusCode !== 401) return first;
    discard(first);
    const challenge = first.headers["www-authenticate"] ?? "";
    const fresh = await this.#parts.tokens.authenticate(scope, challenge, known, request.signal);
    if (fresh === undefined) throw refused(request, 401);
    return this.#send(request, scope, fresh);
  }

  #send(request: RegistryRequest, scope: Scope, authorization: string | undefined): Promise<IncomingMessage> {
    const url = new URL(`${baseUrl(scope)}/v2/${scope.repository}/${request.path}`);
    const headers = {
      "user-agent": "windhover",
      ...request.headers,
      ...(authorization ? { authorization } : {}),
    };
    const { timeouts } = this.#parts;
    return this.#parts.http.get({
      url,
      headers,
      timeouts,
      signal: request.signal,
      allowDowngrade: scope.insecure,
    });
  }
}

/** Docker Hub's API has another host than its references. */
function baseUrl(scope: Scope): string {
  const host = scope.registry === "docker.io" ? "registry-1.docker.io" : scope.registry;
  return `${scope.insecure ? "http" : "https"}://${host}`;
}

function refused(request: RegistryRequest, status: number, cause?: unknown) {
  const { registry, repository } = request.ref;
  const facts = { registry, status: String(status) };
  const extra = cause === undefined ? {} : { cause };
  if (status === 401 || status === 403) {
    const problem = `${registry} does not let us pull ${repository} (${status}): it is private, or does not exist; check the name, or log in and name the auth file in REGISTRY_AUTH_FILE`;
    return imageFault("REGISTRY_UNAUTHORIZED", request.subject, problem, facts, extra);
  }
  if (status === 404) {
    const what = request.path.startsWith("blobs/")
      ? "a blob of it is missing there; push it again"
      : "check name and tag";
    return imageFault(
      "IMAGE_NOT_FOUND",
      request.subject,
      `${registry} does not have it: ${what}`,
      facts,
      extra,
    );
  }
  const problem = `${registry} answered ${status}, which is not the answer of an OCI registry; check the host and port`;
  return imageFault("REGISTRY_UNAVAILABLE", request.subject, problem, facts, extra);
}

function unavailable(request: RegistryRequest, failure: TransientFailure, attempts: number) {
  const { registry } = request.ref;
  return imageFault(
    "REGISTRY_UNAVAILABLE",
    request.subject,
    `${registry} ${failure.problem}, in ${attempts} attempts; check that it is up and reachable from here, then try again`,
    { registry, attempts: String(attempts) },
    {
      cause: failure.cause,
      ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    },
  );
}
