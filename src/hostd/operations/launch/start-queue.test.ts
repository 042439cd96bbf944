import { expect, test } from "vitest";
import { StartQueue } from "./start-queue.ts";

const NEVER = new AbortController().signal;

/** Enters the queue. Once it has a slot, adds its name to the list and waits for its release. */
function enter(
  queue: StartQueue,
  org: string,
  name: string,
  order: string[],
  { signal = NEVER, reserveWarm = (): boolean => false } = {},
) {
  let leave: () => void = () => {};
  const turn = queue.enter(org, signal, reserveWarm).then((release) => {
    order.push(name);
    leave = release;
  });
  return { turn, leave: () => leave() };
}

test("organisations take turns, so a burst of one does not delay another", async () => {
  const queue = new StartQueue({ concurrency: 1, maxWaiting: 10 });
  const order: string[] = [];
  const names: [string, string][] = [
    ["burst", "1"],
    ["burst", "2"],
    ["burst", "3"],
    ["burst", "4"],
    ["other", "x"],
    ["third", "y"],
  ];
  const starts = names.map(([org, name]) => enter(queue, org, name, order));

  for (const start of [0, 1, 4, 5, 2, 3]) {
    await starts[start]?.turn;
    starts[start]?.leave();
  }

  expect(order).toEqual(["1", "2", "x", "y", "3", "4"]);
});

test("one too many is refused with a time to retry", async () => {
  const queue = new StartQueue({ concurrency: 1, maxWaiting: 1 });
  const order: string[] = [];
  enter(queue, "org", "runs", order);
  enter(queue, "org", "waits", order);

  await expect(queue.enter("org", NEVER)).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "START_QUEUE_FULL",
    retryAfterMs: 1_000,
  });
});

/** Warm VMs, for the starts that come first. */
class WarmVms {
  count = 0;
  readonly reserve = (): boolean => {
    if (this.count === 0) return false;
    this.count -= 1;
    return true;
  };
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("no more boot at once than allowed, and a start with a warm VM does not wait behind them", async () => {
  const queue = new StartQueue({ concurrency: 4, maxBoots: 2, maxWaiting: 10 });
  const order: string[] = [];
  const vms = new WarmVms();
  const boots = ["a", "b", "c", "d"].map((name) => enter(queue, "org", name, order));
  const warm = { reserveWarm: vms.reserve };
  vms.count = 3;
  const first = enter(queue, "org", "warm 1", order, warm);
  enter(queue, "other", "warm 2", order, warm);
  enter(queue, "org", "warm 3", order, warm);
  await settled();

  expect([order, queue.running, queue.length]).toEqual([["a", "b", "warm 1", "warm 2"], 4, 3]);
  first.leave();
  await settled();
  expect(order.slice(4)).toEqual(["warm 3"]);
  boots[0]?.leave();
  await settled();
  expect(order.slice(5)).toEqual(["c"]);
});

test("a start that waits to boot takes a VM that has become warm meanwhile", async () => {
  const queue = new StartQueue({ concurrency: 3, maxBoots: 1, maxWaiting: 10 });
  const order: string[] = [];
  const vms = new WarmVms();
  const warm = { reserveWarm: vms.reserve };
  enter(queue, "org", "boots", order);
  enter(queue, "org", "waits", order, warm);
  await settled();
  expect(order).toEqual(["boots"]);

  vms.count = 1;
  enter(queue, "other", "comes later", order, warm);
  await settled();

  expect([order, queue.length]).toEqual([["boots", "waits"], 1]);
});

test("a VM is reserved only for a start that gets its slot", async () => {
  const queue = new StartQueue({ concurrency: 1, maxWaiting: 10 });
  const order: string[] = [];
  const vms = new WarmVms();
  vms.count = 2;
  const abort = new AbortController();
  enter(queue, "org", "runs", order, { reserveWarm: vms.reserve });
  const second = enter(queue, "org", "waits", order, { reserveWarm: vms.reserve, signal: abort.signal });
  abort.abort(new Error("called off"));

  await expect(second.turn).rejects.toThrow("called off");
  expect([vms.count, queue.length]).toEqual([1, 0]);
});
