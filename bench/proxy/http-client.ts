import type { Readable } from "node:stream";
import { Pool } from "undici";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { parseStartReport, type StartReport } from "./start-report.ts";

export interface AskOptions {
  readonly path?: string;
  readonly method?: "GET" | "POST";
  readonly body?: Readable | string;
  /** Length of a body that is a stream. */
  readonly bodyBytes?: number;
}

/** An answer that has arrived whole. */
export interface Answer {
  /** From the call to the head of the answer. */
  readonly firstByteMs: number;
  /** From the call to the end of the answer. */
  readonly wholeMs: number;
  readonly bytes: number;
  /** Undefined: the request waited for no start. */
  readonly start: StartReport | undefined;
}

/** Longer than the budget of a wake, and than 100 MB take. */
const TIMEOUT_MS = 120_000;
const SHOWN_CHARS = 200;

/** A client of one server, with connections that it keeps. */
export class HttpClient implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #listener: Disposable;

  /** @param address `host:port` @param signal breaks off what is under way */
  constructor(address: string, connections: number, signal: AbortSignal) {
    const timeouts = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS };
    this.#pool = new Pool(`http://${address}`, { connections, pipelining: 1, ...timeouts });
    this.#listener = onAbort(signal, () => void this.#pool.destroy().catch(() => undefined));
  }

  /** Sends a request to a host name and reads its answer. @throws Error unless its status is 200 */
  async ask(host: string, { path = "/", method = "GET", body, bodyBytes }: AskOptions = {}): Promise<Answer> {
    const length = bodyBytes === undefined ? {} : { "content-length": String(bodyBytes) };
    const startedAt = performance.now();
    const answer = await this.#pool.request({
      ...{ path, method, headers: { host, ...length } },
      ...(body === undefined ? {} : { body }),
    });
    const firstByteMs = performance.now() - startedAt;
    if (answer.statusCode !== 200) {
      const text = (await answer.body.text()).slice(0, SHOWN_CHARS);
      throw new Error(`${method} ${host}${path} answered ${answer.statusCode}: ${text}`);
    }
    let bytes = 0;
    for await (const piece of answer.body) bytes += (piece as Buffer).length;
    const wholeMs = performance.now() - startedAt;
    const header = answer.headers["x-windhover-start"];
    return {
      firstByteMs,
      wholeMs,
      bytes,
      start: parseStartReport(Array.isArray(header) ? header[0] : header),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener[Symbol.dispose]();
    await this.#pool.destroy();
  }
}
