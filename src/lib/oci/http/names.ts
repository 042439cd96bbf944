import type { LookupAddress } from "node:dns";
import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";

/** As `net.connect` looks names up. */
export type Lookup = (
  hostname: string,
  options: object,
  done: (err: Error | null, found: readonly LookupAddress[]) => void,
) => void;

/** A name server that does not answer is asked twice, the second time for longer. */
const QUERIES = { timeout: 2_000, tries: 2 };

/**
 * Makes what looks names up in `hosts`, then in DNS. `dns.lookup` has two threads for the whole process, which names of a server
 * that never answers would occupy for ten seconds each.
 *
 * @param hosts path of the file with names of this host
 * @param servers as `address:port`. Default: those of the host.
 */
export function lookupNames(hosts = "/etc/hosts", servers?: readonly string[]): Lookup {
  const find = async (hostname: string) => {
    const local = addressesIn(await readFile(hosts, "utf8").catch(() => ""), hostname);
    if (local.length > 0) return local;
    // A new one each time, as it reads the addresses of the name servers once.
    const resolver = new Resolver(QUERIES);
    if (servers) resolver.setServers(servers);
    return await query(resolver, hostname);
  };
  return (hostname, _options, done) => {
    find(hostname).then(
      (found) => done(null, found),
      (err: Error) => done(err, []),
    );
  };
}

/** IPv4 first: it works everywhere, and others are tried while one does not answer. */
async function query(resolver: Resolver, hostname: string): Promise<LookupAddress[]> {
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const found = [...named(v4, 4), ...named(v6, 6)];
  if (found.length === 0 && v4.status === "rejected") throw v4.reason;
  return found;
}

function named(result: PromiseSettledResult<string[]>, family: 4 | 6): LookupAddress[] {
  return result.status === "rejected" ? [] : result.value.map((address) => ({ address, family }));
}

function addressesIn(hosts: string, hostname: string): LookupAddress[] {
  const wanted = hostname.toLowerCase().replace(/\.$/, "");
  return hosts.split("\n").flatMap((line) => {
    const [address = "", ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    const isListed = names.some((name) => name.toLowerCase() === wanted);
    return isListed ? [{ address, family: address.includes(":") ? 6 : 4 }] : [];
  });
}
