import { z } from "zod";
import type { LogEntry } from "../../../gen/windhover/machines/v1/machine.ts";
import {
  MachinesServiceService,
  StreamLogsRequest,
  type StreamLogsResponse,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { invalid } from "../../../lib/faults/fault.ts";
import { parseDuration } from "../convert/duration.ts";
import { integer, queryFlag, text } from "../convert/fields.ts";
import type { JsonObject } from "../convert/json.ts";
import { timeOf } from "../convert/time.ts";
import { acceptsSse } from "../requests/accept.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { type Route, route } from "../requests/route.ts";
import { beginStream, JSON_LINES, JSON_LINES_TYPE, SSE, SSE_TYPE, sseText } from "./sse.ts";

const MAX_TAIL = 10_000;

export const logRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/apps/:app/machines/:id/logs",
    tag: "Streams",
    summary: "Streams what a machine has written, oldest first.",
    description:
      "One JSON object a line, or server-sent events for a client that accepts them; an empty line says that the stream goes on. Each has a `sequence`: `after`, or `Last-Event-ID`, goes on after it.",
    answerType: "application/x-ndjson",
    rpc: MachinesServiceService.streamLogs,
    names: { after_sequence: "after" },
    timeoutMs: TIMEOUT_MS.none,
    query: z.looseObject({
      follow: queryFlag().describe("Goes on as lines are written."),
      tail: integer(0, MAX_TAIL).describe("So many last lines. Default: all that are kept."),
      since: text("Lines since a time (RFC 3339), or for as long as a duration such as 10m."),
      after: integer().describe("Lines after this sequence."),
    }),
    async handle(request) {
      const { query } = request.read();
      const { headers } = request.arrived;
      const after = sequenceOf(headers["last-event-id"]) ?? query.after;
      const list = StreamLogsRequest.fromPartial({
        machineId: await request.machineId(),
        follow: query.follow ?? false,
        // A client that resumes gets every line that it has missed.
        tail: after === undefined ? query.tail : undefined,
        afterSequence: BigInt(after ?? 0),
        since: sinceOf(query.since),
      });
      const isSse = acceptsSse(headers["accept"]);
      const texts = lines(request.stream(list), isSse ? entryToSse : entryToLine);
      return {
        body: await beginStream(texts, isSse ? SSE : JSON_LINES),
        contentType: isSse ? SSE_TYPE : JSON_LINES_TYPE,
      };
    },
  }),
];

async function* lines(
  responses: AsyncIterable<StreamLogsResponse>,
  toText: (entry: LogEntry) => string,
): AsyncGenerator<string> {
  for await (const { entries } of responses) {
    const text = entries.map(toText).join("");
    if (text !== "") yield text;
  }
}

function entryToSse(entry: LogEntry): string {
  return sseText({ id: String(entry.sequence), event: "log", data: entryToJson(entry) });
}

function entryToLine(entry: LogEntry): string {
  return `${JSON.stringify(entryToJson(entry))}\n`;
}

function entryToJson({ time, stream, text: message, sequence }: LogEntry): JsonObject {
  return {
    ...(time ? { timestamp: time.toISOString() } : {}),
    stream,
    message,
    sequence: Number(sequence),
  };
}

function sequenceOf(header: string | string[] | undefined): number | undefined {
  return typeof header === "string" && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

/** Undefined: all lines. @throws Fault INVALID_FIELDS */
function sinceOf(given: string | undefined): Date | undefined {
  if (!given) return undefined;
  const time = timeOf(given);
  if (time) return time;
  try {
    return new Date(Date.now() - parseDuration(given));
  } catch {
    const description = "must be a time such as 2026-11-29T12:00:00Z, or a duration such as 10m";
    throw invalid([{ field: "since", description }]);
  }
}
