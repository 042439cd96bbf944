import { machineFrom } from "../machines/convert-machine.ts";
import type { Machine } from "../machines/machine.ts";
import { ask, bound, type ClientLookup, type HostAddress } from "./hostd-client.ts";

const LIST_MS = 10_000;

/** What a host says of itself, as far as the sweeper needs it. */
export interface HostWord {
  readonly identity: string;
  /** Whether every change of the host has been acknowledged by an api. */
  readonly isDelivered: boolean;
}

/** What the sweeper asks of hosts. */
export interface SweepHosts {
  list(host: HostAddress, signal: AbortSignal): Promise<readonly Machine[]>;
  word(host: HostAddress, signal: AbortSignal): Promise<HostWord>;
  destroy(host: HostAddress, machineId: string, signal: AbortSignal): Promise<void>;
}

/** Calls a host for the sweeper. */
export function sweepHosts(clients: ClientLookup): SweepHosts {
  return {
    async list(host, signal) {
      const client = clients.at(host.address);
      const { machines } = await ask(host, client, client.listMachines, {}, bound(LIST_MS, { signal }));
      return machines.map(machineFrom);
    },
    async word(host, signal) {
      const client = clients.at(host.address);
      const response = await ask(host, client, client.getHost, {}, bound(LIST_MS, { signal }));
      return {
        identity: response.info?.identity ?? "",
        isDelivered: response.outboxAcknowledged >= response.outboxSequence,
      };
    },
    async destroy(host, machineId, signal) {
      const client = clients.at(host.address);
      const request = { machineId, org: "", force: true, ignoreMissing: true };
      await ask(host, client, client.destroyMachine, request, bound(LIST_MS, { signal }));
    },
  };
}
