import { expect, test } from "vitest";
import { AuditEntry } from "../../../../src/gen/windhover/admin/v1/audit.ts";
import { DrainHostResponse } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { useCli } from "../support.ts";

const cli = useCli();

test("hover host drain goes on by itself while the API restarts", async () => {
  const step = (fields: object) => DrainHostResponse.fromPartial({ hostNumber: 1, total: 2, ...fields });
  cli.api.drained = [step({}), step({ machineId: "00001aaaaaaaaa", state: MachineState.STOPPED, done: 1 })];
  cli.api.drainsHang = true;
  const draining = cli.home.start({}, "host", "drain", "1");
  await expect.poll(() => draining.out()).toContain("00001aaaaaaaaa");

  await cli.api.stop();
  cli.api.drainsHang = false;
  cli.api.drained = [
    step({ total: 1 }),
    step({ machineId: "00001bbbbbbbbb", state: MachineState.STOPPED, done: 1, total: 1 }),
  ];
  await cli.api.start();

  expect((await draining.ended).code).toBe(0);
  expect(draining.out()).toBe("1/2  00001aaaaaaaaa  stopped\n1/1  00001bbbbbbbbb  stopped\n");
  expect(draining.err()).toContain("1 is empty.");
});

test("hover audit -f goes on by itself while the API restarts, and shows nothing twice", async () => {
  const entry = (object: string, seconds: number) =>
    AuditEntry.fromPartial({ object, kind: "app", action: "apps:create", time: new Date(seconds * 1_000) });
  cli.api.audited.push(entry("one", 1_000), entry("two", 1_001), entry("late", 999));
  const reading = cli.home.start({}, "audit", "-f");
  const shown = () => reading.out().match(/app \S+/g);
  await expect.poll(shown).toEqual(["app one", "app two", "app late"]);

  await cli.api.stop();
  cli.api.audited.push(entry("three", 1_001));
  await cli.api.start();

  await expect.poll(shown).toEqual(["app one", "app two", "app late", "app three"]);
  reading.child.kill("SIGINT");
  await reading.ended;
});
