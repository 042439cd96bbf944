import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Public addresses at which clouds serve the credentials of a machine: Azure's. Others are link-local or private. */
const METADATA: ReadonlySet<string> = new Set(["168.63.129.16"]);
/** All IPv6 addresses that are given out are in here (IANA, global unicast). */
const GLOBAL = ipaddr.IPv6.parseCIDR("2000::/3");
/** RFC 6052. The range for networks of one's own, 64:ff9b:1::/48, does not say where it leads. */
const NAT64 = ipaddr.IPv6.parseCIDR("64:ff9b::/96");

/** Whether an address is one of the public internet. An IPv6 address that embeds an IPv4 one counts as that one. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || METADATA.has(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.range() === "unicast";
  const embedded = embeddedIn(parsed);
  if (embedded !== undefined) return isPublicAddress(embedded);
  return parsed.range() === "unicast" && parsed.match(GLOBAL);
}

/** Returns the IPv4 address in an IPv4-mapped, NAT64 or 6to4 address. */
function embeddedIn(address: ipaddr.IPv6): string | undefined {
  const bytes = address.toByteArray();
  if (address.isIPv4MappedAddress() || address.match(NAT64)) return bytes.slice(12).join(".");
  return address.range() === "6to4" ? bytes.slice(2, 6).join(".") : undefined;
}
