import type { Client } from "@grpc/grpc-js";
import { Fault } from "../../lib/faults/fault.ts";
import type { Duplex } from "../../lib/grpc/calls/duplex.ts";
import type { DuplexMethod, ServerStreamMethod } from "../../lib/grpc/calls/streams.ts";
import type { CallScope, ClientConstructor, UnaryMethod } from "../../lib/grpc/client.ts";
import { Repeats } from "./repeat.ts";
import { EXIT, toFault } from "./report.ts";
import type { RootSpan } from "./root-span.ts";
import { type CommonFlags, type Settings, tokenOf } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

/** How long a call that only reads may take. */
export const READ_TIMEOUT_MS = 15_000;

/** How a unary call is made. */
interface CallOptions {
  /** Default: as long as a call that only reads may take. */
  readonly timeoutMs?: number;
  readonly span?: RootSpan;
  /** Default: the session's, which aborts on Ctrl-C. */
  readonly signal?: AbortSignal;
}

/** Surroundings of a command: settings, outputs, and calls of the API. */
export class Session {
  readonly settings: Settings;
  readonly terminal: Terminal;
  /** Aborts on Ctrl-C, and when the reader of the output goes away. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  exitCode: number = EXIT.ok;
  readonly #debug: boolean;
  readonly #clients: Client[] = [];
  readonly #sent: Promise<void>[] = [];

  constructor(
    settings: Settings,
    around: { readonly terminal: Terminal; readonly signal: AbortSignal; readonly env: NodeJS.ProcessEnv },
    { json = false, debug = false }: Pick<CommonFlags, "json" | "debug">,
  ) {
    this.settings = settings;
    this.terminal = around.terminal;
    this.signal = around.signal;
    this.env = around.env;
    this.json = json;
    this.#debug = debug;
  }

  /**
   * Makes a client of one of the API's services.
   *
   * @throws Fault UNAUTHENTICATED / `TOKEN_MISSING`
   */
  async client<C extends Client>(Client: ClientConstructor<C>): Promise<C> {
    this.token();
    const { connect } = await import("./grpc-client.ts");
    const client = connect(Client, this.settings.api.value);
    this.#clients.push(client);
    return client;
  }

  /** Calls a unary method; with a span, as its child. Waits and repeats when the API asks for it. */
  async call<Req, Res>(
    client: Client,
    method: UnaryMethod<Req, Res>,
    request: Req,
    { timeoutMs = READ_TIMEOUT_MS, span, signal = this.signal }: CallOptions = {},
  ): Promise<Res> {
    const { call } = await import("./grpc-client.ts");
    const repeats = this.#repeats();
    for (;;) {
      const startedAt = performance.now();
      try {
        return await call(client, method, request, { ...(await this.scope(timeoutMs, span)), signal });
      } catch (err) {
        await repeats.wait(err);
      } finally {
        this.#note(method, performance.now() - startedAt);
      }
    }
  }

  /** Logs a call with `--debug`. Clients of grpc-js keep a method's path with it. */
  #note(method: unknown, ms: number): void {
    if (this.#debug) this.say(`${String(Object(method)["path"])} took ${ms.toFixed(1)} ms`);
  }

  async *stream<Req, Res>(
    client: Client,
    method: ServerStreamMethod<Req, Res>,
    request: Req,
    { timeoutMs, signal = this.signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<Res> {
    const { openStream } = await import("./grpc-client.ts");
    const repeats = this.#repeats();
    for (;;) {
      try {
        yield* openStream(client, method, request, { ...(await this.scope(timeoutMs)), signal });
        return;
      } catch (err) {
        // These come before the first message.
        await repeats.wait(err);
      }
    }
  }

  /** Opens a bidirectional call, which lasts until one of its ends ends it. */
  async duplex<Req, Res>(client: Client, method: DuplexMethod<Req, Res>): Promise<Duplex<Req, Res>> {
    const { openDuplex } = await import("./grpc-client.ts");
    return openDuplex(client, method, await this.scope(Number.POSITIVE_INFINITY));
  }

  /** Makes the bounds of a call of this session. */
  async scope(timeoutMs: number, span?: RootSpan): Promise<CallScope> {
    const { Metadata } = await import("./grpc-client.ts");
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${this.token()}`);
    if (span) metadata.set("traceparent", span.traceparent);
    return { timeoutMs, signal: this.signal, metadata };
  }

  /** Runs `work` in a root span, which is sent by the end of the session. */
  async inSpan<T>(name: string, work: (span: RootSpan) => Promise<T>): Promise<T> {
    const { RootSpan } = await import("./root-span.ts");
    const span = new RootSpan(name);
    try {
      return await work(span);
    } catch (err) {
      span.end(this.signal.aborted ? "CANCELLED" : toFault(err).reason);
      throw err;
    } finally {
      this.#sent.push(span.send(this.settings));
    }
  }

  /** Returns the token. @throws Fault that names the places without one */
  token(): string {
    const token = tokenOf(this.settings);
    if (token !== undefined) return token;
    const places = this.settings.tokenPlaces.map(({ place }) => place).join(", ");
    throw new Fault("UNAUTHENTICATED", "TOKEN_MISSING", "there is no token", { looked_in: places });
  }

  #repeats(): Repeats {
    return new Repeats((line) => this.say(line), this.signal);
  }

  printJson(value: unknown): void {
    this.terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  printLines(lines: readonly string[]): void {
    if (lines.length > 0) this.terminal.out(`${lines.join("\n")}\n`);
  }

  /** Writes a remark to standard error. */
  say(line: string): void {
    this.terminal.err(`${line}\n`);
  }

  /** Writes the commands that make sense next to standard error. */
  suggest(...next: readonly string[]): void {
    this.say(next.map((step, i) => `${i === 0 ? "Next:" : "     "} ${step}`).join("\n"));
  }

  /** Closes all connections, and waits until all spans are sent. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await Promise.all(this.#sent);
  }
}

/** Reads all pages of a list. */
export async function* pages<P extends { readonly nextPageToken: string }>(
  read: (page: { readonly pageSize: number; readonly pageToken: string }) => Promise<P>,
): AsyncGenerator<P> {
  let pageToken = "";
  do {
    const page = await read({ pageSize: 1_000, pageToken });
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
