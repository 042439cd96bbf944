import { toJson } from "../../../render/json.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag } from "../../find.ts";
import { aboutMachines, forEachMachine, type Ids } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";

export function defineCordon(machine: HoverCommand): void {
  const kinds = [
    { verb: "cordon", cordoned: true, help: "Tells proxies to send machines no requests" },
    { verb: "uncordon", cordoned: false, help: "Tells proxies to send machines requests again" },
  ];
  for (const { verb, cordoned, help } of kinds) {
    machine
      .leaf(`${verb} [machine...]`, help)
      .asksForMachine()
      .option(...APP_FLAG)
      .option(...LEASE_FLAG)
      .examples(`hover machine ${verb} ID`)
      .runs<Ids, AppFlag & LeaseFlag>(
        (session, [ids], { leaseNonce = "", ...flags }) =>
          forEachMachine(session, ids, flags, verb, async ({ client, id, span }) => {
            const request = { machineId: id, cordoned, leaseNonce };
            const { machine } = await session.call(client, client.setMachineCordon, request, { span });
            return { ok: true, text: `${verb}ed`, json: { machine: toJson(machine) } };
          }),
        aboutMachines,
      );
  }
}
