import http2 from "node:http2";
import type { Stack } from "../../../src/lib/runtime/lifecycle.ts";

/** How a call goes: its gRPC status, -1 before there is one, and whether its stream is closed. */
interface RawAnswer {
  readonly status: number;
  readonly isClosed: boolean;
}

/** Opens a connection until the stack is closed. */
export function openSession(stack: Stack, address: string): http2.ClientHttp2Session {
  const opened = http2.connect(`http://${address}`);
  opened.on("error", () => {});
  stack.add("session", () => opened.destroy());
  return opened;
}

/** Begins a call and leaves it open. Its answer changes as the server answers. */
export function beginCall(on: http2.ClientHttp2Session, path: string, body: Buffer, headers = {}): RawAnswer {
  const stream = on.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    ...headers,
  });
  const answer = { status: -1, isClosed: false };
  const heard = (fields: http2.IncomingHttpHeaders) => {
    if (fields["grpc-status"] !== undefined) answer.status = Number(fields["grpc-status"]);
  };
  stream
    .on("response", heard)
    .on("trailers", heard)
    .on("error", () => {});
  stream.once("close", () => {
    answer.isClosed = true;
  });
  stream.resume();
  stream.write(body);
  return answer;
}
