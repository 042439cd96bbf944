import type { Connection } from "../connection.ts";
import type { ProxyErrorCode } from "../proxy-error.ts";
import type { Wake } from "../route.ts";

/** What is known of a request, for its log line, metrics and spans. */
export interface RequestRecord {
  readonly requestId: string;
  readonly connection: Connection;
  readonly version: string;
  readonly method: string;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  /** Empty: not known. */
  hostname: string;
  /** Without the query, which may hold secrets. */
  path: string;
  app: string;
  org: string;
  machineId: string;
  region: string;
  /** 0: the client has left before there was one. */
  status: number;
  error: ProxyErrorCode | undefined;
  /** For a person who reads the log. */
  problem: string;
  bytesIn: number;
  bytesOut: number;
  /** Attempts after the first. */
  retries: number;
  replays: number;
  wake: Wake | undefined;
  /** Until a machine had a place for it, in milliseconds. */
  waitedMs: number;
  /** Until the head of the answer, in milliseconds. */
  firstByteMs: number | undefined;
  traceId: string;
}

/** Begins the record of a request. */
export function newRecord(
  known: Pick<RequestRecord, "requestId" | "connection" | "version" | "method" | "startMs">,
): RequestRecord {
  const { requestId, connection, version, method, startMs } = known;
  // One literal without spreading, since every request makes one.
  return {
    requestId,
    connection,
    version,
    method,
    startMs,
    hostname: "",
    path: "",
    app: "",
    org: "",
    machineId: "",
    region: "",
    status: 0,
    error: undefined,
    problem: "",
    bytesIn: 0,
    bytesOut: 0,
    retries: 0,
    replays: 0,
    wake: undefined,
    waitedMs: 0,
    firstByteMs: undefined,
    traceId: "",
  };
}
