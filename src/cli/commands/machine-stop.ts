import { durationToProto } from "../../lib/grpc/duration.ts";
import type { AppFlag } from "../define/machine.ts";
import { signalName } from "../parse/machine-config.ts";
import { span as time } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { machineJson } from "../show/machine-json.ts";
import { exitText } from "../show/machine-text.ts";
import { forEachMachine } from "./each.ts";

/** A stop waits for the grace, which may be as long as five minutes; this is what it takes besides. */
const MARGIN_MS = 30_000;
const LONGEST_GRACE_MS = 300_000;

/** `hover machine stop`. */
export const stopMachines: Handler<[string[]], AppFlag & { signal?: string; timeout?: number }> = (
  session,
  [ids],
  flags,
) =>
  forEachMachine(session, ids, flags, "stop", async ({ client, id, span, elapsedMs }) => {
    const request = {
      machineId: id,
      signal: flags.signal === undefined ? "" : signalName(flags.signal),
      timeout: durationToProto(flags.timeout),
    };
    const timeoutMs = (flags.timeout ?? LONGEST_GRACE_MS) + MARGIN_MS;
    const { machine, alreadyStopped } = await session.call(client, client.stopMachine, request, {
      timeoutMs,
      span,
    });
    const exit = machine?.events.find((event) => event.exit)?.exit;
    const how = exit ? `: ${exitText(exit)}` : "";
    return {
      ok: true,
      text: alreadyStopped ? "was not running" : `stopped in ${time(elapsedMs())}${how}`,
      json: { machine: machine ? machineJson(machine) : null, already_stopped: alreadyStopped },
    };
  });
