import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually, FakeScheduler } from "../../../test/support/hostd/scheduler-stream.ts";
import { Scheduling } from "../../gen/windhover/scheduler/v1/host.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import { type Attachment, attachToSchedulers } from "./attach-client.ts";

createLogger("test", { write: () => {} });

const ROOM = { cpus: 4, memoryMb: 4_096n, diskMb: 10_000n };

let scheduler: FakeScheduler;
let abort: AbortController;
let attachment: Attachment | undefined;

beforeEach(() => {
  scheduler = new FakeScheduler();
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await attachment?.done;
  await scheduler.stop();
});

async function attach(images?: () => readonly number[]): Promise<void> {
  const who = { number: 1, name: "host-1", identity: "identity-1", region: "ord", zone: "a", labels: {} };
  const what = { vmm: "sim", acceleration: "none", isolation: "development", vmmReason: "a test" };
  let load = 0;
  attachment = attachToSchedulers({
    addresses: [await scheduler.start()],
    hello: () => ({ ...who, ...what, address: "127.0.0.1:7072", capacity: ROOM }),
    // Another one each time, so that it is told each time: that is how the time is known here.
    status: () => ({
      ...{ held: ROOM, allocated: ROOM, running: ROOM, machines: {}, load: load++, warmVms: 0 },
      ...{ scheduling: Scheduling.OPEN, diskFreeMb: undefined, diskReserveMb: undefined },
    }),
    bid: () => ({ kind: "decline", reason: "busy" }),
    release: () => {},
    ...(images && { images }),
    token: () => "secret",
    signal: abort.signal,
  });
}

const told = () => scheduler.of("localImages").map((one) => one.value.hints);
const statuses = () => scheduler.of("status").length;

test("all local images are told of after the welcome, and again when they have changed", async () => {
  let hints = [1, 0xffff_ffff];
  await attach(() => [...hints]);
  await eventually(told).toEqual([[1, 0xffff_ffff]]);
  const before = statuses();
  await eventually(statuses).toBeGreaterThan(before);
  expect(told()).toHaveLength(1);

  hints = [1, 7, 0xffff_ffff];
  attachment?.statusChanged();

  await eventually(told).toEqual([
    [1, 0xffff_ffff],
    [1, 7, 0xffff_ffff],
  ]);
  hints = [];
  await eventually(() => told().at(-1)).toEqual([]);
});

test("a status that is told at once does not bring the images along: they may take a second", async () => {
  let asked = 0;
  await attach(() => [++asked]);
  await eventually(told).toEqual([[1]]);

  const before = asked;
  for (let i = 0; i < 10; i++) attachment?.statusChanged();

  expect(asked).toBe(before);
  await eventually(statuses).toBeGreaterThan(10);
});

test("a scheduler that is attached to anew is told anew", async () => {
  const hints = [5];
  await attach(() => hints);
  await eventually(told).toEqual([[5]]);

  scheduler.fail(new Fault("RESOURCE_EXHAUSTED", "HOST_TOO_SLOW", "it does not read"));

  await eventually(told).toEqual([[5], [5]]);
});

test("a host without images says nothing of them", async () => {
  await attach();

  await eventually(statuses).toBeGreaterThan(1);

  expect(told()).toEqual([]);
});
