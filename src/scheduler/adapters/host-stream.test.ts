import { expect, test } from "vitest";
import { Fault } from "../../lib/fault.ts";
import { bid } from "../domain/domain.fixture.ts";
import { HostQueue } from "./host-stream.ts";

const BID = bid();
const TERMS = { holdMs: 5_000, windowMs: 150, traceparent: "" };

test("hands out what was put in, in order, and releases in a row as one", async () => {
  const queue = new HostQueue();
  const taken = queue[Symbol.asyncIterator]();
  queue.letGo("a");
  queue.letGo("b");
  queue.ask(BID, TERMS);
  queue.letGo("c");

  expect((await taken.next()).value).toEqual({ kind: "release", reservationIds: ["a", "b"] });
  expect((await taken.next()).value).toEqual({ kind: "bid", bid: BID, terms: TERMS });
  expect((await taken.next()).value).toEqual({ kind: "release", reservationIds: ["c"] });
});

test("wakes the reader that waits", async () => {
  const queue = new HostQueue();
  const next = queue[Symbol.asyncIterator]().next();

  queue.ask(BID, TERMS);

  expect((await next).value).toMatchObject({ kind: "bid" });
});

test("takes no more than its bound from auctions when nobody reads", () => {
  const queue = new HostQueue();
  let taken = 0;
  while (queue.ask(BID, TERMS)) taken++;

  expect(taken).toBe(2_048);
  expect(queue.letGo("r1")).toBe(false);
});

test("one release message carries no more than so many reservations", async () => {
  const queue = new HostQueue();
  for (let i = 0; i < 1_025; i++) queue.letGo(`r${i}`);
  const taken = queue[Symbol.asyncIterator]();

  expect((await taken.next()).value).toHaveProperty("reservationIds.length", 1_024);
  expect((await taken.next()).value).toHaveProperty("reservationIds.length", 1);
});

test("ends with its fault, drops what is left, and takes nothing more", async () => {
  const queue = new HostQueue();
  const fault = new Fault("ABORTED", "HOST_REPLACED", "attached anew");
  queue.ask(BID, TERMS);

  queue.end(fault);

  await expect(queue[Symbol.asyncIterator]().next()).rejects.toBe(fault);
  expect(queue.ask(BID, TERMS)).toBe(false);
  expect(queue.letGo("r1")).toBe(false);
});

test("ends without a fault when it is closed", async () => {
  const queue = new HostQueue();
  queue.close();

  expect(await queue[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
});
