import { token } from "../api/clients.ts";

/** An answer of the REST API. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined when there is no body. */
  readonly body: unknown;
}

/** Sends requests of one caller to a REST server. */
export async function restClient(address: string, org = "personal") {
  const bearer = await token(org, ["machines:read", "machines:write"]);
  return restClientWith(address, { authorization: `Bearer ${bearer}` });
}

/** The same with headers of one's own. */
export function restClientWith(address: string, headers: Readonly<Record<string, string>>) {
  return async function send(
    method: string,
    path: string,
    body?: unknown,
    more: Readonly<Record<string, string>> = {},
  ): Promise<RestAnswer> {
    const response = await fetch(`http://${address}${path}`, {
      method,
      redirect: "error",
      headers: { ...headers, ...more },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
  };
}

export type Send = ReturnType<typeof restClientWith>;
