import type { Client } from "@grpc/grpc-js";
import type { CallScope, ClientConstructor, UnaryMethod } from "../lib/grpc/client.ts";
import { Fault } from "../lib/runtime/fault.ts";
import { type Settings, tokenOf } from "./settings.ts";
import type { Terminal } from "./terminal.ts";
import type { RootSpan } from "./trace/root-span.ts";

/** How long a call that only reads may take. */
export const READ_TIMEOUT_MS = 15_000;

/** What every command gets: where things are, where to write, and how to call the api. */
export class Session {
  readonly settings: Settings;
  readonly terminal: Terminal;
  /** Aborts on Ctrl-C, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly #clients: Client[] = [];

  constructor(
    settings: Settings,
    terminal: Terminal,
    signal: AbortSignal,
    json: boolean,
    env: NodeJS.ProcessEnv,
  ) {
    this.settings = settings;
    this.terminal = terminal;
    this.signal = signal;
    this.json = json;
    this.env = env;
  }

  /**
   * A client of one of the api's services.
   *
   * @throws Fault UNAUTHENTICATED / `TOKEN_MISSING` when there is no token anywhere
   */
  async client<C extends Client>(Client: ClientConstructor<C>): Promise<C> {
    // Before anything is connected: without a token there is nothing to ask.
    this.token();
    const { connect } = await import("./grpc.ts");
    const client = connect(Client, this.settings.api.value);
    this.#clients.push(client);
    return client;
  }

  /** Calls a unary method once; with a span, as its child. */
  async call<Req, Res>(
    client: Client,
    method: UnaryMethod<Req, Res>,
    request: Req,
    options: { readonly timeoutMs?: number; readonly span?: RootSpan } = {},
  ): Promise<Res> {
    const { call } = await import("./grpc.ts");
    return call(
      client,
      method,
      request,
      await this.scope(options.timeoutMs ?? READ_TIMEOUT_MS, options.span),
    );
  }

  /** What bounds a call of this session. */
  async scope(timeoutMs: number, span?: RootSpan): Promise<CallScope> {
    const { Metadata } = await import("./grpc.ts");
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${this.token()}`);
    if (span) metadata.set("traceparent", span.traceparent);
    return { timeoutMs, signal: this.signal, metadata };
  }

  /** The token, or the fault that says where it was looked for. */
  token(): string {
    const token = tokenOf(this.settings);
    if (token !== undefined) return token;
    const places = this.settings.tokenPlaces.map(({ place }) => place);
    throw new Fault("UNAUTHENTICATED", "TOKEN_MISSING", "there is no token", {
      looked_in: places.join(", "),
    });
  }

  /** Writes a result as JSON. */
  printJson(value: unknown): void {
    this.terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** Writes lines of a result. */
  printLines(lines: readonly string[]): void {
    if (lines.length > 0) this.terminal.out(`${lines.join("\n")}\n`);
  }

  /** Says something that is not the result. */
  say(line: string): void {
    this.terminal.err(`${line}\n`);
  }

  /** Closes all connections. */
  close(): void {
    for (const client of this.#clients.splice(0)) client.close();
  }
}
