import { toJson } from "../../../render/json.ts";
import type { Session } from "../../../session/session.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag } from "../../find.ts";
import { signalName } from "../../values.ts";
import { aboutMachines, forEachMachine, type Ids } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";

type Flags = AppFlag & LeaseFlag;

export function defineSignal(machine: HoverCommand): void {
  machine
    .leaf("signal [machine...]", "Sends a signal to the programs of machines")
    .asksForMachine()
    .option(...APP_FLAG)
    .requiredOption("-s, --signal <signal>", "a signal of Linux, e.g. SIGHUP", signalName)
    .option(...LEASE_FLAG)
    .examples("hover machine signal ID -s SIGHUP")
    .runs<Ids, Flags & { signal: string }>(
      (session, [ids], flags) => send(session, ids, flags, "signal", flags.signal),
      aboutMachines,
    );
  machine
    .leaf("kill [machine...]", "Kills the programs of machines with SIGKILL")
    .asksForMachine()
    .option(...APP_FLAG)
    .option(...LEASE_FLAG)
    .examples("hover machine kill ID")
    .runs<Ids, Flags>((session, [ids], flags) => send(session, ids, flags, "kill", "SIGKILL"), aboutMachines);
}

function send(session: Session, ids: string[], flags: Flags, verb: string, signal: string): Promise<void> {
  const { leaseNonce = "" } = flags;
  return forEachMachine(session, ids, flags, verb, async ({ client, id, span }) => {
    const request = { machineId: id, signal, leaseNonce };
    const { machine } = await session.call(client, client.signalMachine, request, { span });
    return { ok: true, text: `was sent ${signal}`, json: { signal, machine: toJson(machine) } };
  });
}
