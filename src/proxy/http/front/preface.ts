import type { Socket } from "node:net";

/** What HTTP/2 begins with: RFC 9113 section 3.4. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

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

/** Whether a connection begins as HTTP/2 does; undefined while that cannot be told. */
export function isHttp2(bytes: Buffer): boolean | undefined {
  const known = Math.min(bytes.length, PREFACE.length);
  if (!bytes.subarray(0, known).equals(PREFACE.subarray(0, known))) return false;
  return known === PREFACE.length ? true : undefined;
}
