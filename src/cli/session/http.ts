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
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Sends an HTTP request. Not `fetch`, whose loading takes longer than the request. */
export async function httpRequest(url: string, options: HttpOptions): Promise<HttpAnswer> {
  const { request: open } = await (url.startsWith("https:") ? import("node:https") : import("node:http"));
  const { token, json, timeoutMs } = options;
  const sent = options.body ?? (json === undefined ? undefined : JSON.stringify(json));
  const body = sent === undefined ? undefined : Buffer.from(sent);
  const overdue = AbortSignal.timeout(timeoutMs);
  return await new Promise((resolve, reject) => {
    const request = open(url, {
      method: options.method ?? (body ? "POST" : "GET"),
      signal: options.signal ? AbortSignal.any([overdue, options.signal]) : overdue,
      agent: false,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body ? { "content-type": "application/json", "content-length": body.length } : {}),
        ...options.headers,
      },
    });
    const fail = (err: Error) =>
      reject(overdue.aborted ? new Error(`no whole answer within ${timeoutMs / 1_000} s`) : err);
    request.once("error", fail);
    request.once("response", (response) => {
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
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, text: Buffer.concat(chunks).toString("utf8") });
      });
    });
    request.end(body);
  });
}
