import { expect, test } from "vitest";
import { machineIn } from "../../../test/support/hostd/machine-builder.ts";
import { Ids, machineOfVm } from "./ids.ts";
import { machineId } from "./machine.ts";

test("event ids sort in the order they were made, within a millisecond and when the clock goes back", () => {
  const ids = new Ids();

  const made = [5, 5, 6, 4, 4, 7].map((nowMs) => ids.event(nowMs));

  expect(made).toEqual([...made].sort());
  expect(new Set(made).size).toBe(made.length);
  for (const id of made) expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
});

test("ids follow those of the machines that are there, also when the clock has gone back since", () => {
  const before = new Ids();
  const [first, second, third] = [9_000, 9_000, 9_000].map((nowMs) => before.event(nowMs)) as [
    string,
    string,
    string,
  ];
  const machine = machineIn("stopped");
  const event = {
    type: "stop",
    status: "stopped",
    source: "user",
    timeMs: 0,
    message: "",
    reason: "",
  } as const;
  const versions = [
    { ...machine, spec: { ...machine.spec, instanceId: third } },
    {
      ...machine,
      spec: { ...machine.spec, instanceId: first, previous: { ...machine.spec, instanceId: third } },
    },
    { ...machine, spec: { ...machine.spec, instanceId: second }, events: [{ ...event, id: third }] },
  ];

  for (const version of versions) {
    const after = Ids.following([version]);
    expect(after.event(4_000) > third).toBe(true);
    expect(after.event(8_999_000).slice(0, 10)).toBe(new Ids().event(8_999_000).slice(0, 10));
  }
  expect(Ids.following([]).event(4_000) < first).toBe(true);
});

test("the first ten characters of an event id are its time", () => {
  expect(new Ids().event(1_700_000_000_000).slice(0, 10)).toBe("01HF7YAT00");
});

test("a VM's id has the id of its machine", () => {
  const id = machineId("00007a1b2c3d4e");
  const ids = new Ids();

  expect(machineOfVm(ids.vm(id))).toBe(id);
  expect(ids.vm(id)).not.toBe(ids.vm(id));
});
