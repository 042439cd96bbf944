import { toJson } from "../../../render/json.ts";
import { stateName } from "../../../render/names.ts";
import { span as time } from "../../../render/time.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag } from "../../find.ts";
import { aboutMachines, forEachMachine, type Ids } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";
import { addressText, startOutcome } from "../machine-text.ts";

/** Above the server's own limit on a start. */
const TIMEOUT_MS = 120_000;

export function defineStart(machine: HoverCommand): void {
  machine
    .leaf("start [machine...]", "Starts machines; returns when their programs run")
    .asksForMachine()
    .option(...APP_FLAG)
    .option(...LEASE_FLAG)
    .examples("hover machine start ID", "hover machine start front -a web")
    .runs<Ids, AppFlag & LeaseFlag>(
      (session, [ids], flags) =>
        forEachMachine(session, ids, flags, "start", async ({ client, id, span, elapsedMs }) => {
          const request = { machineId: id, watch: undefined, leaseNonce: flags.leaseNonce ?? "" };
          const options = { timeoutMs: TIMEOUT_MS, span };
          const answer = await session.call(client, client.startMachine, request, options);
          const { machine, alreadyStarted, startPath } = answer;
          const outcome = machine ? startOutcome(machine) : { ok: true, text: "started" };
          const reach = machine && machine.serviceAddresses.length > 0 ? `, ${addressText(machine)}` : "";
          const took = ` in ${time(elapsedMs())}${startPath ? ` (${startPath})` : ""}${reach}`;
          return {
            ok: outcome.ok,
            text: alreadyStarted ? `was started already${reach}` : `${outcome.text}${outcome.ok ? took : ""}`,
            json: {
              machine: toJson(machine),
              previous_state: stateName(answer.previousState),
              already_started: alreadyStarted,
              start_path: startPath || null,
            },
            ...(outcome.ok ? {} : { next: `hover machine logs ${id}` }),
          };
        }),
      aboutMachines,
    );
}
