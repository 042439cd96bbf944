import { connect, type Socket } from "node:net";
import { onAbort } from "../../lib/runtime/abort.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const KEEP_ALIVE_DELAY_MS = 60_000;

/** Connects to a program. @throws Error when it refuses, or nothing answers in time; the reason of `signal` */
export function dial(
  address: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ ...address, allowHalfOpen: true, noDelay: true });
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  const limit = setTimeout(() => socket.destroy(new Error("no connection in time")), CONNECT_TIMEOUT_MS);
  const abort = onAbort(signal, () => {
    socket.destroy();
    reject(signal.reason);
  });
  const end = () => {
    clearTimeout(limit);
    abort[Symbol.dispose]();
  };
  socket.once("connect", () => {
    end();
    resolve(socket);
  });
  // Once connected, whoever has the connection listens too.
  socket.on("error", (error) => {
    end();
    reject(error);
  });
  return promise;
}
