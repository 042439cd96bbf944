import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createNetServer,
  type Server,
  type Socket,
} from "node:net";
import { Stack } from "../../../src/lib/runtime/lifecycle.ts";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { clearServer } from "../../../src/proxy/http/clear-server.ts";
import type { ProxySettings } from "../../../src/proxy/http/forward/settings.ts";
import { HttpProxy } from "../../../src/proxy/http/http-proxy.ts";
import { TcpPorts } from "../../../src/proxy/tcp/tcp-ports.ts";
import { Tunnels } from "../../../src/proxy/tcp/tunnels.ts";
import { Certificates } from "../../../src/proxy/tls/certificates.ts";
import { portEntrance, tlsServer } from "../../../src/proxy/tls/entrance.ts";
import { TlsFront } from "../../../src/proxy/tls/tls-front.ts";
import { type TestApp, type TestMachine, TestRouter } from "./test-router.ts";

export const CONNECTIONS = { total: 4_096, perAddress: 4_096, newTotal: 4_096, newPerAddress: 4_096 };

export const SETTINGS: ProxySettings = {
  region: "dev",
  httpsPort: 8443,
  accessLog: false,
  maxBodyBytes: Number.POSITIVE_INFINITY,
  keepBytes: 64 * 1024 * 1024,
};

/** A proxy in this process, and what it routes to. */
export class TestProxy {
  readonly router = new TestRouter();
  readonly stack = new Stack();
  readonly http: HttpProxy;
  readonly tunnels: Tunnels;
  tls: TlsFront | undefined;
  port = 0;
  #machines = 0;

  private constructor(settings: Partial<ProxySettings>) {
    this.http = new HttpProxy(this.router, { ...SETTINGS, ...settings });
    this.tunnels = new Tunnels(this.router, false);
  }

  static async start(settings: Partial<ProxySettings> = {}): Promise<TestProxy> {
    const proxy = new TestProxy(settings);
    const server = clearServer(proxy.http, CONNECTIONS);
    proxy.port = await listen(server, "127.0.0.1:0", "PROXY_LISTEN");
    proxy.stack.add("listener", () => closeServer(server));
    proxy.stack.add("proxy", () => proxy.http.close());
    proxy.stack.add("tunnels", () => proxy.tunnels.close());
    return proxy;
  }

  close(): Promise<void> {
    return this.stack.close();
  }

  /** Listens for TLS with the certificates of a folder. Returns the port. */
  async startTls(folder: string): Promise<number> {
    const certificates = new Certificates(folder);
    this.stack.add("certificates", () => certificates.close());
    this.tls = new TlsFront(this.router, this.http, this.tunnels, certificates);
    const server = tlsServer(this.tls, CONNECTIONS);
    const port = await listen(server, "127.0.0.1:0", "PROXY_TLS_LISTEN");
    this.stack.add("TLS", () => closeServer(server));
    return port;
  }

  /** Listens at the ports of services. */
  startPorts(): TcpPorts {
    const accept = portEntrance(this.router, this.http, this.tunnels, this.tls);
    const ports = new TcpPorts("127.0.0.1", CONNECTIONS, accept);
    this.stack.add("ports", () => ports.close());
    return ports;
  }

  /** Makes an app of machines, or of one that answers as `listener` does. */
  async app(name: string, of: RequestListener | readonly TestMachine[], options: Partial<TestApp> = {}) {
    const machines = typeof of === "function" ? [await this.machine(of)] : of;
    const app: TestApp = { name, machines, ...options };
    this.router.apps.push(app);
    return app;
  }

  /** Starts a program that answers requests. */
  async machine(
    listener: RequestListener,
    options: { id?: string; region?: string } = {},
  ): Promise<TestMachine> {
    const server = createServer(listener);
    return await this.#serve(server, options);
  }

  /** Starts a program that takes connections. */
  async rawMachine(onSocket: (socket: Socket) => void, id?: string): Promise<TestMachine> {
    const server = createNetServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      onSocket(socket);
    });
    return await this.#serve(server, id === undefined ? {} : { id });
  }

  async #serve(server: HttpServer | Server, options: { id?: string; region?: string }): Promise<TestMachine> {
    const port = await listen(server, "127.0.0.1:0", "PROGRAM");
    this.stack.add("program", () => closeServer(server));
    this.#machines += 1;
    return { id: `m${this.#machines}`, port, ...options };
  }

  /** Sends bytes and returns all that comes until the connection is closed. */
  talk(bytes: string | Buffer, port = this.port): Promise<string> {
    return talk(port, bytes);
  }

  /** Requests `path` of an app. */
  fetch(host: string, path = "/", options: RequestOptions = {}): Promise<Answer> {
    return request(this.port, host, path, options);
  }
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly raw: string;
}

/** Makes one request by a connection of its own. */
export async function request(
  port: number,
  host: string,
  path: string,
  options: RequestOptions,
): Promise<Answer> {
  const { method = "GET", headers = {}, body = "" } = options;
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`, "connection: close"];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body.length > 0) lines.push(`content-length: ${Buffer.byteLength(body)}`);
  const raw = await talk(
    port,
    Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), Buffer.from(body)]),
  );
  return parse(raw);
}

/** Reads one answer whose connection was closed after it. */
export function parse(raw: string): Answer {
  const end = raw.indexOf("\r\n\r\n");
  const [first = "", ...lines] = raw.slice(0, end).split("\r\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const at = line.indexOf(":");
    const name = line.slice(0, at).toLowerCase();
    const before = headers.get(name);
    headers.set(name, (before === undefined ? "" : `${before}, `) + line.slice(at + 1).trim());
  }
  const rest = raw.slice(end + 4);
  const body = headers.get("transfer-encoding") === "chunked" ? unchunk(rest) : rest;
  return { status: Number(first.split(" ")[1] ?? 0), headers, body, raw };
}

function unchunk(rest: string): string {
  let [text, at] = ["", 0];
  for (;;) {
    const end = rest.indexOf("\r\n", at);
    const size = Number.parseInt(rest.slice(at, end), 16);
    if (!(size > 0)) return text;
    text += rest.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

function talk(port: number, bytes: string | Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => {});
  socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  return promise;
}

/** A client's connection whose bytes are kept. */
export class Client {
  readonly socket: Socket;
  #text = "";
  /** The other side sends no more. */
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (chunk) => {
      this.#text += chunk.toString("latin1");
    });
    this.socket.on("error", () => {});
    for (const event of ["end", "close"]) this.socket.on(event, () => this.#end());
  }

  get text(): string {
    return this.#text;
  }

  #end(): void {
    this.isClosed = true;
  }

  write(bytes: string): void {
    this.socket.write(bytes, "latin1");
  }
}

async function closeServer(server: HttpServer | Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  if ("closeAllConnections" in server) server.closeAllConnections();
  for (const socket of sockets.get(server) ?? []) socket.destroy();
  // A raw program's connections end with those of the proxy.
  await Promise.race([closed, new Promise((resolve) => setImmediate(resolve))]);
}

const sockets = new WeakMap<object, Set<Socket>>();

/** Port that nobody listens at. */
export async function unusedPort(): Promise<number> {
  const server = createNetServer();
  await listen(server, "127.0.0.1:0", "UNUSED");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
