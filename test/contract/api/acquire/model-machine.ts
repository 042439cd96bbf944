import type { MachineId } from "../../../../src/api/machines/ids/machine-id.ts";
import type { Machine } from "../../../../src/api/machines/machine.ts";

/** A machine of the model. */
export interface ModelMachine {
  readonly id: MachineId;
  readonly host: number;
  readonly app: string;
  state: "stopped" | "suspended" | "started" | "destroyed";
  startPath: "warm" | "resume";
  traceId: string;
  leasedUntil: number;
  /** Grows with every stop, which cancels starts that wait. */
  stops: number;
  /** Starts that wait. */
  starts: number;
}

/** Describes it as an api knows it. */
export function describe({ id, state, startPath, traceId }: ModelMachine): Machine {
  const nothing = {
    name: id,
    generation: "1",
    app: "web",
    org: "acme",
    region: "ord",
    host: "h",
    instanceId: "",
  };
  return {
    ...nothing,
    ...{ id, state, lastStartTraceId: traceId, lastStartPath: startPath, createTraceId: "" },
    ...{
      createTimeMs: 0,
      updateTimeMs: 0,
      events: [],
      serviceAddresses: [],
      cordoned: false,
      restartCount: 0,
    },
    config: {
      image: "x",
      guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
      ...{ env: {}, services: [], metadata: {} },
      stop: { signal: "", timeoutMs: 0 },
    },
  };
}
