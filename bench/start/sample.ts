import { openStream } from "../../src/lib/grpc/client.ts";
import { within } from "../../src/lib/runtime/wait.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import { FIRST_LINE } from "../lib/program.ts";

/** One start, as its caller saw it. */
export interface Sample {
  /** The start path of the answer. */
  readonly startPath: string;
  /** From the call until its answer, in milliseconds. */
  readonly ms: number;
  /** From the call until the program wrote its first line, by the line's own time stamp (whole milliseconds). Undefined when no line was found. */
  readonly firstLineMs: number | undefined;
  /** Of the stop that followed: from the call until its answer. */
  readonly stopMs: number;
  readonly traceId: string;
}

const CALL_TIMEOUT_MS = 130_000;
const LOG_TIMEOUT_MS = 20_000;
/** A start leaves one line of the program's and perhaps a remark. */
const TAIL = 5;

/** Starts a machine, then stops it, and measures both. An abort of `signal` ends the wait, not the start. */
export async function startAndStop(
  fleet: BenchFleet,
  machineId: string,
  signal: AbortSignal,
): Promise<Sample> {
  const { clients } = fleet;
  const calledAtMs = performance.timeOrigin + performance.now();
  const startedAt = performance.now();
  const answer = await within(CALL_TIMEOUT_MS, "the start", () => clients.start(machineId), signal);
  const ms = performance.now() - startedAt;
  if (answer.alreadyStarted) throw new Error(`the machine ${machineId} was started already`);
  const stopAt = performance.now();
  await within(CALL_TIMEOUT_MS, "the stop", () => clients.stop(machineId), signal);
  const stopMs = performance.now() - stopAt;
  const lineAtMs = await firstLineAt(fleet, machineId, calledAtMs);
  return {
    startPath: answer.startPath,
    ms,
    firstLineMs: lineAtMs === undefined ? undefined : lineAtMs - calledAtMs,
    stopMs,
    traceId: answer.machine?.lastStartTraceId ?? "",
  };
}

/** When the program wrote its line, in milliseconds since the epoch: the newest line, unless it is older than the call. */
async function firstLineAt(
  fleet: BenchFleet,
  machineId: string,
  calledAtMs: number,
): Promise<number | undefined> {
  const { machines } = fleet.clients.raw;
  const request = { machineId, follow: false, tail: TAIL, afterSequence: 0n };
  let found: number | undefined;
  for await (const { entries } of openStream(machines, machines.streamLogs, request, {
    timeoutMs: LOG_TIMEOUT_MS,
  })) {
    for (const { text, time } of entries) {
      if (!text.includes(FIRST_LINE) || time === undefined) continue;
      if (time.getTime() >= calledAtMs) found = time.getTime();
    }
  }
  return found;
}
