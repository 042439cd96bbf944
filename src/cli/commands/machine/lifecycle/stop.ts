import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../../render/json.ts";
import { span as time } from "../../../render/time.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag } from "../../find.ts";
import { duration, signalName } from "../../values.ts";
import { aboutMachines, forEachMachine, type Ids } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";
import { exitText } from "../machine-text.ts";

const MAX_GRACE_MS = 300_000;
/** Time that a stop takes beside the grace. */
const MARGIN_MS = 30_000;

export function defineStop(machine: HoverCommand): void {
  machine
    .leaf("stop [machine...]", "Stops machines: a signal, a grace, SIGKILL; returns when they have stopped")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-s, --signal <signal>", "signal (default: the machine's)", signalName)
    .option("--timeout <time>", "time between signal and SIGKILL (default: the machine's)", duration)
    .option(
      "-w, --wait-timeout <time>",
      "how long to wait for the end (default: the grace and 30s)",
      duration,
    )
    .option(...LEASE_FLAG)
    .examples("hover machine stop ID", "hover machine stop ID -s SIGTERM --timeout 30s")
    .runs<Ids, AppFlag & LeaseFlag & { signal?: string; timeout?: number; waitTimeout?: number }>(
      (session, [ids], flags) =>
        forEachMachine(session, ids, flags, "stop", async ({ client, id, span, elapsedMs }) => {
          const { signal = "", timeout, waitTimeout } = flags;
          const request = {
            machineId: id,
            signal,
            timeout: durationToProto(timeout),
            leaseNonce: flags.leaseNonce ?? "",
          };
          const options = { timeoutMs: waitTimeout ?? (timeout ?? MAX_GRACE_MS) + MARGIN_MS, span };
          const answer = await session.call(client, client.stopMachine, request, options);
          const { machine, alreadyStopped } = answer;
          const exit = machine?.events.find((event) => event.exit)?.exit;
          const how = exit ? `: ${exitText(exit)}` : "";
          return {
            ok: true,
            text: alreadyStopped ? "was not running" : `stopped in ${time(elapsedMs())}${how}`,
            json: { machine: toJson(machine), already_stopped: alreadyStopped },
          };
        }),
      aboutMachines,
    );
}
