import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { offer, SMALL } from "../../../test/support/scheduler/fixture.ts";
import { flushMicrotasks, setUp, TTL_MS } from "../../../test/support/scheduler/reservations.ts";

describe("reserving", () => {
  test("keeps three offers and releases the other holds at once", async () => {
    const { fleet, reserve, released, releases, time } = setUp(5);
    const running = reserve();
    await flushMicrotasks();
    for (const host of fleet) host.offer();
    time.pass(5);

    const { offers, hostsAsked } = await running;

    expect(hostsAsked).toBe(5);
    expect(offers).toHaveLength(3);
    const kept = offers.map((offer) => offer.hostNumber);
    expect(released()).toEqual([1, 2, 3, 4, 5].filter((number) => !kept.includes(number)));
    expect(releases).toEqual(new Map([["outbid", 2]]));
  });

  test("the deadline counts from before the first host was asked", async () => {
    const { time, fleet, reserve } = setUp(2);
    const startedAt = time.now();
    const running = reserve();
    await flushMicrotasks();
    fleet[0]?.offer();
    time.pass(150);

    expect((await running).deadlineMs).toBe(startedAt + TTL_MS);
  });

  test("a repeat returns the same reservation without asking again", async () => {
    const { fleet, offering, reserve } = setUp(2);
    offering();
    const first = await reserve();

    const second = await reserve();

    expect(second).toEqual(first);
    expect(fleet.map((host) => host.bids.length)).toEqual([1, 1]);
  });

  test("a repeat while the auction runs waits for it", async () => {
    const { fleet, reserve } = setUp(1);
    const both = [reserve(), reserve()];
    await flushMicrotasks();

    fleet[0]?.offer();

    const [first, second] = await Promise.all(both);
    expect(second).toBe(first);
    expect(fleet[0]?.bids).toHaveLength(1);
  });

  test("of two replicas that were asked the same, the first to store wins, and the holds of the other end", async () => {
    const { fleet, store, time, reserve, released } = setUp(2);
    const running = reserve();
    await flushMicrotasks();
    const theirs = {
      ...{ id: "r1", offers: [], hostsAsked: 1, app: "web", resources: SMALL },
      deadlineMs: time.now() + TTL_MS,
    };
    await store.put(theirs);

    for (const host of fleet) host.offer();

    expect(await running).toEqual(theirs);
    expect(released()).toEqual([1, 2]);
  });

  test("more auctions at once than the bound are refused, with when to come back", async () => {
    const { reserve, fleet } = setUp(1, 2);
    const running = [reserve("r1"), reserve("r2")];
    await flushMicrotasks();

    await expect(reserve("r3")).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "AUCTION_QUEUE_FULL",
      retryAfterMs: expect.any(Number),
    });

    for (const id of ["r1", "r2"]) fleet[0]?.offer({}, id);
    await Promise.all(running);
    const fourth = reserve("r4");
    await flushMicrotasks();
    fleet[0]?.offer({}, "r4");
    await expect(fourth).resolves.toMatchObject({ id: "r4" });
  });
});

describe("claiming", () => {
  test("gives the offer to the first claimant, and to it again", async () => {
    const { offering, reservations, reserve } = setUp(2);
    offering();
    await reserve();

    expect(await reservations.claim("r1", "saga-1", 2)).toMatchObject({ hostNumber: 2 });
    expect(await reservations.claim("r1", "saga-1", 1)).toMatchObject({ hostNumber: 1 });
    await expect(reservations.claim("r1", "saga-2", 1)).rejects.toMatchObject({
      code: "ABORTED",
      reason: "RESERVATION_CLAIMED",
    });
  });

  test("a host that made no offer cannot be claimed", async () => {
    const { offering, reservations, reserve } = setUp(1);
    offering();
    await reserve();

    await expect(reservations.claim("r1", "saga-1", 9)).rejects.toMatchObject({ reason: "OFFER_UNKNOWN" });
  });

  test("at the deadline it is over", async () => {
    const { time, offering, reservations, reserve } = setUp(1);
    offering();
    await reserve();
    time.pass(TTL_MS);

    await expect(reservations.claim("r1", "saga-1", 1)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "RESERVATION_EXPIRED",
    });
  });
});

