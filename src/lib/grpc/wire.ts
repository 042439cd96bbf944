import type * as grpc from "@grpc/grpc-js";
import { Fault } from "../faults/fault.ts";
import { bind, type CallScope } from "./calls/binding.ts";
import type { DuplexMethod } from "./calls/streams.ts";

/**
 * One end's way out of a bidirectional call that carries many small messages.
 *
 * For these a loop over an async iterator is most of the cost: each message is a promise, a listener and a turn of the event loop, on both sides.
 * Wires are plain calls instead: what is sent goes to the socket at once, and what arrives is handed over at once. In return nobody waits: the user
 * of a wire has to bound what it keeps while the peer is behind.
 */
export interface Wire<Out> {
  /**
   * Sends a message, whatever the answer. False: the peer is behind, and what is sent before {@link WireUser.drained} is called lies in memory.
   * Does nothing once the wire is closed.
   */
  send(message: Out): boolean;
  /** Nothing more will be sent. A server ends the call with it; to a client its server may still say something. */
  end(): void;
  /** Ends the call: a server with this fault for an answer, a client by cancelling. */
  fail(fault: Fault): void;
}

/** What the user of a wire is told. Nothing here may wait. */
export interface WireUser<In> {
  /** A message has come. What this throws fails the call. */
  received(message: In): void;
  /** There is room again. */
  drained(): void;
  /** The peer will send nothing more. */
  finished(): void;
  /** The call is over, whoever ended it; told once, as the last thing. Undefined: without a fault. */
  closed(fault: Fault | undefined): void;
}

/**
 * Calls a bidirectional method.
 *
 * @param use told the wire before anything has happened on it, returns its user
 * @throws Fault when the scope has ended already; or whatever `use` throws, and then there is no call
 */
export function openWire<Out, In>(
  client: grpc.Client,
  method: DuplexMethod<Out, In>,
  scope: CallScope,
  use: (wire: Wire<Out>) => WireUser<In>,
): void {
  const binding = bind(scope);
  const call = method.call(client, binding.metadata, binding.options);
  let failure: Fault | undefined;
  let isOver = false;
  const fail = (fault: Fault) => {
    if (isOver) return;
    failure ??= fault;
    call.cancel();
  };
  // First of all: without a listener an error would end the process.
  call.on("error", (err) => {
    failure ??= binding.fault(err, client);
  });
  let user: WireUser<In>;
  try {
    user = use({ send: (message) => isOver || call.write(message), end: () => call.end(), fail });
  } catch (err) {
    binding.release();
    call.cancel();
    throw err;
  }
  call.on("data", (message: In) => {
    if (!isOver && failure === undefined) hand(user, message, fail);
  });
  call.on("drain", () => user.drained());
  call.on("end", () => {
    if (!isOver) user.finished();
  });
  call.on("status", () => {
    isOver = true;
    binding.release();
    user.closed(failure);
  });
  binding.onCancel(() => call.cancel());
}

/** Hands a message over; what the user throws goes to `fail`. */
export function hand<In>(user: WireUser<In>, message: In, fail: (fault: Fault) => void): void {
  try {
    user.received(message);
  } catch (err) {
    fail(
      err instanceof Fault
        ? err
        : new Fault("INTERNAL", "INTERNAL", "a message could not be taken in", {}, { cause: err }),
    );
  }
}
