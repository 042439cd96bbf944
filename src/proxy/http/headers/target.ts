import { isIPv6 } from "node:net";
import { ProxyError } from "../../proxy-error.ts";
import type { Exchange } from "../exchange.ts";
import { headersOf } from "./fields.ts";

/** What a request asks for. */
export interface RequestTarget {
  /** Host name in lower case, without port and final dot. */
  readonly hostname: string;
  /** As it goes into `Host`: with the port, when the client has named one. */
  readonly host: string;
  /** Path and query, or `*`. */
  readonly path: string;
}

const LABELS = /^(?!.*\.\.)[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?\.?$/;
const HOST = /^(\[[0-9a-f:.]{2,45}\]|[^:[\]]+)(?::(\d{0,5}))?$/;
/** Printable ASCII, and the bytes beyond it that old programs send. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in a path.
const UNSAFE = /[\u0000-\u0020\u007f]|[^\u0000-\u00ff]/;
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

/** Reads what a request asks for. @throws ProxyError `BAD_REQUEST` */
export function readTarget(exchange: Exchange): RequestTarget {
  const { method, target } = exchange;
  if (method === "CONNECT") throw refused("CONNECT is not for this proxy", 405);
  if (method === "TRACE") throw refused("TRACE would show what the proxy adds", 405);
  if (!TOKEN.test(method)) throw refused("the method is not a token");
  if (UNSAFE.test(target)) throw refused("the path has characters that must be escaped");
  const authority = hostOf(exchange);
  if (target.startsWith("/")) return { ...readHost(authority), path: target };
  if (target === "*" && method === "OPTIONS") return { ...readHost(authority), path: target };
  return readAbsolute(target);
}

/** Splits a host name and a port. @throws ProxyError `BAD_REQUEST` */
function readHost(raw: string): Omit<RequestTarget, "path"> {
  const host = raw.toLowerCase();
  const [, name = "", port] = HOST.exec(host) ?? [];
  const isAddress = name.startsWith("[") && isIPv6(name.slice(1, -1));
  if (!isAddress && !LABELS.test(name)) throw refused("the host is not a host name");
  if (port !== undefined && Number(port) > 65_535) throw refused("the port of the host is above 65535");
  return { hostname: name.endsWith(".") ? name.slice(0, -1) : name, host };
}

function hostOf({ version, authority, headers }: Exchange): string {
  const hosts = headersOf(headers, "host");
  if (hosts.length > 1) throw refused("there is more than one Host header");
  const [host] = hosts;
  if (authority !== "") {
    if (host !== undefined && host.toLowerCase() !== authority.toLowerCase())
      throw refused("Host and :authority differ");
    return authority;
  }
  if (host === undefined || host === "")
    throw refused(`a request by HTTP/${version} needs a Host header here: it names the app`);
  return host;
}

/** The host of an absolute form counts, whatever `Host` says: RFC 9112 section 3.2.2. */
function readAbsolute(target: string): RequestTarget {
  const [, authority, rest = ""] = /^https?:\/\/([^/?#]+)([^#]*)$/i.exec(target) ?? [];
  if (authority === undefined || authority.includes("@"))
    throw refused("the target is neither a path nor a URL of http or https");
  return { ...readHost(authority), path: rest.startsWith("/") ? rest : `/${rest}` };
}

function refused(message: string, status = 400): ProxyError {
  return new ProxyError("BAD_REQUEST", message, { status });
}
