import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { Semaphore } from "./semaphore.ts";

const never = new AbortController().signal;

function semaphore(permits: number, maxWaiting: number) {
  return new Semaphore({ permits, maxWaiting, full: (waiting) => new Error(`full: ${waiting} wait`) });
}

/** Acquires and, once it is its turn, writes its name down. */
function acquire(from: Semaphore, name: string, order: string[], key?: string, signal = never) {
  const turn = from.acquire(signal, key).then((release) => {
    order.push(name);
    return release;
  });
  return { turn, release: async () => (await turn)() };
}

test("no more hold a permit than there are, and the next gets it when one releases", async () => {
  const two = semaphore(2, 10);
  const order: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => acquire(two, name, order));
  await b?.turn;
  expect([two.held, two.waiting, order]).toEqual([2, 1, ["a", "b"]]);

  await a?.release();
  await a?.release();
  await c?.turn;

  expect([two.held, two.waiting, order]).toEqual([2, 0, ["a", "b", "c"]]);
  await Promise.all([b?.release(), c?.release()]);
  expect(two.held).toBe(0);
});

test("a permit that is released goes to who waits, not to who comes just then", async () => {
  const one = semaphore(1, 10);
  const order: string[] = [];
  const release = await one.acquire(never);
  const waits = acquire(one, "waits", order);

  release();
  const late = acquire(one, "late", order);
  await waits.release();
  await late.release();

  expect(order).toEqual(["waits", "late"]);
});

test("keys take turns, so a burst of one does not keep another waiting", async () => {
  const one = semaphore(1, 10);
  const order: string[] = [];
  const waiting = [
    ["burst", "1"],
    ["burst", "2"],
    ["burst", "3"],
    ["burst", "4"],
    ["other", "x"],
    ["third", "y"],
  ].map(([key, name = ""]) => acquire(one, name, order, key));

  for (const at of [0, 1, 4, 5, 2, 3]) await waiting[at]?.release();

  expect(order).toEqual(["1", "2", "x", "y", "3", "4"]);
});

test("one too many is refused", async () => {
  const one = semaphore(1, 1);
  acquire(one, "holds", []);
  acquire(one, "waits", []);

  expect(one.isFull).toBe(true);
  await expect(one.acquire(never)).rejects.toThrow("full: 1 wait");
});

test("a burst of one key leaves room to others: its newest is refused for theirs", async () => {
  const one = semaphore(1, 3);
  const order: string[] = [];
  const burst = ["1", "2", "3", "4"].map((name) => acquire(one, name, order, "burst"));
  const refused = burst[3]?.turn.catch((err: Error) => err.message);

  const other = acquire(one, "x", order, "other");

  expect(await refused).toBe("full: 3 wait");
  await expect(one.acquire(never, "burst")).rejects.toThrow("full: 3 wait");
  for (const each of [burst[0], burst[1], other, burst[2]]) await each?.release();
  expect(order).toEqual(["1", "2", "x", "3"]);
});

test("is not full for others while one key has all places, and is when each key has one", () => {
  const one = semaphore(1, 2);
  // The newest is refused below.
  for (const name of ["1", "2", "3"]) acquire(one, name, [], "burst").turn.catch(() => {});
  expect([one.waiting, one.isFull]).toEqual([2, false]);

  acquire(one, "x", [], "other");

  expect([one.waiting, one.isFull]).toEqual([2, true]);
});

test("one whose signal aborts leaves the queue, and makes room in it", async () => {
  const one = semaphore(1, 1);
  const order: string[] = [];
  const abort = new AbortController();
  const first = acquire(one, "first", order);
  const second = acquire(one, "second", order, "", abort.signal);

  abort.abort(new Error("called off"));
  await expect(second.turn).rejects.toThrow("called off");
  const third = acquire(one, "third", order);
  await first.release();
  await third.release();

  expect(order).toEqual(["first", "third"]);
  expect([one.held, one.waiting]).toEqual([0, 0]);
  await expect(one.acquire(abort.signal)).rejects.toThrow("called off");
});

test("a permit that comes with the abort is taken, and no listener stays", async () => {
  const one = semaphore(1, 1);
  const abort = new AbortController();
  const release = await one.acquire(never);
  const waits = one.acquire(abort.signal);

  release();
  abort.abort();

  (await waits)();
  expect(one.held).toBe(0);
  expect(getEventListeners(abort.signal, "abort")).toEqual([]);
});

test("a caller whose claim fails waits on, keeps its place, and is passed by others", async () => {
  const two = semaphore(2, 10);
  const order: string[] = [];
  let isFree = false;
  let released = 0;
  const claim = () => {
    if (!isFree) return undefined;
    return () => {
      released += 1;
    };
  };
  const claimed = async (name: string) => {
    const release = await two.acquire(never, "", claim);
    order.push(name);
    return release;
  };
  const first = claimed("first");
  const second = claimed("second");
  const passes = acquire(two, "passes", order);
  await passes.turn;
  expect([two.held, two.waiting, order]).toEqual([1, 2, ["passes"]]);

  isFree = true;
  const late = acquire(two, "late", order);
  const release = await first;
  expect([two.held, two.waiting, order]).toEqual([2, 2, ["passes", "first"]]);
  release();
  release();
  await passes.release();
  await Promise.all([second, late.turn]);

  expect([order, released]).toEqual([["passes", "first", "second", "late"], 1]);
});

test("run releases however the work ends", async () => {
  const one = semaphore(1, 1);

  await expect(one.run(async () => 1, never)).resolves.toBe(1);
  await expect(one.run(() => Promise.reject(new Error("failed")), never)).rejects.toThrow("failed");

  expect(one.held).toBe(0);
});
