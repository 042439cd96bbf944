import type { IncomingMessage } from "node:http";
import type { Clock } from "../runtime/clock.ts";
import { imageFault, type Subject } from "./faults.ts";
import { ConnectionError, discard, type HttpClient, type HttpTimeouts } from "./http.ts";
import type { ImageReference } from "./reference.ts";
import { pause, type RetryPolicy, retryAfterMs } from "./retry.ts";
import { type Scope, TokenRefused, type Tokens } from "./tokens.ts";

/** What {@link RegistryRequests} works with. */
export interface RequestParts {
  readonly http: HttpClient;
  readonly tokens: Tokens;
  readonly timeouts: HttpTimeouts;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
  readonly isInsecure: (registry: string) => boolean;
}

/** One thing asked of a registry. */
export interface Ask {
  readonly ref: ImageReference;
  /** Below `/v2/<repository>/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What a fault would be about. */
  readonly subject: Subject;
  readonly signal: AbortSignal;
}

/** An attempt that failed in a way that may pass. */
interface Setback {
  readonly problem: string;
  readonly askedMs?: number;
  readonly cause?: unknown;
}

/** GETs with authentication and retries; every failure comes out as the typed fault it is. */
export class RegistryRequests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @returns an answer with status 200, 206 or 416; its body must be read or destroyed. @throws Fault */
  async get(ask: Ask): Promise<IncomingMessage> {
    return (await this.read(ask, async () => undefined)).response;
  }

  /** Like {@link get}, and reads the answer within the same attempt, so that a broken body is retried too. */
  async read<T>(
    ask: Ask,
    consume: (response: IncomingMessage) => Promise<T>,
  ): Promise<{ response: IncomingMessage; body: T }> {
    for (let attempt = 1; ; attempt++) {
      const setback = await this.#attempt(ask, consume);
      if ("response" in setback) return setback;
      if (attempt === this.#parts.retry.attempts) throw unavailable(ask, setback, attempt);
      await pause(this.#parts.retry, attempt, setback.askedMs, ask.signal);
    }
  }

  async #attempt<T>(
    ask: Ask,
    consume: (response: IncomingMessage) => Promise<T>,
  ): Promise<{ response: IncomingMessage; body: T } | Setback> {
    try {
      const response = await this.#authorized(ask);
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 206 || status === 416)
        return { response, body: await consume(response) };
      discard(response);
      if (status === 429 || status === 408 || status >= 500) {
        const askedMs = retryAfterMs(response.headers["retry-after"], this.#parts.clock.now());
        return {
          problem: `answered ${status}`,
          ...(askedMs === undefined ? {} : { askedMs }),
        };
      }
      throw refused(ask, status);
    } catch (err) {
      if (err instanceof TokenRefused && err.status < 500 && err.status !== 429) throw refused(ask, 401, err);
      if (err instanceof ConnectionError || err instanceof TokenRefused) {
        return { problem: `failed: ${err.message}`, cause: err };
      }
      throw err;
    }
  }

  /** Sends with what is known; on 401 answers the challenge and sends once more. */
  async #authorized(ask: Ask): Promise<IncomingMessage> {
    const { registry, repository } = ask.ref;
    const scope: Scope = { registry, repository, insecure: this.#parts.isInsecure(registry) };
    const known = await this.#parts.tokens.known(scope);
    const first = await this.#send(ask, scope, known);
    if (first.statusCode !== 401) return first;
    discard(first);
    const challenge = first.headers["www-authenticate"] ?? "";
    const fresh = await this.#parts.tokens.answer(scope, challenge, known, ask.signal);
    if (fresh === undefined) throw refused(ask, 401);
    return this.#send(ask, scope, fresh);
  }

  #send(ask: Ask, scope: Scope, authorization: string | undefined): Promise<IncomingMessage> {
    const url = new URL(`${baseUrl(scope)}/v2/${scope.repository}/${ask.path}`);
    const headers = {
      "user-agent": "windhover",
      ...ask.headers,
      ...(authorization ? { authorization } : {}),
    };
    const { timeouts } = this.#parts;
    return this.#parts.http.get({
      url,
      headers,
      timeouts,
      signal: ask.signal,
      allowDowngrade: scope.insecure,
    });
  }
}

/** Docker Hub's API lives on another host than its references name. */
function baseUrl(scope: Scope): string {
  const host = scope.registry === "docker.io" ? "registry-1.docker.io" : scope.registry;
  return `${scope.insecure ? "http" : "https"}://${host}`;
}

function refused(ask: Ask, status: number, cause?: unknown) {
  const { registry, repository } = ask.ref;
  const facts = { registry, status: String(status) };
  const extra = cause === undefined ? {} : { cause };
  if (status === 401 || status === 403) {
    const problem = `${registry} does not let us pull ${repository} (${status}): it is private, or does not exist; check the name, or log in and name the auth file in REGISTRY_AUTH_FILE`;
    return imageFault("REGISTRY_UNAUTHORIZED", ask.subject, problem, facts, extra);
  }
  if (status === 404) {
    const what = ask.path.startsWith("blobs/")
      ? "a blob of it is missing there; push it again"
      : "check name and tag";
    return imageFault("IMAGE_NOT_FOUND", ask.subject, `${registry} does not have it: ${what}`, facts, extra);
  }
  const problem = `${registry} answered ${status}, which is not the answer of an OCI registry; check the host and port`;
  return imageFault("REGISTRY_UNAVAILABLE", ask.subject, problem, facts, extra);
}

function unavailable(ask: Ask, setback: Setback, attempts: number) {
  const { registry } = ask.ref;
  return imageFault(
    "REGISTRY_UNAVAILABLE",
    ask.subject,
    `${registry} ${setback.problem}, in ${attempts} attempts; check that it is up and reachable from here, then try again`,
    { registry, attempts: String(attempts) },
    { cause: setback.cause, ...(setback.askedMs === undefined ? {} : { retryAfterMs: setback.askedMs }) },
  );
}
