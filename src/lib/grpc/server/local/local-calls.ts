import { EventEmitter } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { type Context, context } from "@opentelemetry/api";
import type { Claims } from "../../../auth/claims.ts";
import { Fault } from "../../../faults/fault.ts";
import { onAbort } from "../../../runtime/abort.ts";
import { callState } from "../../call-state.ts";
import { ServedCall } from "../../observe.ts";
import { ownFault, toServiceError } from "../../status.ts";
import type { Edge } from "../edge/edge.ts";
import { LiveCalls } from "../edge/live-calls.ts";
import { GuardedCall, type GuardOptions } from "../guarded-call.ts";
import { type LocalHead, LocalStream } from "./local-stream.ts";

type Method<Req, Res> = Pick<
  grpc.MethodDefinition<Req, Res>,
  "path" | "requestSerialize" | "requestDeserialize" | "responseDeserialize"
>;
type Handler = grpc.UntypedHandleCall;

/** The request of another protocol that calls are made for. */
export interface LocalCaller {
  /** `address:port`. */
  readonly peer: string;
  /** Tells connections apart, which take turns at having tokens verified. */
  readonly connection: string;
  readonly authorization: string | undefined;
  /** The span below which calls are traced. */
  readonly context: Context;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** Called when it has shown a valid token. */
  identified(claims: Claims): void;
  /** Bytes of the answer that the caller has not taken. */
  readonly unreadBytes: number;
  /** Ends the answer although it is not read. */
  breakOff(): void;
  /** Adds what is called when the answer has been taken, or its caller has gone. */
  onClosed(callback: () => void): void;
}

/**
 * Serves calls that arrive by another protocol with the very handlers of a gRPC server, in the same process: tokens, rules, audit, shares,
 * traces, deadlines and cancellation are those of a gRPC call.
 */
export class LocalCalls {
  readonly #handlers = new Map<string, Handler>();
  readonly #edge: Edge;
  readonly #guard: GuardOptions | undefined;
  readonly #live: LiveCalls | undefined;
  readonly #draining = new AbortController();
  /** Callers whose first call has taken their share. */
  readonly #counted = new WeakSet<LocalCaller>();

  constructor(edge: Edge, guard: GuardOptions | undefined) {
    this.#edge = edge;
    this.#guard = guard;
    this.#live = guard && new LiveCalls((claims) => guard.verifier.lapse(claims));
  }

  addService(definition: grpc.ServiceDefinition, implementation: grpc.UntypedServiceImplementation): void {
    for (const [name, { path }] of Object.entries(definition)) {
      const handler = implementation[name];
      if (handler) this.#handlers.set(path, handler);
    }
  }

  /** Tells handlers that the server begins to shut down: streams end. */
  drain(): void {
    this.#draining.abort();
  }

  /** Calls `answer`, late when many callers are refused. */
  answerRefusal(answer: () => void): void {
    this.#edge.paceRefusal(answer);
  }

