import ipaddr from "ipaddr.js";

type Range = ReturnType<typeof ipaddr.parseCIDR>;

/** The address ranges of `NO_PROXY` (`10.0.0.0/8`, `fd00::/8`), which undici does not know. */
export class ProxyRanges {
  readonly #ranges: readonly Range[];

  constructor(noProxy: string) {
    const entries = noProxy.split(/[,\s]+/).filter((entry) => ipaddr.isValidCIDR(entry));
    this.#ranges = entries.map((entry) => ipaddr.parseCIDR(entry));
  }

  /** Whether a host is an address in one of the ranges. Names are not looked up. */
  has({ hostname }: URL): boolean {
    const host = hostname.replace(/^\[|\]$/g, "");
    if (!ipaddr.isValid(host)) return false;
    const address = ipaddr.process(host);
    return this.#ranges.some(([from, bits]) => address.kind() === from.kind() && address.match(from, bits));
  }
}
