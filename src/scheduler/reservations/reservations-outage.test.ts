import { describe, expect, test } from "vitest";
import { flushMicrotasks, setUp, TTL_MS } from "../../../test/support/scheduler/reservations.ts";
import { Fault } from "../../lib/faults/fault.ts";

const AWAY = new Fault("UNAVAILABLE", "REDIS_UNAVAILABLE", "Redis cannot be reached");

describe("when Redis is away", () => {
  test("no host is asked", async () => {
    const { fleet, store, reserve } = setUp(2);
    store.away = AWAY;

    await expect(reserve()).rejects.toBe(AWAY);
    expect(fleet.flatMap((host) => host.bids)).toEqual([]);
  });

  test("and goes during the auction, all holds end", async () => {
    const { fleet, store, reserve, released } = setUp(2);
    const running = reserve();
    await flushMicrotasks();
    store.away = AWAY;

    for (const host of fleet) host.offer();

    await expect(running).rejects.toBe(AWAY);
    expect(released()).toEqual([1, 2]);
  });

  test("and answers only after the deadline, nothing is promised and all holds end", async () => {
    const { fleet, time, store, reserve, released } = setUp(1);
    const put = store.put.bind(store);
    store.put = (reservation) => {
      time.advance(TTL_MS);
      return put(reservation);
    };
    const running = reserve();
    await flushMicrotasks();
    fleet[0]?.offer();

    await expect(running).rejects.toMatchObject({ reason: "REDIS_UNAVAILABLE" });
    expect(released()).toEqual([1]);
  });

  test("a release still frees the holds this replica knows of", async () => {
    const { store, offering, reservations, reserve, released } = setUp(2);
    offering();
    await reserve();
    store.away = AWAY;

    await expect(reservations.release("r1", 2)).rejects.toBe(AWAY);
    expect(released()).toEqual([1]);
  });

  test("so it does when Redis has lost everything", async () => {
    const { store, offering, reservations, reserve, released } = setUp(2);
    offering();
    await reserve();
    store.known.clear();

    await reservations.release("r1", undefined);

    expect(released()).toEqual([1, 2]);
  });
});
