import { monotonicFactory } from "ulid";
import type { MachineId } from "./machine.ts";

export class Ids {
  /** Makes a ULID, greater than all before it even when the clock goes back. */
  readonly event = monotonicFactory(() => Math.random());

  vm(machine: MachineId): string {
    return `${machine}-${Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex")}`;
  }
}

/** Reads the id of the machine that a VM was made for. */
export function machineOfVm(vmId: string): string {
  return vmId.slice(0, 14);
}
