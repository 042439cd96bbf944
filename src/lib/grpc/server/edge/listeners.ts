import type { EventEmitter } from "node:events";
import type { Server } from "@grpc/grpc-js";

// biome-ignore lint/suspicious/noExplicitAny: listeners of any event.
type Listener<A extends any[] = any[]> = (...args: A) => void;

/** Puts `handle` in place of the listeners of an event; it decides whether they are called. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments of any event.
export function replaceListeners<A extends any[]>(
  emitter: EventEmitter,
  event: string,
  handle: (listeners: readonly Listener[], ...args: A) => void,
): void {
  // Node types listeners as Function.
  const listeners = emitter.listeners(event) as Listener[];
  if (listeners.length === 0) throw new Error(`nobody listens to ${event}`);
  emitter.removeAllListeners(event);
  emitter.on(event, (...args: A) => handle(listeners, ...args));
}

/**
 * Reads a private field of a server of grpc-js, which offers no other way to its HTTP/2 servers (1.14.7). Its version is
 * pinned, and a test fails when the field is gone.
 */
export function privateField<T>(server: Server, name: "http2Servers" | "commonServerOptions"): T {
  const value: unknown = Reflect.get(server, name);
  if (typeof value !== "object" || value === null) throw new Error(`grpc-js has no ${name} any more`);
  // The caller knows what this version keeps there.
  return value as T;
}
