import { MachineState } from "../../../../gen/windhover/machines/v1/machine.ts";
import type { MachinesServiceClient } from "../../../../gen/windhover/machines/v1/machines.ts";
import { hasReason } from "../../../../lib/faults/fault.ts";
import { mapToProto } from "../../../../lib/grpc/messages/maps.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Session } from "../../../session/session.ts";
import { type AppFlag, allMachines, appOf, machineId, machinesClient } from "../../find.ts";
import { commandLine } from "../config/command-line.ts";
import type { LeaseFlag } from "../lease/lease-flag.ts";
import { execInMachine } from "./exec-session.ts";
import { SHELL } from "./shell.ts";

/** The flags of `hover console`. */
export interface ConsoleFlags extends AppFlag, LeaseFlag {
  readonly user?: string;
  readonly command?: string;
  readonly machine?: string;
  readonly open?: boolean;
}

/**
 * Opens a shell in a machine; without a terminal it reads its commands from standard input. When
 * nothing names a machine, links to the web console.
 */
export async function openConsole(
  session: Session,
  [given]: [string | undefined],
  flags: ConsoleFlags,
): Promise<void> {
  const named = given ?? flags.machine;
  if (flags.open && (named !== undefined || flags.app !== undefined))
    throw new UsageError("--open opens the web console, which is about no machine.");
  const { user, command: program, leaseNonce } = flags;
  const isAboutNone = named === undefined && appOf(session, flags) === undefined;
  if (flags.open || (isAboutNone && [user, program, leaseNonce].every((each) => each === undefined))) {
    const { linkToPage } = await import("../../latency/page-link.ts");
    return linkToPage(session, flags.open === true);
  }
  const client = await machinesClient(session);
  const id =
    named === undefined
      ? await onlyMachine(session, client, flags)
      : await machineId(session, client, named, flags);
  const command = flags.command === undefined ? SHELL : commandLine(flags.command);
  const shell = execInMachine(session, id, {
    command,
    stdin: true,
    wantsTerminal: process.stdin.isTTY === true && process.stdout.isTTY === true,
    timeout: undefined,
    leaseNonce: flags.leaseNonce ?? "",
    env: mapToProto({ TERM: session.env["TERM"] || "xterm" }),
    user: flags.user ?? "",
    workingDir: "",
  });
  try {
    session.exitCode = await shell;
  } catch (err) {
    if (command === SHELL && hasReason(err, "EXEC_FAILED"))
      session.say(`The image may have no shell; name a program: hover console ${id} -C PROGRAM`);
    throw err;
  }
}

/** Finds the only started machine of the app. @throws UsageError when there are none or several */
async function onlyMachine(session: Session, client: MachinesServiceClient, flags: AppFlag): Promise<string> {
  const app = appOf(session, flags);
  if (app === undefined) throw new UsageError("Which machine? Give its id, or its app with -a.");
  const states = [MachineState.STARTED];
  const all = await Array.fromAsync(allMachines(session, client, { app, states }));
  const started = all.filter(({ state }) => state === MachineState.STARTED);
  const [first, second] = started;
  if (first && !second) return first.id;
  if (!first) throw new UsageError(`No machine of the app ${app} is started: hover machine list -a ${app}`);
  const list = started.map(({ id, name, region }) => `  ${id}  ${name}  ${region}`);
  throw new UsageError(`Several machines of the app ${app} are started; give one:\n${list.join("\n")}`);
}
