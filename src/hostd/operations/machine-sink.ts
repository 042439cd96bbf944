import type { Duplex } from "node:stream";
import type { LogStore } from "../logs/log-store.ts";
import type { Machine, MachineId } from "../machines/machine.ts";
import type { VmSink } from "../vmm/vmm.ts";

/** The API that the program of a machine reaches on a socket of its own. */
export interface InsideApi {
  /** Serves a connection that a process of the machine has opened. */
  serve(id: MachineId, connection: Duplex): void;
}

export interface SinkParts {
  readonly logs: Pick<LogStore, "sink">;
  /** Absent: connections are closed. */
  readonly inside?: InsideApi | undefined;
}

/** Returns where the VMs of a machine write, and who serves the connections of its processes. */
export function sinkOf({ logs, inside }: SinkParts, { id, spec }: Machine): VmSink {
  const sink = logs.sink({ id, org: spec.org });
  return inside ? { ...sink, onConnection: (connection) => inside.serve(id, connection) } : sink;
}
