import http2 from "node:http2";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { listen } from "../../../../src/lib/runtime/listen.ts";
import { TestProxy } from "../fixture.ts";

export interface H2Answer {
  readonly headers: http2.IncomingHttpHeaders & { ":status"?: number };
  readonly body: string;
  readonly trailers: http2.IncomingHttpHeaders;
}

/** A proxy, and a connection to it by HTTP/2. */
export class H2Fixture {
  readonly proxy: TestProxy;
  readonly client: http2.ClientHttp2Session;

  private constructor(proxy: TestProxy) {
    this.proxy = proxy;
    this.client = http2.connect(`http://127.0.0.1:${proxy.port}`);
    this.client.on("error", () => {});
  }

  static async start(): Promise<H2Fixture> {
    return new H2Fixture(await TestProxy.start());
  }

  async close(): Promise<void> {
    this.client.destroy();
    await this.proxy.close();
  }

  /** Makes one request. */
  async ask(headers: http2.OutgoingHttpHeaders, body?: string): Promise<H2Answer> {
    const stream = this.client.request(headers, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const head = new Promise<H2Answer["headers"]>((resolve, reject) =>
      stream.once("response", resolve).once("error", reject),
    );
    let trailers = {};
    stream.once("trailers", (fields) => {
      trailers = fields;
    });
    const [answer, received] = await Promise.all([head, text(stream)]);
    return { headers: answer, body: received, trailers };
  }

  /** Starts a program that speaks HTTP/2 alone. */
  async startProgram(
    name: string,
    onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  ): Promise<{ readonly sessions: ReadonlySet<http2.ServerHttp2Session> }> {
    const server = http2.createServer();
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on("session", (session) => {
      sessions.add(session);
      session.on("close", () => sessions.delete(session));
    });
    server.on("stream", onStream);
    const port = await listen(server, "127.0.0.1:0", "PROGRAM");
    this.proxy.stack.add("program", () => {
      for (const session of sessions) session.destroy();
    });
    await this.proxy.app(name, [{ id: name, port }], { service: { http: { h2Backend: true } } });
    return { sessions };
  }
}

/** A frame: RFC 9113 section 4.1. */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Calls back with the number of each stream that a client begins. */
export function onRequest(socket: Socket, begun: (stream: number) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  // After the preface.
  let at = 24;
  socket.on("data", (chunk) => {
    seen = Buffer.concat([seen, chunk]);
    while (at + 9 <= seen.length) {
      if (seen[at + 3] === 1) begun(seen.readUInt32BE(at + 5));
      at += 9 + seen.readUIntBE(at, 3);
    }
  });
}

/** A header that is not to be remembered: RFC 7541 section 6.2.2. */
export function header(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}
