import type { ServerResponse } from "node:http";

/** One request the registry received. */
export interface SeenRequest {
  readonly method: string;
  /** Path with query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** `blob`, `manifest`, `token`, `ping` or `other`. */
  readonly kind: "blob" | "manifest" | "token" | "ping" | "other";
  /** Digest or tag asked for; empty for the others. */
  readonly target: string;
  /** How many requests for the same kind and target came before. */
  readonly earlier: number;
}

/** Who may pull from a {@link FakeRegistry}. */
export type AuthRule =
  | { readonly kind: "basic"; readonly user: string; readonly password: string }
  | {
      readonly kind: "token";
      /** Needed to get a token; absent: anyone gets one. */
      readonly user?: string;
      readonly password?: string;
      /** Needed in its place: a refresh token, in a form. */
      readonly identityToken?: string;
      /** What the token server says, in seconds; absent: it says nothing, which means 60. */
      readonly expiresIn?: number;
      /** Names the field `access_token` instead of `token`. */
      readonly accessToken?: boolean;
      /** Where to get it; default this registry's `/token`. */
      readonly realm?: string;
      /** Tokens accepted for pulling. The token server gives out the first. Default `["good"]`. */
      readonly tokens?: readonly string[];
    };

/** The `www-authenticate` header for a request that may not pass; undefined for one that may. */
export function challenge(rule: AuthRule | undefined, seen: SeenRequest, url: string): string | undefined {
  const sent = seen.headers["authorization"];
  if (rule === undefined) return undefined;
  if (rule.kind === "basic")
    return sent === basic(rule.user, rule.password) ? undefined : 'Basic realm="fake, quoted"';
  if ((rule.tokens ?? ["good"]).some((token) => sent === `Bearer ${token}`)) return undefined;
  const name = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(seen.url)?.[1] ?? "";
  // The comma inside the quoted scope is what naive parsers split at.
  return `Bearer realm="${rule.realm ?? `${url}/token`}",service="fake",scope="repository:${name}:pull,push"`;
}

/** Answers as a token server. */
export function answerToken(
  rule: AuthRule & { kind: "token" },
  seen: SeenRequest,
  res: ServerResponse,
  form: URLSearchParams,
): void {
  const isForm = seen.method === "POST" && form.get("grant_type") === "refresh_token";
  if (rule.identityToken !== undefined && !(isForm && form.get("refresh_token") === rule.identityToken)) {
    res.writeHead(401).end();
    return;
  }
  if (rule.user !== undefined && seen.headers["authorization"] !== basic(rule.user, rule.password ?? "")) {
    res.writeHead(401, { "www-authenticate": 'Basic realm="tokens"' }).end();
    return;
  }
  const token = rule.tokens?.[0] ?? "good";
  const body = {
    ...(rule.accessToken ? { access_token: token } : { token }),
    ...(rule.expiresIn === undefined ? {} : { expires_in: rule.expiresIn }),
  };
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** An `Authorization` header for Basic authentication. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
