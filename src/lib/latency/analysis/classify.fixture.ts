import { operationsOf } from "./classify.ts";
import { type SpanSketch, START_US, sketch } from "./span.fixture.ts";

export const API_START = "windhover.machines.v1.MachinesService/StartMachine";
export const HOST_START = "windhover.hostd.v1.HostService/StartMachine";
export const CREATE = "windhover.machines.v1.MachinesService/CreateMachine";
const RECEIVED_MS = START_US / 1_000 + 500;

/** Finds the operations of one trace. */
export function operations(spans: readonly SpanSketch[]) {
  return operationsOf(spans.map(sketch), RECEIVED_MS);
}
