import { toJson } from "../../../render/json.ts";
import { span as time } from "../../../render/time.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag } from "../../find.ts";
import { duration } from "../../values.ts";
import { aboutMachines, forEachMachine, type Ids } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";

const TIMEOUT_MS = 300_000;

export function defineSuspend(machine: HoverCommand): void {
  machine
    .leaf("suspend [machine...]", "Saves the memory of machines and ends their VMs; a start goes on")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-w, --wait-timeout <time>", "how long to wait for the end (default: 5m)", duration)
    .option(...LEASE_FLAG)
    .examples("hover machine suspend ID")
    .runs<Ids, AppFlag & LeaseFlag & { waitTimeout?: number }>(
      (session, [ids], { leaseNonce = "", waitTimeout = TIMEOUT_MS, ...flags }) =>
        forEachMachine(session, ids, flags, "suspend", async ({ client, id, span, elapsedMs }) => {
          const request = { machineId: id, leaseNonce };
          const options = { timeoutMs: waitTimeout, span };
          const { machine } = await session.call(client, client.suspendMachine, request, options);
          return { ok: true, text: `suspended in ${time(elapsedMs())}`, json: { machine: toJson(machine) } };
        }),
      aboutMachines,
    );
}
