import { createHash } from "node:crypto";
import { decodeTime, encodeTime, monotonicFactory } from "ulid";
import type { Machine, MachineId } from "./machine.ts";

export class Ids {
  /** Makes a ULID, greater than all before it even when the clock goes back. */
  readonly event = monotonicFactory(() => Math.random());

  /** Makes ids that follow those of some machines: the clock may have gone back while hostd was down. */
  static following(machines: Iterable<Pick<Machine, "spec" | "events">>): Ids {
    let latest = "";
    for (const { spec, events } of machines) {
      const known = [spec.instanceId, spec.previous?.instanceId ?? "", events[0]?.id ?? ""];
      for (const id of known) if (id > latest) latest = id;
    }
    const ids = new Ids();
    if (latest !== "") ids.event(decodeTime(latest) + 1);
    return ids;
  }

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
