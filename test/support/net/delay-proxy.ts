import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** What stands between two parts, and how far apart it makes them. */
export interface DelayProxyOptions {
  /** `host:port`, `unix:/path`, or the path of a unix socket: where connections go on to. */
  readonly target: string;
  /** Where to listen: the path of a unix socket. Default a free port of the loopback interface. */
  readonly path?: string;
  /** Who dials: asked once for each connection. Default nobody in particular. */
  readonly dialer?: (socket: Socket) => string;
  /** The round trip between the dialer and the target, in milliseconds. Asked for every chunk, so it may change at any time. */
  readonly roundTripMs: (dialer: string) => number;
}

/** More than this on its way in one direction, in bytes, and the sender has to wait. */
const MAX_IN_FLIGHT = 8 * 1024 * 1024;

/**
 * A proxy that makes two parts of one machine as far apart as two regions: every byte takes half a round trip, each way, in order, and opening a
 * connection a whole one more. Bandwidth is what it was. Close it at the end.
 */
export class DelayProxy {
  readonly #server: Server;
  readonly #options: DelayProxyOptions;
  readonly #sockets = new Set<Socket>();

  private constructor(options: DelayProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(options: DelayProxyOptions): Promise<DelayProxy> {
    const proxy = new DelayProxy(options);
    const where = options.path === undefined ? { host: "127.0.0.1", port: 0 } : { path: options.path };
    await once(proxy.#server.listen(where), "listening");
    return proxy;
  }

  /** Where it listens: `host:port`, or the path. */
  get address(): string {
    const { path } = this.#options;
    // A listening TCP server's address is never a string or null.
    return path ?? `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections through it. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Breaks off every connection and listens no more. */
  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(near: Socket): void {
    const dialer = this.#options.dialer?.(near) ?? "";
    const roundTripMs = () => this.#options.roundTripMs(dialer);
    const far = connect({ ...endpoint(this.#options.target), allowHalfOpen: true, noDelay: true });
    // The dialer believes to be connected at once; what it says waits until it could be.
    const openedAt = performance.now() + roundTripMs();
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", (isBroken) => {
        this.#sockets.delete(socket);
        // What was said before an orderly end is still on its way.
        if (isBroken || !socket.readableEnded) other.destroy();
      });
      delayed(socket, other, openedAt, roundTripMs);
    }
  }
}

/** Carries what `from` says to `to`, late. */
function delayed(from: Socket, to: Socket, openedAt: number, roundTripMs: () => number): void {
  const line: { readonly at: number; readonly chunk: Buffer | undefined }[] = [];
  let isArmed = false;
  let inFlight = 0;
  let last = openedAt;
  const arm = () => {
    const [next] = line;
    if (!next || isArmed) return;
    isArmed = true;
    setTimeout(deliver, Math.max(0, next.at - performance.now()));
  };
  const put = (chunk: Buffer | undefined) => {
    // Never before what went ahead, whatever the delay has become.
    last = Math.max(last, Math.max(performance.now(), openedAt) + roundTripMs() / 2);
    line.push({ at: last, chunk });
    arm();
  };
  const deliver = () => {
    isArmed = false;
    if (to.destroyed) line.length = 0;
    for (let next = line[0]; next && next.at <= performance.now() + 0.5; next = line[0]) {
      line.shift();
      if (next.chunk === undefined) to.end();
      else {
        inFlight -= next.chunk.length;
        to.write(next.chunk);
      }
    }
    if (inFlight < MAX_IN_FLIGHT) from.resume();
    arm();
  };
  from.on("data", (chunk: Buffer) => {
    inFlight += chunk.length;
    if (inFlight >= MAX_IN_FLIGHT) from.pause();
    put(chunk);
  });
  from.on("end", () => put(undefined));
}

function endpoint(target: string) {
  const path = target.replace(/^unix:/, "");
  if (path.startsWith("/")) return { path };
  const colon = target.lastIndexOf(":");
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
}
