import { isIP } from "node:net";
import { domainToASCII } from "node:url";

/** A host name in its one form, or what is wrong with it. */
export type ParsedHostname =
  | { readonly hostname: string; readonly problem?: undefined }
  | { readonly hostname?: undefined; readonly problem: string };

/** The domain that every proxy serves on its own machine. */
export const LOCAL_DOMAIN = "localhost";

const MAX_BYTES = 253;
const WILDCARD = "*.";
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** What ends a host in a URL, or is decoded there: the parser would read only what is before it. */
const NOT_IN_NAMES = /[\s/\\?#@:%[\]*]/;
const FORM = "must be a DNS name such as www.example.com or *.example.com";

/**
 * Parses a host name of an app: in lower case, Unicode as IDNA, without a dot at the end.
 *
 * @param domains of the fleet, whose names lead to apps by themselves
 */
export function parseHostname(text: string, domains: readonly string[]): ParsedHostname {
  if (text === "") return { problem: "is required" };
  const isWildcard = text.startsWith(WILDCARD);
  const name = toAscii(isWildcard ? text.slice(WILDCARD.length) : text);
  if (name === undefined) return { problem: FORM };
  if (isIP(name) > 0) return { problem: `${FORM}, not an IP address` };
  const hostname = `${isWildcard ? WILDCARD : ""}${name}`;
  if (hostname.length > MAX_BYTES) return { problem: `must have at most ${MAX_BYTES} bytes` };
  const labels = name.split(".");
  if (!labels.every((label) => LABEL.test(label))) return { problem: FORM };
  const own = [LOCAL_DOMAIN, ...domains].find((domain) => isWithin(name, domain));
  if (own !== undefined) return { problem: `must not be under ${own}, a domain of the fleet` };
  // Such a top-level domain makes an address of it, e.g. 1.2.3.
  if (labels.length < 2 || /^\d+$/.test(labels.at(-1) ?? "")) return { problem: FORM };
  return { hostname };
}

/** Parses a domain of the fleet. @throws Error for `parsed` of the configuration */
export function parseDomain(raw: string): string {
  const { hostname } = parseHostname(raw, []);
  if (hostname === undefined || hostname.startsWith(WILDCARD))
    throw new Error(`must be domains such as apps.example.com, not "${raw}"`);
  return hostname;
}

function toAscii(text: string): string | undefined {
  if (text.length > MAX_BYTES * 4 || NOT_IN_NAMES.test(text)) return undefined;
  const ascii = domainToASCII(text);
  return (ascii.endsWith(".") ? ascii.slice(0, -1) : ascii) || undefined;
}

function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}
