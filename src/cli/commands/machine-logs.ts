import type { LogEntry } from "../../gen/windhover/machines/v1/machine.ts";
import type { AppFlag } from "../define/machine.ts";
import type { Handler } from "../runner.ts";
import { READ_TIMEOUT_MS } from "../session.ts";
import { logJson } from "../show/machine-json.ts";
import { harmless } from "../terminal.ts";
import { machineId, machinesClient } from "./find.ts";

interface LogFlags extends AppFlag {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly timestamps?: boolean;
}

/** `hover machine logs`. With `--json` each line is one JSON object. */
export const showLogs: Handler<[string], LogFlags> = async (session, [idOrName], flags) => {
  const { openStream } = await import("../grpc.ts");
  const client = await machinesClient(session);
  const id = await machineId(session, client, idOrName, flags);
  const request = { machineId: id, follow: flags.follow === true, tail: flags.tail, afterSequence: 0n };
  const scope = await session.scope(flags.follow ? Number.POSITIVE_INFINITY : 4 * READ_TIMEOUT_MS);
  for await (const { entries } of openStream(client, client.streamLogs, request, scope)) {
    for (const entry of entries) {
      if (session.json) session.terminal.out(`${JSON.stringify(logJson(entry))}\n`);
      else print(session, entry, flags.timestamps === true);
    }
  }
  return undefined;
};

/** What the program wrote to its standard output goes to ours, the rest to standard error. */
function print({ terminal }: Parameters<typeof showLogs>[0], entry: LogEntry, timestamps: boolean): void {
  // A program in a guest must not be able to command the reader's terminal; a file gets every byte.
  const text = terminal.isTty ? harmless(entry.text) : entry.text;
  const time = timestamps ? `${terminal.paint.dim(entry.time?.toISOString() ?? "-")} ` : "";
  if (entry.stream === "stdout") terminal.out(`${time}${text}\n`);
  else if (entry.stream === "stderr") terminal.err(`${time}${text}\n`);
  else terminal.err(`${time}${terminal.paint.dim(`[windhover] ${text}`)}\n`);
}
