import { afterAll, beforeAll, expect, test } from "vitest";
import { checkHealth } from "../../dev/services/health.ts";
import { layoutOf } from "../../dev/settings/layout.ts";
import { findLeftovers } from "../../dev/supervisor/sweep.ts";
import { startFleet, type TestFleet } from "./fleet.ts";

let fleet: TestFleet;

beforeAll(async () => {
  fleet = await startFleet({ hosts: 1, vmm: "sim" });
});

afterAll(() => fleet.close());

const health = () => checkHealth(fleet.api, AbortSignal.timeout(15_000));
/** Right after a start it may take longer to answer than one check waits. */
const serves = () =>
  expect
    .poll(() =>
      health().then(
        () => "serves",
        (err: unknown) => String(err),
      ),
    )
    .toBe("serves");

test("a part that is killed stays down until it is started", async () => {
  await fleet.kill("api");
  expect(fleet.pid("api")).toBeUndefined();
  await expect(health()).rejects.toThrow();

  await fleet.start("api");
  await serves();
});

test("a part that crashes comes back by itself", async () => {
  const before = fleet.pid("hostd-1");

  await fleet.crash("hostd-1");

  expect(fleet.pid("hostd-1")).not.toBe(before);
  expect(fleet.log("hostd-1").split('"msg":"ready"')).toHaveLength(3);
});

test("a frozen part does not answer, and does once it is thawed", async () => {
  fleet.pause("api");
  await expect(health()).rejects.toThrow();
  fleet.resume("api");

  await serves();
});

test("a fleet of its own is closed without a trace", async () => {
  const other = await startFleet({ hosts: 1, vmm: "sim" });
  const layout = layoutOf(other.folder);
  expect(findLeftovers(layout).others.length).toBeGreaterThan(5);

  await other.close();

  expect(findLeftovers(layout)).toEqual({ vms: [], postgres: [], others: [] });
});
