import { openStream } from "../../src/lib/grpc/client.ts";
import { within } from "../../src/lib/runtime/wait.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import { FIRST_LINE } from "../lib/program.ts";

/** One start and the stop after it. */
export interface Sample {
  readonly startPath: string;
  /** From the call to the answer. */
  readonly ms: number;
  /** From the call to the program's first line, by its time stamp. Undefined without a line. */
  readonly firstLineMs: number | undefined;
  /** From the call of the stop to its answer. */
  readonly stopMs: number;
  readonly traceId: string;
}

const CALL_TIMEOUT_MS = 130_000;
const LOG_TIMEOUT_MS = 20_000;
/** A start leaves one line of the program, and perhaps one of hostd. */
const TAIL = 5;

/** Starts a machine, then stops it, and measures both. */
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
  const firstLineMs = lineAtMs === undefined ? undefined : lineAtMs - calledAtMs;
  const { startPath, machine } = answer;
  return { startPath, ms, firstLineMs, stopMs, traceId: machine?.lastStartTraceId ?? "" };
}

/** Returns the time of the newest first line, in ms since the epoch, after the call. */
async function firstLineAt(
  { clients }: BenchFleet,
  machineId: string,
  calledAtMs: number,
): Promise<number | undefined> {
  const { machines } = clients.raw;
  const request = { machineId, follow: false, tail: TAIL, since: undefined, afterSequence: 0n };
  const batches = openStream(machines, machines.streamLogs, request, { timeoutMs: LOG_TIMEOUT_MS });
  let found: number | undefined;
  for await (const { entries } of batches) {
    for (const { text, time } of entries)
      if (text.includes(FIRST_LINE) && time !== undefined && time.getTime() >= calledAtMs)
        found = time.getTime();
  }
  return found;
}
