import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import type { Machine } from "../../machines/machine.ts";
import { dropUnused } from "./saved-vms.ts";

const SAVED = { vmId: "vm-1", bytes: 8 };
const SNAPSHOT = { instanceId: "v1", name: "vm-0-ready", bytes: 8, usedAtMs: 0 };
const WITHOUT_NAME = { ...SNAPSHOT, name: "", bytes: 0 };

/** Changes a machine, and returns what is removed before and after the change is on disk. */
async function removed(before: Partial<Machine>, after: Partial<Machine>) {
  const names: string[] = [];
  const vmm = { dropSaved: async (name: string) => void names.push(name) };
  const durable = Promise.withResolvers<void>();
  const parts = { vmm, ledger: { setSaved: () => {} } };
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
