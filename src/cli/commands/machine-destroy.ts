import type { AppFlag } from "../define/machine.ts";
import type { Handler } from "../runner.ts";
import { machineJson } from "../show/machine-json.ts";
import { forEachMachine } from "./each.ts";

const TIMEOUT_MS = 120_000;

/** `hover machine destroy`. */
export const destroyMachines: Handler<[string[]], AppFlag & { force?: boolean }> = (session, [ids], flags) =>
  forEachMachine(session, ids, flags, "destroy", async ({ client, id, span }) => {
    const request = { machineId: id, force: flags.force === true };
    const { machine } = await session.call(client, client.destroyMachine, request, {
      timeoutMs: TIMEOUT_MS,
      span,
    });
    return { ok: true, text: "destroyed", json: { machine: machine ? machineJson(machine) : null } };
  });
