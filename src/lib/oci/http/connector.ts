import { isIP, type LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { counter } from "../../otel/metrics.ts";
import { isPublicAddress } from "./addresses.ts";
import type { HostList } from "./host-list.ts";
import { type Lookup, lookupNames } from "./names.ts";

const refused = counter(
  "windhover_registry_addresses_refused_total",
  "Connections to registries, or to where they lead, that were refused because the address is not public.",
);

/** The host is at no address that may be connected to. */
class AddressRefused extends Error {
  override readonly name = "AddressRefused";
  readonly code = "ADDRESS_REFUSED";
}

/** Names that are loopback by RFC 6761, also where a proxy would look them up. */
const LOCAL_NAME = /(?:^|\.)localhost\.?$/;

/**
 * Makes what opens connections: to public addresses only, unless the host is allowed by name. A name is looked up once, and
 * the addresses that were checked are those that are connected to.
 *
 * @param timeoutMs for the TCP and TLS handshakes
 * @param resolve looks names up
 */
export function filteringConnector(
  allowed: HostList,
  timeoutMs: number,
  resolve: Lookup = lookupNames(),
): buildConnector.connector {
  const options = { timeout: timeoutMs, allowH2: false };
  const toAny = buildConnector(options);
  // Options of `net.connect` are passed on to it.
  const filter = { ...options, lookup: lookupPublic(resolve) } as buildConnector.BuildOptions;
  const toPublic = buildConnector(filter);
  return (to, callback) => {
    const url = new URL(`${to.protocol}//${to.host ?? to.hostname}`);
    if (allowed.has(url)) toAny(to, callback);
    // `net.connect` does not look an address up.
    else if (mayConnect(url)) toPublic(to, callback);
    else callback(refuseAddress(), null);
  };
}

/** Whether a host may be connected to as far as its name tells: false for localhost, and an address that is not public. */
export function mayConnect(url: URL): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return isIP(host) === 0 ? !LOCAL_NAME.test(host) : isPublicAddress(host);
}

/** Makes the error of a connection that is not made, and counts it. */
export function refuseAddress(): AddressRefused {
  refused.inc();
  return new AddressRefused();
}

/** Looks names up, and leaves out addresses that are not public. */
function lookupPublic(resolve: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (err, found) => {
      if (err) return callback(err, "");
      const usable = found.filter(({ address }) => isPublicAddress(address));
      const [first] = usable;
      if (first === undefined) return callback(refuseAddress(), "");
      if (options.all) return callback(null, [...usable]);
      return callback(null, first.address, first.family);
    });
  };
}
