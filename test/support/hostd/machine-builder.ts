import { type Machine, machineId } from "../../../src/hostd/machines/machine.ts";
import type { MachineState } from "../../../src/hostd/machines/states.ts";

/** A machine for tests, in any state. */
export function machineIn(state: MachineState, fields: Partial<Machine> = {}): Machine {
  return {
    id: machineId("00007a1b2c3d4e"),
    spec: {
      name: "web-1",
      app: "web",
      org: "acme",
      region: "ord",
      config: {
        image: "nginx",
        guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
        env: {},
        init: { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "" },
        services: [],
        stop: { signal: "" },
        metadata: {},
      },
      imageRef: { registry: "r", repository: "nginx", tag: "latest", digest: `sha256:${"d".repeat(64)}` },
      createTraceId: "",
      instanceId: "01HF7YAT00ABCDEFGHJKMNPQRS",
      createdAtMs: 0,
      resources: { cpus: 1, memoryMb: 256, diskMb: 1_024 },
    },
    state,
    generation: 1,
    updatedAtMs: 0,
    events: [],
    ports: [],
    lastStartPath: "",
    lastStartTraceId: "",
    ...fields,
  };
}
