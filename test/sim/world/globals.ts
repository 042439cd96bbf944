import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { abortable } from "../../../src/lib/runtime/abort.ts";
import { currentLife, type Event, type Life } from "./world.ts";

/**
 * Time and chance for code that asks the platform for them. Timers run through waits, loops, retries and calls everywhere; passing a timer to
 * each would change half the program for the sake of a test. Inside a life (see `world.ts`) these answer for that life; outside of one, e.g.
 * in the test runner, everything is as ever.
 */
export function installGlobals(): void {
  if (isInstalled) return;
  isInstalled = true;
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setImmediate: globalThis.setImmediate,
    clearImmediate: globalThis.clearImmediate,
    now: Date.now,
    monotonic: performance.now.bind(performance),
    random: Math.random,
    timeout: AbortSignal.timeout.bind(AbortSignal),
    sleep: timers.setTimeout,
    uuid: crypto.randomUUID,
    bytes: crypto.randomBytes,
    values: globalThis.crypto.getRandomValues.bind(globalThis.crypto),
  };
  Object.assign(globalThis, {
    setTimeout: (fn: () => void, ms = 0, ...args: []) => {
      const life = currentLife();
      return life ? new Timer(life, ms, fn) : real.setTimeout(fn, ms, ...args);
    },
    clearTimeout: (timer: unknown) => {
      if (timer instanceof Timer) timer.clear();
      // Whatever the real one takes.
      else real.clearTimeout(timer as Parameters<typeof clearTimeout>[0]);
    },
    setImmediate: (fn: () => void, ...args: []) => {
      const life = currentLife();
      return life ? new Timer(life, 0, fn) : real.setImmediate(fn, ...args);
    },
    clearImmediate: (timer: unknown) => {
      if (timer instanceof Timer) timer.clear();
      else real.clearImmediate(timer as Parameters<typeof clearImmediate>[0]);
    },
  });
  Date.now = () => currentLife()?.process.wallMs() ?? real.now();
  performance.now = () => currentLife()?.process.monotonicMs() ?? real.monotonic();
  Math.random = () => currentLife()?.world.random.next() ?? real.random();
  AbortSignal.timeout = (ms) => {
    const life = currentLife();
    if (!life) return real.timeout(ms);
    const abort = new AbortController();
    new Timer(life, ms, () => abort.abort(new DOMException("The operation timed out", "TimeoutError")));
    return abort.signal;
  };
  globalThis.crypto.getRandomValues = (array) => {
    const life = currentLife();
    if (!life || array === null) return real.values(array);
    const view = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    view.set(life.world.random.bytes(view.length));
    return array;
  };
  Object.assign(crypto, {
    randomUUID: () => uuid(currentLife()) ?? real.uuid(),
    randomBytes: (size: number, ...rest: []) => {
      const life = currentLife();
      return life ? Buffer.from(life.world.random.bytes(size)) : real.bytes(size, ...rest);
    },
  });
  // Traces go through the code as in a service, see src/lib/otel/telemetry.ts.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  // The one of lib/wait.ts. Its value and its options are passed through outside of a life.
  Object.assign(timers, {
    setTimeout: (ms = 0, value?: unknown, options: { signal?: AbortSignal } = {}) => {
      const life = currentLife();
      return life ? sleep(life, ms, options.signal) : real.sleep(ms, value, options);
    },
  });
  syncBuiltinESMExports();
}

let isInstalled = false;

/** A timer of a life, as far as anybody uses one. */
class Timer {
  readonly #event: Event;

  constructor(life: Life, ms: number, fn: () => void) {
    this.#event = life.world.after(life, ms, fn);
  }

  clear(): void {
    this.#event.cancel();
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

function sleep(life: Life, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const event = life.world.after(life, ms, resolve);
  return abortable(promise, signal).finally(() => event.cancel());
}

function uuid(life: Life | undefined): string | undefined {
  if (!life) return undefined;
  const hex = Buffer.from(life.world.random.bytes(16)).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}
