import { expect, test } from "vitest";
import type { Machine } from "../../machines/machine.ts";
import { RequestQueue } from "./request-queue.ts";

/** Adds a removal that is done when it is told to be. */
function add(queue: RequestQueue) {
  const { promise, resolve, reject } = Promise.withResolvers<Machine>();
  const done = queue.add({ kind: "destroy", done: promise });
  return { finish: () => resolve({} as Machine), fail: () => reject(new Error("failed")), done };
}

test("a machine has at most 16 requests under way, and takes one when another is done", async () => {
  const queue = new RequestQueue({ onAdd: () => {}, onIdle: () => {} });
  const all = Array.from({ length: 16 }, () => add(queue));

  expect(() => queue.refuseWhenFull("m1")).toThrow(
    expect.objectContaining({ code: "RESOURCE_EXHAUSTED", reason: "MACHINE_BUSY", retryAfterMs: 1_000 }),
  );
  all[0]?.finish();
  await all[0]?.done;

  expect(() => queue.refuseWhenFull("m1")).not.toThrow();
  expect(queue.all).toHaveLength(15);
});

test("work runs after what was there, also when that failed, and the end of the last is told", async () => {
  let idle = 0;
  const onIdle = () => {
    idle += 1;
  };
  const queue = new RequestQueue({ onAdd: () => {}, onIdle });
  const before = add(queue);
  const order: string[] = [];

  const after = queue.after(async () => order.push("after"));
  order.push("before");
  before.fail();
  await expect(before.done).rejects.toThrow("failed");
  await after;

  expect(order).toEqual(["before", "after"]);
  expect(queue.last).toBeUndefined();
  expect(idle).toBe(1);
});

test("a request is told of before it is added", () => {
  const told: unknown[] = [];
  const queue: RequestQueue = new RequestQueue({
    onAdd: (activity) => told.push([activity, queue.activity]),
    onIdle: () => {},
  });

  add(queue);
  add(queue);

  expect(told).toEqual([
    ["destroy", undefined],
    ["destroy", "destroy"],
  ]);
});
