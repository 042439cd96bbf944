import { toJson } from "../../render/json.ts";
import type { HoverCommand } from "../command.ts";
import { APP_FLAG, type AppFlag } from "../find.ts";
import { aboutMachines, forEachMachine, type Ids } from "./each.ts";

const TIMEOUT_MS = 120_000;

export function defineDestroy(machine: HoverCommand): void {
  machine
    .leaf("destroy <machine...>", "Removes machines from their hosts for good")
    .aliases(["rm", "remove"])
    .option(...APP_FLAG)
    .option("-f, --force", "also when they run")
    .runs<Ids, AppFlag & { force?: boolean }>(
      (session, [ids], flags) =>
        forEachMachine(session, ids, flags, "destroy", async ({ client, id, span }) => {
          const request = { machineId: id, force: flags.force === true, leaseNonce: "" };
          const options = { timeoutMs: TIMEOUT_MS, span };
          const answer = await session.call(client, client.destroyMachine, request, options);
          return { ok: true, text: "destroyed", json: { machine: toJson(answer.machine) } };
        }),
      aboutMachines,
    );
}
