import type { HostInfo } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";

/** What a host with nothing special about it says first. */
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
  labels: {},
};
