import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { type Context, type ContextManager, ROOT_CONTEXT } from "@opentelemetry/api";

/**
 * Carries the active trace context through promises, timers and callbacks. The SDK ships only one for synchronous code;
 * `@opentelemetry/context-async-hooks` would be a dependency for these thirty lines.
 */
export class AsyncContextManager implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return thisArg === undefined
      ? this.#storage.run(context, fn, ...args)
      : this.#storage.run(context, () => fn.call(thisArg, ...args));
  }

  bind<T>(context: Context, target: T): T {
    if (target instanceof EventEmitter) {
      throw new TypeError("binding an event emitter is not supported: bind its listeners");
    }
    if (typeof target !== "function") return target;
    const bound = (...args: unknown[]) => this.#storage.run(context, () => target(...args));
    // The same signature by construction; TypeScript cannot relate the wrapper to T.
    return bound as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}
