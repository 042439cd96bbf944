import { logger } from "../../lib/runtime/log.ts";
import type { RequestRecord } from "./request-record.ts";

/** Writes the line of a request that has ended. */
export function logRequest(record: RequestRecord, durationMs: number): void {
  const { connection, wake, firstByteMs, traceId } = record;
  logger.info("request", {
    request_id: record.requestId,
    client: connection.address,
    port: connection.port,
    tls: connection.isTls,
    http: record.version,
    method: record.method,
    host: record.hostname,
    path: record.path,
    app: record.app,
    org: record.org,
    machine: record.machineId,
    region: record.region,
    status: record.status,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    duration_ms: round(durationMs),
    waited_ms: round(record.waitedMs),
    ...(firstByteMs === undefined ? {} : { first_byte_ms: round(firstByteMs) }),
    ...(record.retries === 0 ? {} : { retries: record.retries }),
    ...(record.replays === 0 ? {} : { replays: record.replays }),
    ...(wake === undefined ? {} : { start_path: wake.path, start_trace: wake.traceId }),
    ...(record.error === undefined ? {} : { error: record.error }),
    ...(record.problem === "" ? {} : { problem: record.problem }),
    ...(traceId === "" ? {} : { trace_id: traceId }),
  });
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
