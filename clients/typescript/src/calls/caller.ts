import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type CallOptions as GrpcOptions,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type { ClientConstructor, Endpoint, Endpoints } from "./endpoints.ts";
import { fromAbort, fromCall, WindhoverError } from "./errors.ts";
import { isOfEndpoint, mayRetry, pauseMs, type RetryPolicy, sleep } from "./retry.ts";
import { type Bounds, within } from "./within.ts";

/** A token, or a function that returns it, e.g. from a file that is renewed. */
export type TokenSource = string | (() => string | Promise<string>);

/** Bounds of a call. */
export interface CallOptions {
  /** How long the call may take with its retries, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** How a call is bounded, and when it may be repeated. */
export interface CallScope extends CallOptions {
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
}

/** A unary method of a generated client. */
export type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<GrpcOptions>,
  callback: (error: ServiceError | null, response: Res) => void,
) => ClientUnaryCall;

/** A server-streaming method of a generated client. */
export type StreamMethod<Req, Res> = (
  request: Req,
  metadata?: Metadata,
  options?: Partial<GrpcOptions>,
) => ClientReadableStream<Res>;

/** A bidirectional method of a generated client. */
export type DuplexMethod<Req, Res> = (
  metadata?: Metadata,
  options?: Partial<GrpcOptions>,
) => ClientDuplexStream<Req, Res>;

/** A bidirectional stream, and how to convert its errors. */
export interface OpenDuplex<Req, Res> {
  readonly stream: ClientDuplexStream<Req, Res>;
  readonly error: (err: unknown) => WindhoverError;
}

/** Most retries of one call. */
const MAX_RETRIES = 8;
/** Time for which a lost stream is reopened. */
const REOPEN_LIMIT_MS = 60_000;
/** An attempt that lasted so long had a stream, although nothing came by it. */
const WAS_OPEN_MS = 5_000;

/** Calls the nearest api: with a token, a deadline, and retries where they are safe. */
export class Caller {
  readonly #endpoints: Endpoints;
  readonly #token: TokenSource;

  constructor(endpoints: Endpoints, token: TokenSource) {
    this.#endpoints = endpoints;
    this.#token = token;
  }

  async token(): Promise<string> {
    return typeof this.#token === "string" ? this.#token : await this.#token();
  }

  /** @throws WindhoverError */
  unary<C extends Client, Req, Res>(
    Constructor: ClientConstructor<C>,
    method: (client: C) => UnaryMethod<Req, Res>,
    request: Req,
    scope: CallScope,
  ): Promise<Res> {
    return this.attempts(scope, async (endpoint, deadline) => {
      const client = endpoint.client(Constructor);
      const metadata = await this.#metadata({ deadline, signal: scope.signal });
      return await new Promise<Res>((resolve, reject) => {
        const call = method(client).call(client, request, metadata, { deadline }, (err, response) => {
          scope.signal?.removeEventListener("abort", cancel);
          if (err) reject(err);
          else resolve(response);
        });
        const cancel = () => call.cancel();
        scope.signal?.addEventListener("abort", cancel);
        if (scope.signal?.aborted) cancel();
      });
    });
  }

  /**
   * Reads a stream, and reopens it where it was lost.
   *
   * @param next makes the request that resumes after a response
   * @param endless whether an end without an error is a loss too
   */
  async *stream<C extends Client, Req, Res>(
    Constructor: ClientConstructor<C>,
    method: (client: C) => StreamMethod<Req, Res>,
    first: Req,
    next: (request: Req, response: Res) => Req,
    scope: CallOptions & { readonly endless?: boolean },
  ): AsyncGenerator<Res, void, undefined> {
    let request = first;
    let failures = 0;
    let lostSinceMs: number | undefined;
    const deadline = deadlineOf(scope.timeoutMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      const endpoint = await this.#endpoints.pick();
      const openedMs = performance.now();
      try {
        for await (const response of this.#read(endpoint, Constructor, method, request, deadline, scope)) {
          failures = 0;
          lostSinceMs = undefined;
          request = next(request, response);
          yield response;
        }
        if (!scope.endless) return;
        await sleep(pauseMs(LOST, failures++), scope.signal);
      } catch (err) {
        const error = this.#convert(err, endpoint, scope.signal);
        const nowMs = performance.now();
        if (wasOpen(error) && nowMs - openedMs > WAS_OPEN_MS) [failures, lostSinceMs] = [0, nowMs];
        lostSinceMs ??= nowMs;
        const isOver = nowMs - lostSinceMs > REOPEN_LIMIT_MS;
        if (isOver || scope.signal?.aborted || !mayRetry(error, "always")) throw error;
        await this.#pause(error, endpoint, failures++, scope.signal);
      }
    }
  }

