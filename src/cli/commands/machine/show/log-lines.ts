import type { LogEntry } from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  MachinesServiceClient,
  StreamLogsRequest,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { toJson } from "../../../render/json.ts";
import { Absence } from "../../../session/absence.ts";
import { READ_TIMEOUT_MS, type Session } from "../../../session/session.ts";
import { harmless } from "../../../session/terminal.ts";

/**
 * Reads lines in batches, also while the API restarts: none is lost, and none comes twice. The first
 * batch may be empty: the stream is open.
 */
export async function* entriesOf(
  session: Session,
  client: MachinesServiceClient,
  first: StreamLogsRequest,
  signal: AbortSignal = session.signal,
): AsyncGenerator<readonly LogEntry[]> {
  const timeoutMs = first.follow ? Number.POSITIVE_INFINITY : 4 * READ_TIMEOUT_MS;
  const options = { timeoutMs, signal };
  const absence = new Absence(session);
  for (let request = first; ; ) {
    try {
      for await (const batch of session.stream(client, client.streamLogs, request, options)) {
        absence.over();
        const { entries, position = entries.at(-1)?.sequence ?? request.afterSequence } = batch;
        yield entries;
        request = { ...request, tail: undefined, afterSequence: position };
      }
      return;
    } catch (err) {
      if (signal.aborted) return;
      await absence.pause(err);
    }
  }
}

/**
 * Prints the program's standard output on ours, everything else on standard error. With `--json`
 * each line is one JSON object.
 */
export function printEntry({ terminal, json }: Session, entry: LogEntry, timestamps = false): void {
  if (json) {
    terminal.out(`${JSON.stringify(toJson(entry))}\n`);
    return;
  }
  // A program in a guest must not control the reader's terminal; a file gets every byte.
  const text = terminal.isTty ? harmless(entry.text) : entry.text;
  const time = timestamps ? `${terminal.paint.dim(entry.time?.toISOString() ?? "-")} ` : "";
  if (entry.stream === "stdout") terminal.out(`${time}${text}\n`);
  else if (entry.stream === "stderr") terminal.err(`${time}${text}\n`);
  else terminal.err(`${time}${terminal.paint.dim(`[windhover] ${text}`)}\n`);
}
