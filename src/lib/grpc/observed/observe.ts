import * as grpc from "@grpc/grpc-js";
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import { addToken, type TokenSource } from "../../auth/tokens.ts";
import { isServerFault } from "../../faults/fault.ts";
import { rpcClientSeconds, rpcServerSeconds } from "../../otel/metrics.ts";
import { nowUs, tracer } from "../../otel/tracing.ts";
import { codeName, toServiceError } from "../status.ts";
import { askForTimes, asksForTimes, recordTransit, tellTimes } from "./call-times.ts";
import { LateStart } from "./late-start.ts";

// Names and attributes follow the RPC conventions as of semantic-conventions 1.45. Own interceptors, because the stock
// instrumentation loses the server span of a call that is cancelled or overdue, and emits older names.
const SYSTEM = { "rpc.system.name": "grpc" } as const;
/** Asked all the time by probes and tools: worth a span only as part of somebody's trace. */
const QUIET = /^\/grpc\.(health|reflection)\./;

const getter: TextMapGetter<grpc.Metadata> = {
  keys: (metadata) => Object.keys(metadata.getMap()),
  get: (metadata, key) => metadata.get(key)[0]?.toString(),
};
const setter: TextMapSetter<grpc.Metadata> = {
  set: (metadata, key, value) => metadata.set(key, value),
};

/** A status as a server sends it. */
type SentStatus = Parameters<grpc.ServerInterceptingCall["sendStatus"]>[0];

/** One SERVER span and one measurement for a call that is served, ended by its status or by cancellation. The span is active in {@link context}. */
export class ServedCall {
  /** What the handler is to run in. */
  context: Context = ROOT_CONTEXT;
  readonly #name: string;
  readonly #isQuiet: boolean;
  readonly #started = performance.now();
  #span: Span | undefined;
  #isOver = false;
  /** Set when the caller wants to know. */
  #receivedUs: number | undefined;

  /** @param path the full method with a leading slash */
  constructor(path: string) {
    this.#name = path.slice(1);
    this.#isQuiet = QUIET.test(path);
  }

  /** The call has come. @param given the span that it is below; default: as its metadata says */
  received(metadata: grpc.Metadata, given?: Context): void {
    if (asksForTimes(metadata)) this.#receivedUs = nowUs();
    const parent = given ?? propagation.extract(ROOT_CONTEXT, metadata, getter);
    this.context = parent;
    if (this.#isQuiet && !trace.getSpanContext(parent)) return;
    const attributes = { ...SYSTEM, "rpc.method": this.#name };
    this.#span = tracer().startSpan(this.#name, { kind: SpanKind.SERVER, attributes }, parent);
    this.context = trace.setSpan(parent, this.#span);
  }

  /** Empty when the call is not traced. */
  get traceId(): string {
    return this.#span?.spanContext().traceId ?? "";
  }

  /** The caller has gone, or its deadline (in milliseconds since the epoch) has passed. Returns the code for that. */
  cancelled(deadline: number): number {
    // The timer may fire a little early by the wall clock.
    const isOverdue = deadline - Date.now() <= 5;
    const code = isOverdue ? grpc.status.DEADLINE_EXCEEDED : grpc.status.CANCELLED;
    this.#end(code);
    return code;
  }

  /** It has been answered with `status`; returns what to send. */
  ended(status: SentStatus): SentStatus {
    this.#end(status.code ?? grpc.status.UNKNOWN);
    if (this.#receivedUs === undefined) return status;
    const metadata = status.metadata ?? new grpc.Metadata();
    tellTimes(metadata, this.#receivedUs);
    return { ...status, metadata };
  }

  #end(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const labels = { rpc_method: this.#name, rpc_status_code: statusName(code) };
    rpcServerSeconds.observe(labels, (performance.now() - this.#started) / 1_000, this.#span);
    if (!this.#span) return;
    endSpan(this.#span, code, code !== 0 && isServerFault(codeName(code)));
  }
}

/**
 * One CLIENT span and one measurement per outgoing call; the trace context travels in the call's metadata, and so does the token, if there is one.
 * One interceptor for both, since each wraps every message of a call once more.
 */
export function observeClient(token?: TokenSource): grpc.Interceptor {
  return (options, nextCall) => {
    const path = options.method_definition.path;
    const name = path.slice(1);
    const started = performance.now();
    const parent = context.active();
    const quiet = QUIET.test(path) && !trace.getSpan(parent);
    const attributes = { ...SYSTEM, "rpc.method": name };
    const span = quiet ? undefined : tracer().startSpan(name, { kind: SpanKind.CLIENT, attributes }, parent);
    const ctx = span ? trace.setSpan(parent, span) : parent;
    const isRoot = span?.isRecording() === true && !trace.getSpan(parent);
    const inner = nextCall(options);
    let lateStart: LateStart | undefined;

    const ended = (status: grpc.StatusObject): void => {
      const labels = { rpc_method: name, rpc_status_code: statusName(status.code) };
      rpcClientSeconds.observe(labels, (performance.now() - started) / 1_000, span);
      if (!span) return;
      if (span.isRecording()) span.setAttributes(peerAttributes(inner.getPeer()));
      endSpan(span, status.code, status.code !== grpc.status.OK);
      if (isRoot) recordTransit(span, ctx, status.metadata);
    };

    return new grpc.InterceptingCall(inner, {
      start(metadata, listener, next) {
        propagation.inject(ctx, metadata, setter);
        if (isRoot) askForTimes(metadata);
        const goOn = () =>
          next(metadata, {
            onReceiveStatus(status, proceed) {
              ended(status);
              proceed(status);
            },
          });
        const ready = token && addToken(metadata, token);
        if (!ready) {
          goOn();
          return;
        }
        const fail = (status: grpc.StatusObject) => {
          ended(status);
          listener.onReceiveStatus(status);
        };
        lateStart = new LateStart({ ready, deadline: options.deadline, start: goOn, fail }, statusOf);
      },
      cancel(next) {
        lateStart?.cancel();
        next();
      },
    });
  };
}

function statusOf(err: unknown): grpc.StatusObject {
  const { code, details, metadata } = toServiceError(err);
  return { code, details, metadata };
}

function endSpan(span: Span, code: number, isError: boolean): void {
  const status = statusName(code);
  span.setAttribute("rpc.status_code", status);
  if (isError) {
    span.setAttribute("error.type", status);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

function statusName(code: number): string {
  return code === grpc.status.OK ? "OK" : codeName(code);
}

function peerAttributes(peer: string): Record<string, string | number> {
  const [, host, port] = /^(?:dns:|ipv4:|ipv6:)?\[?(.+?)\]?:(\d+)$/.exec(peer) ?? [];
  return host === undefined || port === undefined
    ? { "server.address": peer.replace(/^unix:/, "") }
    : { "server.address": host, "server.port": Number(port) };
}
