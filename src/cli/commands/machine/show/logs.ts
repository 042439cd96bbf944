import type { LogEntry } from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  MachinesServiceClient,
  StreamLogsRequest,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { toJson } from "../../../render/json.ts";
import { Absence } from "../../../session/absence.ts";
import { READ_TIMEOUT_MS, type Session } from "../../../session/session.ts";
import { harmless } from "../../../session/terminal.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { whole } from "../../values.ts";

/** Defines `hover machine logs`. With `--json` each line is one JSON object. */
export function defineLogs(machine: HoverCommand): void {
  machine
    .leaf("logs <machine>", "Prints what a machine wrote", { t: true })
    .option(...APP_FLAG)
    .option("-f, --follow", "go on as it writes, until Ctrl-C")
    .option("-n, --tail <lines>", "only the last lines", whole(0, 10_000))
    .option("-t, --timestamps", "show when each line was written")
    .examples("hover machine logs ID", "hover machine logs ID -f -n 20")
    .runs<[string], AppFlag & { follow?: boolean; tail?: number; timestamps?: boolean }>(
      async (session, [idOrName], { follow = false, tail, timestamps = false, ...flags }) => {
        const client = await machinesClient(session);
        const id = await machineId(session, client, idOrName, flags);
        const request = { machineId: id, follow, tail, afterSequence: 0n };
        for await (const entry of entriesOf(session, client, request)) {
          if (session.json) session.terminal.out(`${JSON.stringify(toJson(entry))}\n`);
          else print(session, entry, timestamps);
        }
      },
      aboutMachine,
    );
}

/** Reads lines, also while the API restarts: none is lost, and none comes twice. */
async function* entriesOf(
  session: Session,
  client: MachinesServiceClient,
  first: StreamLogsRequest,
): AsyncGenerator<LogEntry> {
  const timeoutMs = first.follow ? Number.POSITIVE_INFINITY : 4 * READ_TIMEOUT_MS;
  const absence = new Absence(session);
  for (let request = first; ; ) {
    try {
      for await (const batch of session.stream(client, client.streamLogs, request, { timeoutMs })) {
        absence.over();
        const { entries, position = entries.at(-1)?.sequence ?? request.afterSequence } = batch;
        yield* entries;
        request = { ...request, tail: undefined, afterSequence: position };
      }
      return;
    } catch (err) {
      await absence.pause(err);
    }
  }
}

/** Prints the program's standard output on ours, everything else on standard error. */
function print({ terminal }: Session, entry: LogEntry, timestamps: boolean): void {
  // A program in a guest must not control the reader's terminal; a file gets every byte.
  const text = terminal.isTty ? harmless(entry.text) : entry.text;
  const time = timestamps ? `${terminal.paint.dim(entry.time?.toISOString() ?? "-")} ` : "";
  if (entry.stream === "stdout") terminal.out(`${time}${text}\n`);
  else if (entry.stream === "stderr") terminal.err(`${time}${text}\n`);
  else terminal.err(`${time}${terminal.paint.dim(`[windhover] ${text}`)}\n`);
}
