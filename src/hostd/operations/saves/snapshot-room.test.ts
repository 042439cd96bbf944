import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import { NOTHING } from "../../capacity/amounts.ts";
import { type Machine, machineId } from "../../machines/machine.ts";
import { SnapshotRoom } from "./snapshot-room.ts";

const MB = 1024 * 1024;
const [FIRST, SECOND, NEW] = ["00007a1b2c3d01", "00007a1b2c3d02", "00007a1b2c3d03"].map((id) =>
  machineId(id),
);
/** A quarter of it is 1,000 MB. */
const CAPACITY = { cpus: 8, memoryMb: 4_096, diskMb: 4_000 };

/** A machine with a snapshot of 400 MB. */
function saved(id: Machine["id"] | undefined, usedAtMs: number, fields: Partial<Machine> = {}): Machine {
  const snapshot = { instanceId: "v1", name: `${id}-ready`, bytes: 400 * MB, usedAtMs };
  return machineIn("stopped", { ...(id ? { id } : {}), snapshot, ...fields });
}

function room(machines: readonly Machine[]) {
  const dropped: string[] = [];
  const sums = () => ({
    ...{ capacity: CAPACITY, held: NOTHING, allocated: NOTHING, running: NOTHING },
    ...{ reclaimable: NOTHING, free: CAPACITY },
  });
  const parts = { store: { all: () => machines }, ledger: { sums } };
  const of = new SnapshotRoom(parts, (id) => dropped.push(id));
  return { dropped, make: (neededMb: number) => of.make("acme", NEW ?? machineId(""), neededMb) };
}

test("snapshots that were not used for longest make room for the next, no more of them than must", () => {
  const { dropped, make } = room([saved(FIRST, 2), saved(SECOND, 1)]);

  expect(make(600)).toBe(true);
  expect(dropped).toEqual([SECOND]);
});

test("none is removed for one that does not fit all the same", () => {
  const { dropped, make } = room([saved(FIRST, 2), saved(SECOND, 1)]);

  expect(make(1_001)).toBe(false);
  expect(dropped).toEqual([]);
});

test("one that a VM reads stays: its disk would not be free", () => {
  const running = { state: "started", vmId: "vm", lastStartPath: "snapshot" } as const;
  const { dropped, make } = room([saved(FIRST, 2), saved(SECOND, 1, running)]);

  expect(make(600)).toBe(true);
  expect(dropped).toEqual([FIRST]);
  expect(room([saved(SECOND, 1, { state: "starting", vmId: "vm" })]).make(700)).toBe(false);
});
