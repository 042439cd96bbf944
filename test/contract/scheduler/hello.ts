import type { HostInfo } from "../../../src/gen/windhover/scheduler/v1/host.ts";

/** The hello of an ordinary host. */
export const HELLO: HostInfo = {
  number: 1,
  name: "host-1",
  identity: "identity-1",
  region: "ord",
  zone: "a",
  address: "127.0.0.1:7072",
  capacity: { cpus: 4, memoryMb: 4_096n, diskMb: 10_000n },
  vmm: "sim",
  acceleration: "none",
  isolation: "development",
  vmmReason: "a test",
  labels: new Map(),
};
