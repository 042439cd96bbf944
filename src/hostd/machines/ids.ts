import { createHash } from "node:crypto";
import { encodeTime, monotonicFactory } from "ulid";
import type { MachineId } from "./machine.ts";

export class Ids {
  /** Makes a ULID, greater than all before it even when the clock goes back. */
  readonly event = monotonicFactory(() => Math.random());

  vm(machine: MachineId): string {
    return `${machine}-${Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex")}`;
  }
}

/** Derives the version of a machine that was created before there were versions: always the same ULID. */
export function derivedVersion(machine: string, createdAtMs: number): string {
  const digest = createHash("sha256").update(machine).digest();
  const random = Array.from({ length: RANDOM_LENGTH }, (_, index) => CROCKFORD[(digest[index] ?? 0) & 31]);
  return `${encodeTime(createdAtMs, TIME_LENGTH)}${random.join("")}`;
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Characters of a ULID's time, and of the rest. */
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;

/** Reads the id of the machine that a VM was made for. */
export function machineOfVm(vmId: string): string {
  return vmId.slice(0, 14);
}
