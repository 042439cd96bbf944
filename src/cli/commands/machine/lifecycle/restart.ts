import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../../render/json.ts";
import { span as time } from "../../../render/time.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag } from "../../find.ts";
import { duration, signalName } from "../../values.ts";
import { aboutMachines, forEachMachine, type Ids } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";
import { addressText, startOutcome } from "../machine-text.ts";

/** The longest grace, and a start. */
const TIMEOUT_MS = 420_000;

interface RestartFlags extends AppFlag, LeaseFlag {
  readonly force?: boolean;
  readonly signal?: string;
  readonly time?: number;
}

export function defineRestart(machine: HoverCommand): void {
  machine
    .leaf("restart [machine...]", "Stops machines and starts them again")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-s, --signal <signal>", "signal (default: the machine's)", signalName)
    .option("--time <time>", "time between signal and SIGKILL (default: the machine's)", duration)
    .option("--force", "kill the programs instead of signalling them")
    .option("--skip-health-checks", "always so: there are no health checks yet")
    .option(...LEASE_FLAG)
    .examples("hover machine restart ID", "hover machine restart ID -s SIGTERM --time 10s")
    .runs<Ids, RestartFlags>(
      (session, [ids], flags) =>
        forEachMachine(session, ids, flags, "restart", async ({ client, id, span, elapsedMs }) => {
          const { signal = "", force = false, leaseNonce = "" } = flags;
          const timeout = durationToProto(flags.time);
          const request = { machineId: id, signal, timeout, forceStop: force, leaseNonce };
          const options = { timeoutMs: TIMEOUT_MS, span };
          const { machine } = await session.call(client, client.restartMachine, request, options);
          const outcome = machine ? startOutcome(machine) : { ok: true, text: "started" };
          const reach = machine && machine.serviceAddresses.length > 0 ? `, ${addressText(machine)}` : "";
          const text = outcome.ok ? `restarted in ${time(elapsedMs())}${reach}` : outcome.text;
          const next = outcome.ok ? {} : { next: `hover machine logs ${id}` };
          return { ok: outcome.ok, text, json: { machine: toJson(machine) }, ...next };
        }),
      aboutMachines,
    );
}
