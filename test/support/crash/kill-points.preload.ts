// Loaded into a service with `node --import` after its tracing: ends its own process at a chosen moment, as kill -9 would. A moment is the begin
// or the end of a span, of a change of a file, or of a write of the store's thread. So whatever a service asks of others or makes durable has its
// moments, and what is added to it later has them too.
import fs from "node:fs";
import { flushCompileCache, syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  ProxyTracerProvider,
  type Span,
  SpanKind,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import {
  ARMED,
  type ArmedPoint,
  type Edge,
  type KillPoint,
  killPointsFolder,
  PASSED,
  type PassedPoint,
} from "./kill-points-files.ts";

const service = process.env["OTEL_SERVICE_NAME"] ?? "";
const folder = killPointsFolder(process.env["WINDHOVER_FLEET"] ?? "");
/** How often a moment has come within the trace that is watched. */
const seen = new Map<string, number>();
let watched = "";
/** Grows when the event loop turns. */
let turn = 0;
let willTurn = false;
/** Set while we look or write ourselves: that is nobody's step. */
let isOurs = false;

const proxy = trace.getTracerProvider();
if (!(proxy instanceof ProxyTracerProvider)) throw new Error("tracing has not been set up");
const inner = proxy.getDelegate();
proxy.setDelegate(watchedProvider(inner));

// What one service has compiled the next need not. Node writes it at exit, which a kill does not wait for.
setTimeout(flushCompileCache, 1_000).unref();

watchFiles();
watchThreads();

/** Passes everything on, to a provider that may be flushed. */
function watchedProvider(provider: TracerProvider): TracerProvider {
  return new Proxy(provider, {
    get(target, key) {
      if (key === "getTracer")
        return (...given: Parameters<TracerProvider["getTracer"]>) => watch(target.getTracer(...given));
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Our services make spans with `startSpan` alone. */
function watch(tracer: Tracer): Tracer {
  const startActiveSpan = tracer.startActiveSpan.bind(tracer);
  return {
    startActiveSpan,
    startSpan(name, options, parent) {
      const span: Span = tracer.startSpan(name, options, parent);
      const { traceId } = span.spanContext();
      // Steps of sagas count as well, so that each is there by its name.
      const isEffect =
        (options?.kind === SpanKind.CLIENT && !name.startsWith("SELECT ")) || name.startsWith("saga.");
      pass(traceId, name, "begin", isEffect);
      const end = span.end.bind(span);
      span.end = (time) => {
        pass(traceId, name, "end");
        end(time);
      };
      return span;
    },
  };
}

/** @param isEffect whether something outside of this process follows upon it at once */
function pass(traceId: string, span: string, edge: Edge, isEffect = false): void {
  if (isOurs) return;
  isOurs = true;
  try {
    come(traceId, span, edge, isEffect);
  } finally {
    isOurs = false;
  }
}

function come(traceId: string, span: string, edge: Edge, isEffect: boolean): void {
  const armed = readArmed();
  if (armed?.trace !== traceId) return;
  if (watched !== traceId) seen.clear();
  watched = traceId;
  const key = `${edge} ${span}`;
  const nth = (seen.get(key) ?? 0) + 1;
  seen.set(key, nth);
  const point = { service, span, edge, nth };
  if (armed.point === undefined) note(point, isEffect);
  else if (isSame(armed.point, point) && disarm()) process.kill(process.pid, "SIGKILL");
}

function note(point: KillPoint, isEffect: boolean): void {
  const passed: PassedPoint = { ...point, pid: process.pid, turn, isEffect };
  fs.appendFileSync(join(folder, PASSED), `${JSON.stringify(passed)}\n`);
  if (willTurn) return;
  willTurn = true;
  setImmediate(() => {
    turn += 1;
    willTurn = false;
  });
}

function isSame(one: ArmedPoint["point"], other: NonNullable<ArmedPoint["point"]>): boolean {
  return (
    one?.service === other.service &&
    one.span === other.span &&
    one.edge === other.edge &&
    one.nth === other.nth
  );
}

function readArmed(): ArmedPoint | undefined {
  try {
    // Written by `KillPoints`.
    return JSON.parse(fs.readFileSync(join(folder, ARMED), "utf8")) as ArmedPoint;
  } catch {
    return undefined;
  }
}

/** Of several hosts that come to the same moment only one dies. */
function disarm(): boolean {
  try {
    fs.unlinkSync(join(folder, ARMED));
    return true;
  } catch {
    return false;
  }
}

/** Whatever changes a file or a folder. */
function watchFiles(): void {
  for (const name of ["mkdir", "open", "rename", "rm", "rmdir", "unlink", "writeFile"] as const)
    watchMethod(fs.promises, name);
  for (const name of ["appendFileSync", "renameSync", "rmSync", "unlinkSync", "writeFileSync"] as const)
    watchMethod(fs, name);
  syncBuiltinESMExports();
}

function watchMethod<K extends string>(target: { [key in K]: unknown }, name: K): void {
  const original = target[name];
  if (typeof original !== "function") throw new Error(`there is no fs.${name}`);
  target[name] = (...given: unknown[]): unknown => {
    const traceId = activeTrace();
    pass(traceId, `fs.${name}`, "begin", true);
    const result: unknown = Reflect.apply(original, target, given);
    if (!(result instanceof Promise)) pass(traceId, `fs.${name}`, "end");
    else void result.finally(() => pass(traceId, `fs.${name}`, "end")).catch(() => undefined);
    return result;
  };
}

/** A host's store is written by a thread: the moments are before it is asked and after it has answered. */
function watchThreads(): void {
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (this: Worker, ...given: Parameters<typeof postMessage>): void {
    const traceId = isStoreWrite(given[0]) ? activeTrace() : "";
    pass(traceId, "thread", "begin", true);
    if (traceId !== "") this.once("message", () => pass(traceId, "thread", "end"));
    postMessage.apply(this, given);
  };
}

/** Logs and tokens have threads too, and nothing waits for those to write. */
function isStoreWrite(message: unknown): boolean {
  const { request } = message as { readonly request?: { readonly kind?: string } };
  return request?.kind === "commit" || request?.kind === "acknowledge";
}

function activeTrace(): string {
  return trace.getActiveSpan()?.spanContext().traceId ?? "";
}
