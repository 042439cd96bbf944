import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import { Ledger } from "../../capacity/ledger.ts";
import type { Machine } from "../../machines/machine.ts";
import { dropUnused } from "./saved-vms.ts";

const MB = 1024 * 1024;
const SAVED = { vmId: "vm-1", bytes: 8 };
const SNAPSHOT = { instanceId: "v1", name: "vm-0-ready", bytes: 8, usedAtMs: 0 };
const WITHOUT_NAME = { ...SNAPSHOT, name: "", bytes: 0 };

/** Changes a machine, and returns what is removed before and after the change is on disk. */
async function removed(before: Partial<Machine>, after: Partial<Machine>) {
  const names: string[] = [];
  const vmm = { dropSaved: async (name: string) => void names.push(name) };
  const durable = Promise.withResolvers<void>();
  const parts = { vmm, ledger: { releaseSaved: () => {} } };
  dropUnused(parts, machineIn("started", after), machineIn("starting", before), () => durable.promise);
  await new Promise(setImmediate);
  const early = [...names];
  durable.resolve();
  await new Promise(setImmediate);
  return { early, names };
}

test("what was saved is removed when the change that needs it no more is on disk, and not before", async () => {
  const { early, names } = await removed({ saved: SAVED, snapshot: SNAPSHOT }, { snapshot: WITHOUT_NAME });

  expect(early).toEqual([]);
  expect(names).toEqual(["vm-1", "vm-0-ready"]);
});

test("what is still needed stays, and so does what the next VM goes on with", async () => {
  const kept = { saved: SAVED, snapshot: SNAPSHOT };

  expect((await removed(kept, kept)).names).toEqual([]);
  expect((await removed(kept, { resumed: SAVED, snapshot: SNAPSHOT })).names).toEqual([]);
});

test("a snapshot that is dropped during a suspend leaves the disk of the suspend allocated", () => {
  const capacity = { cpus: 8, memoryMb: 4_096, diskMb: 4_096 };
  const clock = { now: () => 0, monotonicMs: () => 0 };
  const ledger = new Ledger({ capacity, incarnation: 1, graceMs: 0, clock });
  const vmm = { dropSaved: async () => {} };
  const before = machineIn("suspending", { vmId: "vm", snapshot: { ...SNAPSHOT, bytes: 100 * MB } });
  const { snapshot: _, ...after } = before;
  ledger.restore(before.id, before.spec.resources, { launchForMs: 0, savedMb: 100 });
  ledger.allocateSaved(before.id, 100 + 320);

  dropUnused({ vmm, ledger }, after, before, async () => {});

  expect(ledger.sums().allocated.diskMb).toBe(before.spec.resources.diskMb + 320);
});
