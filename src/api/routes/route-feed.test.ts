import { expect, test } from "vitest";
import { NO_ROUTES } from "./route.ts";
import { type RouteBatch, RouteSubscription } from "./route-feed.ts";

const never = new AbortController().signal;

function batch(xid: bigint, hosts: number): RouteBatch {
  const host = { number: 1, name: "a", region: "ord", address: "127.0.0.1:1" };
  const routes = { ...NO_ROUTES, hosts: Array.from({ length: hosts }, () => host) };
  return { routes, position: { xid, place: 0n } };
}

test("changes for a proxy come in their order, and the wait for the next one ends with its time", async () => {
  const subscription = new RouteSubscription({ xid: 1n, place: 0n });
  subscription.add(batch(2n, 1));
  subscription.add(batch(3n, 1));

  const taken = [
    await subscription.take(1, never),
    await subscription.take(1, never),
    await subscription.take(1, never),
  ];

  expect(taken.map((each) => each?.position.xid)).toEqual([2n, 3n, undefined]);
});

test("a proxy that takes nothing has a bounded number of changes queued, and is then behind", async () => {
  const subscription = new RouteSubscription({ xid: 1n, place: 0n });
  for (let xid = 2n; xid < 12n; xid++) subscription.add(batch(xid, 500));
  expect(subscription.isBehind).toBe(false);

  subscription.add(batch(12n, 1));

  expect(subscription.isBehind).toBe(true);
  expect(await subscription.take(1, never)).toBeUndefined();
  subscription.add(batch(13n, 1));
  expect(await subscription.take(1, never)).toBeUndefined();
});

test("room that was taken can be used again", async () => {
  const subscription = new RouteSubscription({ xid: 1n, place: 0n });
  for (let xid = 2n; xid < 40n; xid++) {
    subscription.add(batch(xid, 4_000));
    await subscription.take(1, never);
  }

  expect(subscription.isBehind).toBe(false);
});

test("a failure ends the wait", async () => {
  const subscription = new RouteSubscription({ xid: 1n, place: 0n });
  const waiting = subscription.take(60_000, never);
  subscription.fail(new Error("away"));

  await expect(waiting).rejects.toThrow("away");
});
