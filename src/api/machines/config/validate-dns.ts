import { isIP } from "node:net";
import type { Dns } from "../machine.ts";
import { type Check, printable } from "./text.ts";

/** Limits of resolv.conf. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 6;
const MAX_OPTIONS = 16;
const MAX_DOMAIN_CHARS = 253;
/** HOST_NAME_MAX of Linux. */
const MAX_HOSTNAME_CHARS = 64;

const DOMAIN =
  /^(?:\.|[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?)$/;
const HOSTNAME =
  /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const OPTION = /^[a-z][a-z0-9-]{0,31}(?::[a-z0-9]{1,16})?$/;

/** Checks the resolver of the guest. Nothing in it can add a line to resolv.conf. */
export function checkDns({ nameservers, searches, options, hostname }: Dns, check: Check): void {
  const each = (
    field: string,
    list: readonly string[],
    max: number,
    isValid: (text: string) => boolean,
    rule: string,
  ) => {
    check(list.length <= max, `dns.${field}`, `must have at most ${max} entries, not ${list.length}`);
    for (const [i, text] of list.slice(0, max).entries())
      check(isValid(text), `dns.${field}[${i}]`, `must be ${rule}, not "${printable(text)}"`);
  };
  each("nameservers", nameservers, MAX_NAMESERVERS, (text) => isIP(text) !== 0, "an IP address");
  each("searches", searches, MAX_SEARCHES, isDomain, "a domain");
  each("options", options, MAX_OPTIONS, (text) => OPTION.test(text), "an option such as ndots:2");
  const isHostname = hostname === "" || (hostname.length <= MAX_HOSTNAME_CHARS && HOSTNAME.test(hostname));
  const rule = `must be a host name of at most ${MAX_HOSTNAME_CHARS} letters, digits, hyphens and dots`;
  check(isHostname, "dns.hostname", `${rule}, not "${printable(hostname)}"`);
}

function isDomain(text: string): boolean {
  return text.length <= MAX_DOMAIN_CHARS && DOMAIN.test(text);
}
