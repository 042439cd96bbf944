import { type IncomingHttpHeaders, request } from "node:http";
import { NotBegun } from "./pool.ts";

/** An answer of a runner. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A request to a runner. */
export interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: IncomingHttpHeaders;
  readonly body?: Buffer;
}

const MAX_ANSWER_BYTES = 6 * 1024 * 1024;

/** Calls the runner of a machine, over a connection of its own. @throws NotBegun when nobody listens */
export function call(
  address: string,
  { method, path, headers = {}, body }: Call,
  signal: AbortSignal,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  // A kept connection could lead to a machine that has exited since.
  const options = { method, headers: { ...headers, connection: "close" }, agent: false, signal };
  const outgoing = request(`http://${address}${path}`, options, async (incoming) => {
    try {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
        chunks.push(chunk);
      }
      resolve({ status: incoming.statusCode ?? 502, headers: incoming.headers, body: Buffer.concat(chunks) });
    } catch (err) {
      reject(err);
    }
  });
  outgoing.on("error", (err: NodeJS.ErrnoException) => {
    reject(
      err.code === "ECONNREFUSED" ? new NotBegun(`${address} refuses connections`, { cause: err }) : err,
    );
  });
  outgoing.end(body);
  return promise;
}
