import { request as open } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

export interface HttpOptions {
  readonly token?: string | undefined;
  /** Sent as the body of a POST; without it the request is a GET. */
  readonly json?: unknown;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Sends an HTTP request. Not `fetch`, whose loading takes longer than the request. */
export function httpRequest(url: string, options: HttpOptions): Promise<HttpAnswer> {
  const { token, json, timeoutMs } = options;
  const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
  const overdue = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const request = open(url, {
      method: body ? "POST" : "GET",
      signal: options.signal ? AbortSignal.any([overdue, options.signal]) : overdue,
      agent: false,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body ? { "content-type": "application/json", "content-length": body.length } : {}),
      },
    });
    request.once("error", reject);
    request.once("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES)
          request.destroy(new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    request.end(body);
  });
}
