import type { IncomingHttpHeaders } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface HttpOptions {
  /** Default: POST with a body, GET without. */
  readonly method?: string;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, as JSON. */
  readonly body?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /**
   * Returns what takes the pieces of an answer as they come; undefined when it is wanted whole. Its text is
   * empty then, and it may take as long as it likes.
   */
  readonly toReader?: (head: Omit<HttpAnswer, "text">) => ((bytes: Buffer) => Promise<void>) | undefined;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Sends an HTTP request. Not `fetch`, whose loading takes longer than the request. */
export async function httpRequest(url: string, options: HttpOptions): Promise<HttpAnswer> {
  const { request: open } = await (url.startsWith("https:") ? import("node:https") : import("node:http"));
  const { token, json, timeoutMs } = options;
  const sent = options.body ?? (json === undefined ? undefined : JSON.stringify(json));
  const body = sent === undefined ? undefined : Buffer.from(sent);
  const overdue = new AbortController();
  const timer = setTimeout(() => overdue.abort(), timeoutMs).unref();
  return await new Promise((resolve, reject) => {
    const request = open(url, {
      method: options.method ?? (body ? "POST" : "GET"),
      signal: options.signal ? AbortSignal.any([overdue.signal, options.signal]) : overdue.signal,
      agent: false,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body ? { "content-type": "application/json", "content-length": body.length } : {}),
        ...options.headers,
      },
    });
    const fail = (err: Error) =>
      reject(overdue.signal.aborted ? new Error(`no whole answer within ${timeoutMs / 1_000} s`) : err);
    request.once("error", fail);
    request.once("response", (response) => {
      const { statusCode: status = 0, headers } = response;
      const reader = options.toReader?.({ status, headers });
      if (reader) {
        clearTimeout(timer);
        pass(response, reader).then(() => resolve({ status, headers, text: "" }), fail);
        return;
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES)
          request.destroy(new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.once("error", fail);
      response.once("end", () => {
        clearTimeout(timer);
        resolve({ status, headers, text: Buffer.concat(chunks).toString("utf8") });
      });
    });
    request.end(body);
  });
}

/** Passes the pieces of an answer on as they come, no faster than they are taken. */
async function pass(
  response: AsyncIterable<Buffer>,
  reader: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  for await (const bytes of response) await reader(bytes);
}