describe("reserving for a claimant", () => {
  test("claims the best offer with it, and a repeat returns the same claim", async () => {
    const { offering, reserveFor, reservations } = setUp(2);
    offering();
    const claim = await reserveFor("saga-1");
    const [best] = (await reservations.list(1)).listed[0]?.reservation.offers ?? [];

    expect(claim).toEqual({ claimant: "saga-1", hostNumber: best?.hostNumber });
    expect(await reserveFor("saga-1")).toEqual(claim);
    expect(await reserveFor("saga-2")).toEqual(claim);
    await expect(reservations.claim("r1", "saga-2", 1)).rejects.toMatchObject({
      reason: "RESERVATION_CLAIMED",
    });
  });

  test("claims nothing of a live one", async () => {
    const { offering, reserve, reserveFor, reservations } = setUp(2);
    offering();
    await reserve();

    expect(await reserveFor("saga-1")).toBeUndefined();
    await expect(reservations.claim("r1", "saga-2", 1)).resolves.toBeDefined();
  });

  test("that another replica stored meanwhile gets what that one has claimed", async () => {
    const { fleet, store, time, reserveFor } = setUp(2);
    const running = reserveFor("saga-1");
    await flushMicrotasks();
    const theirs = {
      ...{ id: "r1", offers: [offer(7)], hostsAsked: 1, app: "web", resources: SMALL },
      deadlineMs: time.now() + TTL_MS,
    };
    await store.put(theirs, "saga-1");

    for (const host of fleet) host.offer();

    expect(await running).toEqual({ claimant: "saga-1", hostNumber: 7 });
  });

  test("may claim a runner-up, which is its own then, and expiry leaves its hold", async () => {
    const { offering, reserveFor, reservations, released, time } = setUp(2);
    offering();
    const first = (await reserveFor("saga-1"))?.hostNumber ?? 0;
    const second = first === 1 ? 2 : 1;
    await reservations.claim("r1", "saga-1", second);

    expect(await reserveFor("saga-1")).toEqual({ claimant: "saga-1", hostNumber: second });
    time.pass(TTL_MS);
    await reservations.expire();
    expect(released()).toEqual([first]);
  });
});

describe("ending", () => {
  test("releases all holds but that of the awarded host", async () => {
    const { offering, reservations, reserve, released, releases } = setUp(3);
    offering();
    await reserve();

    await reservations.release("r1", 2);
    await reservations.release("r1", 2);

    expect(released()).toEqual([1, 3]);
    expect(releases).toEqual(new Map([["released", 2]]));
  });

  test("expired reservations end, and the host of a claimed offer keeps its hold", async () => {
    const { time, offering, reservations, reserve, released } = setUp(2);
    offering();
    await reserve("r1");
    await reserve("r2");
    await reservations.claim("r2", "saga-1", 1);
    expect(await reservations.expire()).toBe(0);
    time.pass(TTL_MS);

    expect(await reservations.expire()).toBe(2);
    expect(released("r1")).toEqual([1, 2]);
    expect(released("r2")).toEqual([2]);
  });
});

test("whatever hosts do, a hold is kept exactly by the offers that the reservation names", async () => {
  const behaviour = fc.constantFrom(
    "offer",
    "offer with image",
    "decline",
    "silent",
    "late",
    "goes",
    "twice",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(behaviour, { minLength: 1, maxLength: 12 }), async (behaviours) => {
      const { time, hosts, fleet, reserve } = setUp(behaviours.length);
      const held = new Set<number>();
      const doing = new Map(fleet.map((host, i) => [host, behaviours[i]] as const));
      const running = reserve().then(
        (reservation) => reservation.offers,
        () => [],
      );
      await flushMicrotasks();
      for (const [host, how] of doing) {
        if (host.bids.length === 0 || how === "silent") continue;
        if (how !== "decline" && how !== "goes") held.add(host.number);
        if (how === "offer" || how === "twice") host.offer();
        if (how === "twice") host.offer();
        if (how === "offer with image") host.offer({ imageLocal: true });
        if (how === "decline") host.decline("no_cpu", { cpus: 0, memoryMb: 1, diskMb: 1 });
        if (how === "goes") hosts.detach(host.host);
      }
      time.pass(150);
      const named = await running;
      for (const [host, how] of doing) if (how === "late" && host.bids.length > 0) host.offer();

      for (const host of fleet) for (const _ of host.released) held.delete(host.number);
      expect([...held].sort()).toEqual(named.map((offer) => offer.hostNumber).sort());
    }),
  );
});
