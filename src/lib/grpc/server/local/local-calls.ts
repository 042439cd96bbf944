import * as grpc from "@grpc/grpc-js";
import type { Context } from "@opentelemetry/api";
import type { Claims } from "../../../auth/claims.ts";
import type { Fault } from "../../../faults/fault.ts";
import { callState } from "../../call-state.ts";
import { ServedCall } from "../../observed/observe.ts";
import type { Edge } from "../edge/edge.ts";
import { LiveCalls } from "../edge/live-calls.ts";
import { GuardedCall, type GuardOptions } from "../guarded-call.ts";
import { type Handler, LocalCall, type Method } from "./local-call.ts";

/** The request of another protocol that calls are made for. */
export interface LocalCaller {
  /** `address:port`. */
  readonly peer: string;
  /** Names the connection: connections take turns at having tokens verified. */
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
    this.#live = guard && new LiveCalls();
  }

  addService(definition: grpc.ServiceDefinition, implementation: grpc.UntypedServiceImplementation): void {
    for (const [name, { path }] of Object.entries(definition)) {
      const handler = implementation[name];
      if (handler) this.#handlers.set(path, handler);
    }
  }

  /** Begins the shutdown: handlers end their streams. */
  drain(): void {
    this.#draining.abort();
  }

  /** Calls `answer`, late when many callers are refused. */
  answerRefusal(answer: () => void): void {
    this.#edge.paceRefusal(answer);
  }

  /** Verifies the caller, before the call is known. @throws Fault UNAUTHENTICATED */
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
    if (guarded?.endsEarly) {
      const onClosed = caller.onClosed.bind(caller);
      this.#live?.add({ onClosed, refuse: (fault) => call.refuse(fault) }, guarded);
    }
  }
}
