import { entryOf } from "../operators/convert-hosts.ts";
import type { HostEntry } from "./host-table.ts";
import { ask, bound, type ClientLookup, type HostAddress } from "./hostd-client.ts";

const HELLO_MS = 2_000;

/** Asks a host who it is: what it would say in an announcement. */
export type AskHello = (host: HostAddress) => Promise<Omit<HostEntry, "lastSeenMs">>;

/** Asks over the kept-open channels. */
export function askHello(clients: ClientLookup): AskHello {
  return async (host) => {
    const client = clients.at(host.address);
    const { info } = await ask(host, client, client.getHost, {}, bound(HELLO_MS, {}));
    if (!info) throw new Error(`host ${host.number} did not say who it is`);
    return entryOf(info);
  };
}