  /** Verifies who calls, whatever they call. @throws Fault UNAUTHENTICATED */
  async identify(caller: LocalCaller): Promise<Claims | undefined> {
    const { verifier } = this.#guard ?? {};
    if (!verifier) return undefined;
    const { authorization } = caller;
    const claims =
      verifier.known(authorization) ??
      (await this.#edge.verifyFor(
        caller.connection,
        () => caller.signal.aborted,
        () => verifier.verify(authorization),
      ));
    caller.identified(claims);
    return claims;
  }

  /**
   * Begins a call, of which no request has been read yet.
   *
   * @throws Fault when the caller may not make it, whatever the request
   */
  async begin<Req, Res>(
    method: Method<Req, Res>,
    caller: LocalCaller,
    timeoutMs: number,
  ): Promise<LocalCall<Req, Res>> {
    const handler = this.#handlers.get(method.path);
    if (!handler) throw new Error(`nobody serves ${method.path}`);
    const deadlineMs = Date.now() + timeoutMs;
    const metadata = new grpc.Metadata();
    const state = callState(metadata);
    state.draining = this.#draining.signal;
    const served = new ServedCall(method.path);
    served.received(metadata, caller.context);
    const guarded = this.#guard && new GuardedCall(this.#guard, method.path, caller.peer);
    const head = { metadata, path: method.path, peer: caller.peer, deadlineMs };
    const call = new LocalCall<Req, Res>({ method, handler, head, served, guarded, signal: caller.signal });
    try {
      state.claims = await this.identify(caller);
      if (state.claims) this.#admit(state.claims, caller, call, guarded);
      return call;
    } catch (err) {
      throw call.refused(err);
    }
  }

  #admit(
    claims: Claims,
    caller: LocalCaller,
    call: { refuse(fault: Fault): void },
    guarded: GuardedCall | undefined,
  ): void {
    guarded?.admit(claims);
    if (!this.#counted.has(caller)) {
      const release = this.#edge.takeShare(claims, guarded?.path ?? "");
      this.#counted.add(caller);
      if (release) caller.onClosed(release);
      this.#edge.boundUnread(claims, caller);
    }
    // What changes something is finished, as it began.
    if (guarded?.isAudited === false) {
      const onClosed = caller.onClosed.bind(caller);
      this.#live?.add({ onClosed, refuse: (fault) => call.refuse(fault) }, claims);
    }
  }
}

interface CallParts<Req, Res> {
  readonly method: Method<Req, Res>;
  readonly handler: Handler;
  readonly head: LocalHead;
  readonly served: ServedCall;
  readonly guarded: GuardedCall | undefined;
  readonly signal: AbortSignal;
}

/** A call that its caller may make; its request comes next. */
export class LocalCall<Req, Res> {
  readonly #parts: CallParts<Req, Res>;
  #cancel: (() => void) | undefined;
  #fault: Fault | undefined;

  constructor(parts: CallParts<Req, Res>) {
    this.#parts = parts;
  }

