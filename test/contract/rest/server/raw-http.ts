import { once } from "node:events";
import { connect } from "node:net";

/** What came back over a connection of our own, until the server closed it. */
export interface Raw {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes as they are, and reads until the connection ends. */
export async function rawTo(address: string, ...chunks: readonly (string | Buffer)[]): Promise<Raw> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port) });
  const received: Buffer[] = [];
  socket.on("data", (chunk) => received.push(chunk));
  socket.on("error", () => {});
  for (const chunk of chunks) socket.write(chunk);
  await once(socket, "close");
  const text = Buffer.concat(received).toString();
  const [head = "", ...rest] = text.split("\r\n\r\n");
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), head, body: rest.join("\r\n\r\n") };
}
