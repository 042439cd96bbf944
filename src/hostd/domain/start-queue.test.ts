import { expect, test } from "vitest";
import { StartQueue } from "./start-queue.ts";

const NEVER = new AbortController().signal;

/** Enters and, once it is its turn, writes its name down and leaves when told. */
function enter(queue: StartQueue, key: string, name: string, order: string[], signal = NEVER) {
  let leave: () => void = () => {};
  const turn = queue.enter(key, signal).then((release) => {
    order.push(name);
    leave = release;
  });
  return { turn, leave: () => leave() };
}

test("no more run at once than allowed, and the next begins when one ends", async () => {
  const queue = new StartQueue({ concurrency: 2, bound: 10 });
  const order: string[] = [];
  const starts = ["a", "b", "c"].map((name) => enter(queue, "org", name, order));
  await Promise.all(starts.slice(0, 2).map(({ turn }) => turn));

  expect([queue.running, queue.length, order]).toEqual([2, 1, ["a", "b"]]);
  starts[0]?.leave();
  starts[0]?.leave();
  await starts[2]?.turn;

  expect([queue.running, queue.length, order]).toEqual([2, 0, ["a", "b", "c"]]);
});

test("organisations take turns, so a burst of one does not keep another waiting", async () => {
  const queue = new StartQueue({ concurrency: 1, bound: 10 });
  const order: string[] = [];
  const names: [string, string][] = [
    ["burst", "1"],
    ["burst", "2"],
    ["burst", "3"],
    ["burst", "4"],
    ["other", "x"],
    ["third", "y"],
  ];
  const starts = names.map(([key, name]) => enter(queue, key, name, order));

  for (const start of [0, 1, 4, 5, 2, 3]) {
    await starts[start]?.turn;
    starts[start]?.leave();
  }

  expect(order).toEqual(["1", "2", "x", "y", "3", "4"]);
});

test("one too many is refused with a hint when to come back", async () => {
  const queue = new StartQueue({ concurrency: 1, bound: 1 });
  const order: string[] = [];
  enter(queue, "org", "runs", order);
  enter(queue, "org", "waits", order);

  expect(() => queue.enter("org", NEVER)).toThrow(
    expect.objectContaining({ code: "RESOURCE_EXHAUSTED", reason: "START_QUEUE_FULL", retryAfterMs: 1_000 }),
  );
});

test("one that is called off leaves the queue and does not take its turn", async () => {
  const queue = new StartQueue({ concurrency: 1, bound: 10 });
  const order: string[] = [];
  const abort = new AbortController();
  const first = enter(queue, "org", "first", order);
  const second = enter(queue, "org", "second", order, abort.signal);
  const third = enter(queue, "org", "third", order);
  await first.turn;

  abort.abort(new Error("called off"));
  await expect(second.turn).rejects.toThrow("called off");
  first.leave();
  await third.turn;

  expect(order).toEqual(["first", "third"]);
  expect(queue.length).toBe(0);
});
