import type { Socket } from "node:net";

/**
 * Reads the first bytes of a connection and puts them back.
 *
 * @param decide is called with what has come so far, until it returns something
 * @param done is not called when the client leaves, or has not said enough in time
 */
export function peek<T>(
  socket: Socket,
  timeoutMs: number,
  decide: (bytes: Buffer) => T | undefined,
  done: (found: T) => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const limit = setTimeout(() => socket.destroy(), timeoutMs);
  const stop = () => {
    clearTimeout(limit);
    socket.off("readable", onReadable).off("close", stop).off("end", onEnd);
  };
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    }
    const found = seen.length === 0 ? undefined : decide(seen);
    if (found === undefined) return;
    stop();
    socket.unshift(seen);
    done(found);
  };
  const onEnd = () => socket.destroy();
  socket.on("readable", onReadable).on("end", onEnd).once("close", stop);
}