  /** Opens a bidirectional stream at an api. The caller must listen for `error` at once. */
  async duplex<C extends Client, Req, Res>(
    endpoint: Endpoint,
    Constructor: ClientConstructor<C>,
    method: (client: C) => DuplexMethod<Req, Res>,
    deadline: number,
    signal?: AbortSignal,
  ): Promise<OpenDuplex<Req, Res>> {
    const client = endpoint.client(Constructor);
    const metadata = await this.#metadata({ deadline, signal });
    const stream = method(client).call(client, metadata, { deadline });
    return { stream, error: (err) => this.#convert(err, endpoint, signal) };
  }

  /** Makes attempts until one succeeds or must not be repeated. @throws WindhoverError */
  async attempts<T>(
    scope: CallScope,
    attempt: (endpoint: Endpoint, deadline: number) => Promise<T>,
  ): Promise<T> {
    const deadline = deadlineOf(scope.timeoutMs);
    for (let failures = 0; ; failures++) {
      if (scope.signal?.aborted) throw fromAbort(scope.signal);
      const endpoint = await this.#endpoints.pick();
      try {
        const result = await attempt(endpoint, deadline);
        endpoint.answered();
        return result;
      } catch (err) {
        const error = this.#convert(err, endpoint, scope.signal);
        const isLast = failures >= MAX_RETRIES || scope.signal?.aborted || !mayRetry(error, scope.retry);
        if (isLast) throw error;
        if (Date.now() + (error.retryAfterMs ?? 0) >= deadline) throw error;
        await this.#pause(error, endpoint, failures, scope.signal);
        if (Date.now() >= deadline) throw error;
      }
    }
  }

  async *#read<C extends Client, Req, Res>(
    endpoint: Endpoint,
    Constructor: ClientConstructor<C>,
    method: (client: C) => StreamMethod<Req, Res>,
    request: Req,
    deadline: number,
    { signal }: CallOptions,
  ): AsyncGenerator<Res, void, undefined> {
    const client = endpoint.client(Constructor);
    const metadata = await this.#metadata({ deadline, signal });
    if (signal?.aborted) throw fromAbort(signal);
    const stream = method(client).call(client, request, metadata, { deadline });
    // An error after the end of the loop has no reader.
    stream.on("error", () => {});
    const cancel = () => stream.cancel();
    signal?.addEventListener("abort", cancel);
    try {
      for await (const response of stream) {
        endpoint.answered();
        // The stream's type does not say what it reads.
        yield response as Res;
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      stream.cancel();
    }
  }

  async #pause(error: WindhoverError, endpoint: Endpoint, failures: number, signal?: AbortSignal) {
    const moves = isOfEndpoint(error) && this.#endpoints.hasOther(endpoint);
    if (!moves) await sleep(pauseMs(error, failures), signal);
  }

  #convert(err: unknown, endpoint: Endpoint, signal: AbortSignal | undefined): WindhoverError {
    if (signal?.aborted) return fromAbort(signal);
    const error = fromCall(err, endpoint.address);
    if (isOfEndpoint(error)) this.#endpoints.failed(endpoint);
    return error;
  }

  async #metadata(bounds: Bounds): Promise<Metadata> {
    const metadata = new Metadata();
    const token = await within(this.token(), "the client has no token", bounds);
    metadata.set("authorization", `Bearer ${token}`);
    return metadata;
  }
}

/** Whether an error is the end of a stream that an api had taken. */
function wasOpen(error: WindhoverError): boolean {
  return isOfEndpoint(error) && error.reason !== "NOT_CONNECTED";
}

const LOST = new WindhoverError("UNAVAILABLE", "CONNECTION_LOST", "the stream has ended");
/** A server counts the time left in 32 bits of milliseconds. */
const LONGEST_MS = 20 * 86_400_000;

function deadlineOf(timeoutMs: number): number {
  if (timeoutMs === Number.POSITIVE_INFINITY) return timeoutMs;
  return Date.now() + Math.min(timeoutMs, LONGEST_MS);
}
