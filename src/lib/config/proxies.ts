import { type Env, parsed } from "./config.ts";

const NAMES = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];

/** Copies `https_proxy`, `http_proxy` and `no_proxy` to their upper-case names, over what is there, as curl does. */
export function withProxyNames(env: Env): Env {
  const lower = NAMES.map((name) => [name, env[name.toLowerCase()] || env[name]] as const);
  return { ...env, ...Object.fromEntries(lower) };
}

export function proxy() {
  return parsed(parseProxy).meta({ kind: "URL" }).prefault("");
}

/** Without a scheme, a proxy speaks plain HTTP. */
function parseProxy(raw: string): string {
  if (raw === "") return "";
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(raw);
  const url = URL.parse(hasScheme ? raw : `http://${raw}`);
  // A password is hidden in what is shown of a whole URL only.
  const isWhole = hasScheme || !raw.includes("@");
  if (url && isWhole && ["http:", "https:"].includes(url.protocol) && url.hostname !== "") return url.href;
  throw new Error("must be the URL of a proxy, such as http://proxy.example:3128");
}
