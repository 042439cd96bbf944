import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";

/** Things that a stranger, or a user, does to a gRPC port; each holds what it got until it is disposed of. */
export interface Flood extends AsyncDisposable {
  /** Streams and connections that the server has ended so far. */
  readonly ended: number;
}

interface CallOptions {
  readonly address: string;
  readonly path: string;
  readonly streams: number;
  readonly streamsPerConnection: number;
  readonly headers?: Record<string, string>;
  /** Sent as the request; the stream is then left open unless `ends` is set. */
  readonly body: Buffer;
  readonly ends?: boolean;
}

/** Opens many calls and leaves them open. */
export async function openCalls(options: CallOptions): Promise<Flood> {
  const { streams, streamsPerConnection } = options;
  const sessions: http2.ClientHttp2Session[] = [];
  const counts = { ended: 0 };
  for (let begun = 0; begun < streams; begun += streamsPerConnection) {
    const session = connect(options.address);
    session.on("error", () => {});
    sessions.push(session);
    const count = Math.min(streamsPerConnection, streams - begun);
    for (let i = 0; i < count; i += 1) openCall(session, options, counts);
  }
  return {
    get ended() {
      return counts.ended;
    },
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
    },
  };
}

/** A message of so many bytes of which the last is missing. */
export function unfinishedMessage(bytes: number): Buffer {
  return framed(Buffer.alloc(bytes)).subarray(0, -1);
}

/** A message as gRPC sends it. */
export function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Opens connections and sends nothing. */
export async function openConnections(address: string, count: number): Promise<Flood> {
  const sockets: net.Socket[] = [];
  const counts = { ended: 0 };
  for (let i = 0; i < count; i += 1) {
    const socket = net.connect(target(address));
    socket.on("error", () => {});
    socket.once("close", () => {
      counts.ended += 1;
    });
    await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {});
    sockets.push(socket);
  }
  return {
    get ended() {
      return counts.ended;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Resident memory of a process, in MiB. */
export function residentMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib ?? 0) / 1_024;
}

function openCall(
  session: http2.ClientHttp2Session,
  { path, headers, body, ends = false }: CallOptions,
  counts: { ended: number },
): void {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => {});
  stream.once("close", () => {
    counts.ended += 1;
  });
  stream.resume();
  stream.write(body, () => {});
  if (ends) stream.end();
}

function connect(address: string): http2.ClientHttp2Session {
  if (!address.startsWith("unix:")) return http2.connect(`http://${address}`);
  return http2.connect("http://localhost", { createConnection: () => net.connect(target(address)) });
}

function target(address: string): net.NetConnectOpts {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length) };
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
