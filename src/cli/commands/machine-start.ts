import type { AppFlag } from "../define/machine.ts";
import { span as time } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { machineJson } from "../show/machine-json.ts";
import { addressText, startOutcome } from "../show/machine-text.ts";
import { stateName } from "../show/states.ts";
import { forEachMachine } from "./each.ts";

/** The server's own limit on a start is below this. */
const TIMEOUT_MS = 120_000;

/** `hover machine start`. */
export const startMachines: Handler<[string[]], AppFlag> = (session, [ids], flags) =>
  forEachMachine(session, ids, flags, "start", async ({ client, id, span, elapsedMs }) => {
    const request = { machineId: id, watch: undefined };
    const response = await session.call(client, client.startMachine, request, {
      timeoutMs: TIMEOUT_MS,
      span,
    });
    const { machine, alreadyStarted, startPath } = response;
    const outcome = machine ? startOutcome(machine) : { ok: true, text: "started" };
    const reach = machine && machine.serviceAddresses.length > 0 ? `, ${addressText(machine)}` : "";
    const took = `in ${time(elapsedMs())}${startPath ? ` (${startPath})` : ""}`;
    return {
      ok: outcome.ok,
      text: alreadyStarted
        ? `was started already${reach}`
        : outcome.ok
          ? `${outcome.text} ${took}${reach}`
          : outcome.text,
      json: {
        machine: machine ? machineJson(machine) : null,
        previous_state: stateName(response.previousState),
        already_started: alreadyStarted,
        startPath: startPath === "" ? null : startPath,
      },
      ...(outcome.ok ? {} : { next: `hover machine logs ${id}` }),
    };
  });
