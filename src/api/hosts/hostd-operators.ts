import type { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import type { Scheduling } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { machineFrom } from "../machines/convert-machine.ts";
import type { Machine } from "../machines/machine.ts";
import type { Scope } from "../requests/scope.ts";
import { ask, bound, type ClientLookup, type HostAddress } from "./hostd-client.ts";

const SET_MS = 5_000;
const LIST_MS = 10_000;

/** What operators ask of a host itself. A host that does not answer is UNAVAILABLE / `HOST_UNREACHABLE`. */
export interface HostOperations {
  /** Says whether it takes machines; answers what it was. */
  setScheduling(host: HostAddress, scheduling: Scheduling, scope: Scope): Promise<Scheduling>;
  /** Its machines, by id. */
  machines(host: HostAddress, scope: Scope): Promise<readonly Machine[]>;
}

/** Asks over the kept-open channels. */
export function hostOperations(clients: ClientLookup): HostOperations {
  const at = (host: HostAddress): HostServiceClient => clients.at(host.address);
  return {
    async setScheduling(host, scheduling, scope) {
      const client = at(host);
      return (await ask(host, client, client.setScheduling, { scheduling }, bound(SET_MS, scope))).previous;
    },
    async machines(host, scope) {
      const client = at(host);
      return (await ask(host, client, client.listMachines, {}, bound(LIST_MS, scope))).machines.map(
        machineFrom,
      );
    },
  };
}
