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
  const who = {
    number: 1,
    name: "host-1",
    identity: "identity-1",
    region: "ord",
    zone: "a",
    labels: new Map<string, string>(),
  };
  const what = { vmm: "sim", acceleration: "none", isolation: "development", vmmReason: "a test" };
  let load = 0;
  attachment = attachToSchedulers({
    addresses: [await scheduler.start()],
    hello: () => ({ ...who, ...what, address: "127.0.0.1:7072", capacity: ROOM }),
    // Changes each time, so it is sent each second: the test counts seconds by it.
    status: () => ({
      ...{
        held: ROOM,
        allocated: ROOM,
        running: ROOM,
        machines: new Map<string, number>(),
        load: load++,
        warmVms: 0,
      },
      ...{ scheduling: Scheduling.OPEN, diskFreeMb: undefined, diskReserveMb: undefined },
    }),
    bid: () => ({ kind: "decline", reason: "busy" }),
    release: () => {},
    ...(images && { images }),
    token: () => "secret",
    signal: abort.signal,
  });
}

const sent = () => scheduler.of("localImages").map((one) => one.value.hints);
const statuses = () => scheduler.of("status").length;

test("hints of all local images are sent after the welcome, and again when they have changed", async () => {
  let hints = [1, 0xffff_ffff];
  await attach(() => [...hints]);
  await eventually(sent).toEqual([[1, 0xffff_ffff]]);
  const before = statuses();
  await eventually(statuses).toBeGreaterThan(before);
  expect(sent()).toHaveLength(1);

  hints = [1, 7, 0xffff_ffff];
  attachment?.statusChanged();

  await eventually(sent).toEqual([
    [1, 0xffff_ffff],
    [1, 7, 0xffff_ffff],
  ]);
  hints = [];
  await eventually(() => sent().at(-1)).toEqual([]);
});

test("a status that is sent at once does not send images, which may be a second late", async () => {
  let asked = 0;
  await attach(() => [++asked]);
  await eventually(() => sent()[0]).toEqual([1]);

  const before = asked;
  for (let i = 0; i < 10; i++) attachment?.statusChanged();

  expect(asked).toBe(before);
  await eventually(statuses).toBeGreaterThan(10);
});

test("hints are sent again on a new stream", async () => {
  const hints = [5];
  await attach(() => hints);
  await eventually(sent).toEqual([[5]]);

  scheduler.fail(new Fault("RESOURCE_EXHAUSTED", "HOST_TOO_SLOW", "it does not read"));

  await eventually(sent).toEqual([[5], [5]]);
});

test("a host without images sends no hints", async () => {
  await attach();

  await eventually(statuses).toBeGreaterThan(1);

  expect(sent()).toEqual([]);
});
