import type { TraceReader } from "../lib/latency/trace-reader.ts";

/** The receiver's store, as the console reads it. */
export type TraceSource = Pick<TraceReader, "changes" | "traceOf" | "latency" | "losses" | "state" | "close">;
