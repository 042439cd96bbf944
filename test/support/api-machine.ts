import type { Machine } from "../../src/api/machines/machine.ts";

/** Returns a machine as an api knows it. */
export function machine(id: string, generation: string, state: Machine["state"] = "started"): Machine {
  return {
    id,
    name: id,
    state,
    generation,
    app: "web",
    org: "personal",
    region: "ord",
    host: "one",
    config: {
      image: "nginx",
      guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
      env: {},
      services: [],
      stop: { signal: "", timeoutMs: 1 },
      metadata: {},
    },
    createTimeMs: 0,
    updateTimeMs: 0,
    events: [],
    serviceAddresses: [],
    lastStartPath: "",
    lastStartTraceId: "",
    createTraceId: "",
  };
}
