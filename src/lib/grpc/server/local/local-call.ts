import * as grpc from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import type { Claims } from "../../../auth/claims.ts";
import { Fault } from "../../../faults/fault.ts";
import { abortable, onAbort } from "../../../runtime/abort.ts";
import { callState } from "../../call-state.ts";
import type { ServedCall } from "../../observed/observe.ts";
import { ownFault, toServiceError } from "../../status.ts";
import type { GuardedCall } from "../guarded-call.ts";
import { type LocalHead, LocalStream } from "./local-stream.ts";
import { UnaryCall } from "./unary-call.ts";

/** The part of a method's definition that a call needs. */
export type Method<Req, Res> = Pick<
  grpc.MethodDefinition<Req, Res>,
  "path" | "requestSerialize" | "requestDeserialize" | "responseDeserialize"
>;
export type Handler = grpc.UntypedHandleCall;

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

  /** Reports the size of the answer in bytes, for shares that count them. */
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
    const { message, allowed } = this.#receive(request);
    if (allowed !== undefined) await this.#whenAllowed(allowed);
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
    const { message, allowed } = this.#receive(request);
    if (allowed !== undefined) await this.#whenAllowed(allowed);
    const call = new LocalStream<Req, Res>(this.#parts.head, message);
    yield* this.#serve(call);
  }

  /** Makes a call with streams both ways; leaving the loop cancels it. @throws Fault */
  async *duplex(requests: AsyncIterable<Req>): AsyncGenerator<Res> {
    const receive = async (request: Req) => {
      const { message, allowed } = this.#receive(request);
      if (allowed !== undefined) await this.#whenAllowed(allowed);
      return message;
    };
    async function* received() {
      for await (const request of requests) yield await receive(request);
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

  /**
   * Returns the request as gRPC would have delivered it, without values that it cannot carry.
   *
   * @throws Fault
   */
  #receive(request: Req): { readonly message: Req; readonly allowed: Promise<void> | undefined } {
    const { method, guarded } = this.#parts;
    // Its token may have been revoked since the call began.
    if (this.#fault) throw this.refused(this.#fault);
    const message = method.requestDeserialize(method.requestSerialize(request));
    try {
      return { message, allowed: guarded?.request(message) };
    } catch (err) {
      throw this.refused(err);
    }
  }

  /** Waits for a look-up that decides whether the request is allowed. @throws Fault */
  async #whenAllowed(allowed: Promise<void>): Promise<void> {
    try {
      await abortable(allowed, this.#parts.signal);
    } catch (err) {
      throw this.#parts.signal.aborted ? this.#lost() : this.refused(err);
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
