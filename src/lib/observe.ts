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
import { askForTimes, asksForTimes, recordWays, tellTimes } from "./call-times.ts";
import { isServerFault } from "./fault.ts";
import { rpcClientSeconds, rpcServerSeconds } from "./metrics.ts";
import { codeName } from "./status.ts";
import { nowUs, tracer } from "./tracing.ts";

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

/** One SERVER span and one measurement per served call, ended by its status or by cancellation; the span is active in the handler. */
export const observeServer: grpc.ServerInterceptor = (method, call) => {
  const name = method.path.slice(1);
  const started = performance.now();
  let ctx: Context = ROOT_CONTEXT;
  let span: Span | undefined;
  let ended = false;
  /** Set when the caller wants to know. */
  let receivedUs: number | undefined;

  const end = (code: number) => {
    if (ended) return;
    ended = true;
    const status = statusName(code);
    rpcServerSeconds.observe(
      { rpc_method: name, rpc_status_code: status },
      (performance.now() - started) / 1_000,
    );
    if (span) endSpan(span, code, code !== 0 && isServerFault(codeName(code)));
  };

  return new grpc.ServerInterceptingCall(call, {
    start(next) {
      next({
        onReceiveMetadata(metadata, proceed) {
          if (asksForTimes(metadata)) receivedUs = nowUs();
          ctx = propagation.extract(ROOT_CONTEXT, metadata, getter);
          if (!QUIET.test(method.path) || trace.getSpanContext(ctx)) {
            const attributes = { ...SYSTEM, "rpc.method": name };
            span = tracer().startSpan(name, { kind: SpanKind.SERVER, attributes }, ctx);
            ctx = trace.setSpan(ctx, span);
          }
          context.with(ctx, proceed, undefined, metadata);
        },
        // Each of these arrives from the socket on its own; without this the handler would see no context.
        onReceiveMessage: (message, proceed) => context.with(ctx, proceed, undefined, message),
        onReceiveHalfClose: (proceed) => context.with(ctx, proceed),
        onCancel: () => end(isOverdue(call) ? grpc.status.DEADLINE_EXCEEDED : grpc.status.CANCELLED),
      });
    },
    sendStatus(status, next) {
      end(status.code ?? grpc.status.UNKNOWN);
      if (receivedUs === undefined) {
        next(status);
        return;
      }
      const metadata = status.metadata ?? new grpc.Metadata();
      tellTimes(metadata, receivedUs);
      next({ ...status, metadata });
    },
  });
};

/** One CLIENT span and one measurement per outgoing call; the trace context travels in the call's metadata. */
export const observeClient: grpc.Interceptor = (options, nextCall) => {
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

  return new grpc.InterceptingCall(inner, {
    start(metadata, _listener, next) {
      propagation.inject(ctx, metadata, setter);
      if (isRoot) askForTimes(metadata);
      next(metadata, {
        onReceiveStatus(status, proceed) {
          const labels = { rpc_method: name, rpc_status_code: statusName(status.code) };
          rpcClientSeconds.observe(labels, (performance.now() - started) / 1_000);
          if (span) {
            span.setAttributes(peerAttributes(inner.getPeer()));
            endSpan(span, status.code, status.code !== grpc.status.OK);
            if (isRoot) recordWays(span, ctx, status.metadata);
          }
          proceed(status);
        },
      });
    },
  });
};

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

function isOverdue(call: grpc.ServerInterceptingCallInterface): boolean {
  // The timer may fire a little early by the wall clock.
  return Number(call.getDeadline()) - Date.now() <= 5;
}

function peerAttributes(peer: string): Record<string, string | number> {
  const [, host, port] = /^(?:dns:|ipv4:|ipv6:)?\[?(.+?)\]?:(\d+)$/.exec(peer) ?? [];
  return host === undefined || port === undefined
    ? { "server.address": peer.replace(/^unix:/, "") }
    : { "server.address": host, "server.port": Number(port) };
}
