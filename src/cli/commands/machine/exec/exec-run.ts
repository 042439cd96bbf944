import { buffer } from "node:stream/consumers";
import { ExecServiceClient } from "../../../../gen/windhover/machines/v1/exec.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { mapToProto } from "../../../../lib/grpc/messages/maps.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Session } from "../../../session/session.ts";
import { canChoose, chooseMachine } from "../../choose-machine.ts";
import { type AppFlag, machineId, machinesClient } from "../../find.ts";
import { commandLine } from "../config/command-line.ts";
import type { LeaseFlag } from "../lease/lease-flag.ts";
import { execInMachine } from "./exec-session.ts";

/** The flags of `hover machine exec`. */
export interface ExecFlags extends AppFlag, LeaseFlag {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly timeout?: number;
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly json?: boolean;
}

/** The server's own for RunCommand. */
const DEFAULT_MS = 60_000;
/** The server keeps the timeout; this is for the network. */
const MARGIN_MS = 5_000;

export async function runExec(
  session: Session,
  [idOrName, words]: [string, string[]],
  flags: ExecFlags,
): Promise<void> {
  // With one word that is the command, as with flyctl.
  const isAsked = words.length === 0;
  if (isAsked && !canChoose(session)) throw new UsageError("missing required argument 'command'");
  const given = isAsked ? String(await chooseMachine(session, flags, false)) : idOrName;
  const id = await machineId(session, await machinesClient(session), given, flags);
  const [first = "", ...rest] = isAsked ? [idOrName] : words;
  const what = {
    command: rest.length === 0 ? commandLine(first) : words,
    // Zero is the default, as with flyctl.
    timeout: durationToProto(flags.timeout || undefined),
    leaseNonce: flags.leaseNonce ?? "",
    env: mapToProto(flags.env),
    user: flags.user ?? "",
    workingDir: flags.workdir ?? "",
  };
  if (session.json) return await runAndPrint(session, id, what, flags);
  const { interactive: stdin = false, tty: wantsTerminal = false } = flags;
  session.exitCode = await execInMachine(session, id, { ...what, stdin, wantsTerminal });
}

type What = Omit<Parameters<ExecServiceClient["runCommand"]>[0], "machineId" | "stdin">;

/** Prints code and output when the command has ended, for scripts. */
async function runAndPrint(session: Session, id: string, what: What, flags: ExecFlags): Promise<void> {
  const client = await session.client(ExecServiceClient);
  const stdin = flags.interactive ? await buffer(process.stdin) : Buffer.alloc(0);
  const timeoutMs = (flags.timeout || DEFAULT_MS) + MARGIN_MS;
  const answer = await session.call(
    client,
    client.runCommand,
    { ...what, machineId: id, stdin },
    { timeoutMs },
  );
  const { exitCode, signal, stdout, stderr, stdoutTruncated, stderrTruncated } = answer;
  session.printJson({
    exit_code: exitCode,
    signal: signal || null,
    stdout: stdout.toString("utf8"),
    stderr: stderr.toString("utf8"),
    stdout_truncated: stdoutTruncated,
    stderr_truncated: stderrTruncated,
  });
  session.exitCode = exitCode;
}