  /** Who calls. */
  get claims(): Claims | undefined {
    return callState(this.#parts.head.metadata).claims;
  }

  /** Tells how large the answer was, in bytes, for shares that count them. */
  answered(bytes: number): void {
    callState(this.#parts.head.metadata).chargeAnswer?.(bytes);
  }

  /** Ends the call with a fault. */
  refuse(fault: Fault): void {
    this.#fault ??= fault;
    this.#cancel?.();
  }

  /** Ends a call that is not made after all. Returns the fault to answer with. */
  refused(err: unknown): Fault {
    return this.#failed(toServiceError(err));
  }

  /** Makes a unary call. @throws Fault */
  async unary(request: Req): Promise<Res> {
    const message = this.#receive(request);
    // A handler of a definition is of the definition's kind; grpc-js has no type for that.
    const handler = this.#parts.handler as grpc.handleUnaryCall<Req, Res>;
    const { promise, resolve, reject } = Promise.withResolvers<Res>();
    const call = new UnaryCall(this.#parts.head, message);
    using _ends = this.#until(() => {
      if (!call.cancel()) return;
      reject(this.#lost());
    });
    context.with(this.#parts.served.context, () => {
      handler(call as unknown as grpc.ServerUnaryCall<Req, Res>, (err, response) => {
        call.isAnswered = true;
        // grpc-js takes partial errors; ours are whole.
        if (err) reject(this.#failed(err as grpc.ServiceError));
        else resolve(this.#ok(response as Res));
      });
    });
    return await promise;
  }

  /** Makes a call with a stream of responses; leaving the loop cancels it. @throws Fault */
  async *stream(request: Req): AsyncGenerator<Res> {
    const message = this.#receive(request);
    const call = new LocalStream<Req, Res>(this.#parts.head, message);
    yield* this.#serve(call);
  }

  /** Makes a call with streams both ways; leaving the loop cancels it. @throws Fault */
  async *duplex(requests: AsyncIterable<Req>): AsyncGenerator<Res> {
    const receive = (request: Req) => this.#receive(request);
    async function* received() {
      for await (const request of requests) yield receive(request);
    }
    const call = new LocalStream<Req, Res>(this.#parts.head);
    call.feed(received()).catch((err: unknown) => {
      if (!call.destroyed) call.emit("error", toServiceError(err));
    });
    yield* this.#serve(call);
  }

  async *#serve(call: LocalStream<Req, Res>): AsyncGenerator<Res> {
    const { handler, served } = this.#parts;
    using _ends = this.#until(() => call.cancel());
    let isOver = false;
    try {
      const serve = handler as (call: unknown) => void;
      context.with(served.context, () => serve(call));
      for await (const message of call.messages()) {
        this.#parts.guarded?.response(message);
        yield message;
      }
      isOver = true;
      if (call.cancelled) throw this.#lost();
      this.#end(grpc.status.OK);
    } catch (err) {
      if (isOver || err instanceof Fault) throw err;
      isOver = true;
      throw this.#failed(err as grpc.ServiceError);
    } finally {
      if (!isOver) {
        call.cancel();
        this.#lost();
      }
      call.destroy();
    }
  }

  /** Returns the request as gRPC would have delivered it: what it cannot carry does not come through. @throws Fault */
  #receive(request: Req): Req {
    const { method, guarded } = this.#parts;
    const message = method.requestDeserialize(method.requestSerialize(request));
    try {
      guarded?.request(message);
      return message;
    } catch (err) {
      throw this.refused(err);
    }
  }

  /** Calls `cancel` when the caller goes, the deadline passes, or the call is refused meanwhile. */
  #until(cancel: () => void): Disposable {
    const { head, signal } = this.#parts;
    this.#cancel = cancel;
    const leftMs = head.deadlineMs - Date.now();
    const timer = Number.isFinite(leftMs) ? setTimeout(cancel, Math.max(0, leftMs)).unref() : undefined;
    const gone = onAbort(signal, cancel);
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        gone[Symbol.dispose]();
      },
    };
  }

  /** Ends a call that was cancelled. */
  #lost(): Fault {
    const { head, served, guarded } = this.#parts;
    if (this.#fault) return this.refused(this.#fault);
    const code = served.cancelled(head.deadlineMs);
    guarded?.ended(code, undefined, served.traceId);
    return code === grpc.status.DEADLINE_EXCEEDED
      ? new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the call took too long")
      : new Fault("CANCELLED", "CANCELLED", "the caller has gone");
  }

  #ok(response: Res): Res {
    this.#parts.guarded?.response(response);
    this.#end(grpc.status.OK);
    return response;
  }

  #failed(err: grpc.ServiceError): Fault {
    this.#end(err.code, err.details, err.metadata);
    return ownFault(err);
  }

  #end(code: grpc.status, details = "", metadata: grpc.Metadata | null = null): void {
    const { served, guarded } = this.#parts;
    guarded?.ended(code, metadata, served.traceId);
    served.ended({ code, details, metadata });
  }
}

/** A unary call as its handler sees it. */
class UnaryCall<Req> extends EventEmitter {
  readonly metadata: grpc.Metadata;
  readonly request: Req;
  cancelled = false;
  isAnswered = false;
  readonly #head: LocalHead;

  constructor(head: LocalHead, request: Req) {
    super();
    this.#head = head;
    this.metadata = head.metadata;
    this.request = request;
  }

  getPath(): string {
    return this.#head.path;
  }

  getPeer(): string {
    return this.#head.peer;
  }

  getDeadline(): number {
    return this.#head.deadlineMs;
  }

  sendMetadata(): void {}

  /** Returns whether it was under way. */
  cancel(): boolean {
    if (this.cancelled || this.isAnswered) return false;
    this.cancelled = true;
    this.emit("cancelled", "cancelled");
    return true;
  }
}
