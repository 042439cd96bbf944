import type {
  CreateMachineRequest,
  MachinesServiceClient,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../lib/faults/fault.ts";
import { mapToProto } from "../../../../lib/grpc/messages/maps.ts";
import type { Session } from "../../../session/session.ts";
import { commandLine } from "../config/command-line.ts";
import { execInMachine } from "../exec/exec-session.ts";
import { SHELL } from "../exec/shell.ts";
import { startOutcome } from "../machine-text.ts";
import { createWithRetry } from "./create-call.ts";

const END_TIMEOUT_MS = 30_000;

/** Creates a machine that does nothing, opens a shell in it, and destroys it afterwards. */
export async function runShell(
  session: Session,
  client: MachinesServiceClient,
  request: CreateMachineRequest,
  { command, user = "" }: { readonly command?: string; readonly user?: string },
): Promise<void> {
  await session.inSpan("hover machine run", async (span) => {
    const { machine } = await createWithRetry(session, client, request, span);
    const id = machine?.id ?? "";
    span.setMachine(id);
    span.end();
    const outcome = machine && startOutcome(machine);
    if (outcome?.ok)
      session.say(`${id} runs on ${machine?.host ?? "-"}; it is destroyed at the end of the shell.`);
    try {
      if (!outcome?.ok) throw new Fault("FAILED_PRECONDITION", "START_FAILED", notStarted(outcome?.text));
      session.exitCode = await execInMachine(session, id, {
        command: command === undefined ? SHELL : commandLine(command),
        stdin: true,
        wantsTerminal: process.stdin.isTTY === true && process.stdout.isTTY === true,
        timeout: undefined,
        leaseNonce: "",
        env: mapToProto({ TERM: session.env["TERM"] || "xterm" }),
        user,
        workingDir: "",
      });
    } finally {
      // Also after Ctrl-C, which has aborted the session's signal.
      const options = { timeoutMs: END_TIMEOUT_MS, signal: new AbortController().signal };
      const destroy = { machineId: id, force: true, leaseNonce: "" };
      await session.call(client, client.destroyMachine, destroy, options).catch(() => {
        session.say(`${id} could not be removed: hover machine destroy --force ${id}`);
      });
    }
  });
}

function notStarted(text = "unknown"): string {
  return `the machine does not run (${text}); for --shell its image needs /bin/sleep`;
}
