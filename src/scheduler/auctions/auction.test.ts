import { describe, expect, test } from "vitest";
import { offer, SMALL } from "../../../test/support/scheduler/fixture.ts";
import { type Action, AUCTION_LIMITS, Auction, type AuctionLimits } from "./auction.ts";
import type { DeclineReason, Resources } from "./offer.ts";

const LIMITS: AuctionLimits = { sample: 4, maxAsked: 12, enoughOffers: 3, windowMs: 150, betterOfferMs: 5 };

function among(count: number, unlikely = 0) {
  const likely = Array.from({ length: count }, (_, i) => i + 1);
  const others = Array.from({ length: unlikely }, (_, i) => count + i + 1);
  const candidates = {
    take: (wanted: number, onlyLikely: boolean) => {
      const taken = likely.splice(0, wanted);
      return onlyLikely ? taken : [...taken, ...others.splice(0, wanted - taken.length)];
    },
  };
  return new Auction<number>(SMALL, candidates, LIMITS, 0);
}

function asked(step: Action<number> | undefined): readonly number[] {
  return step?.kind === "wait" ? step.ask : [];
}

function no(reason: DeclineReason, largest?: Resources) {
  return { reason, largest };
}

describe("ending early", () => {
  test("three offers, one of them with the image, are enough at once", () => {
    const auction = among(10);
    expect(asked(auction.next(0))).toEqual([1, 2, 3, 4]);

    auction.offered(1, offer(1), 1);
    auction.offered(2, offer(2, { imageLocal: true }), 1);
    const step = auction.offered(3, offer(3), 1);

    expect(step).toEqual({ kind: "over" });
    expect(auction.outcome().offers.map((o) => o.hostNumber)).toEqual([1, 2, 3]);
  });

  test("three offers without the image wait a moment for one that has it", () => {
    const auction = among(10);
    auction.next(0);
    for (const host of [1, 2]) auction.offered(host, offer(host), 1);

    expect(auction.offered(3, offer(3), 2)).toEqual({ kind: "wait", ask: [], untilMs: 7 });
    expect(auction.offered(4, offer(4, { imageLocal: true }), 3)).toEqual({ kind: "over" });
    expect(auction.outcome().offers).toHaveLength(4);
  });

  test("an offer with the image and a machine of the app is not as good as can be", () => {
    const auction = among(10);
    auction.next(0);
    auction.offered(1, offer(1, { imageLocal: true, appMachines: 1 }), 1);
    auction.offered(2, offer(2), 1);

    expect(auction.offered(3, offer(3), 2)).toEqual({ kind: "wait", ask: [], untilMs: 7 });
    expect(auction.offered(4, offer(4), 3)).toEqual({ kind: "over" });
  });

  test("that moment ends", () => {
    const auction = among(10);
    auction.next(0);
    for (const host of [1, 2, 3]) auction.offered(host, offer(host), 2);

    expect(auction.next(7)).toEqual({ kind: "over" });
  });

  test("when all have answered, fewer offers are enough", () => {
    const auction = among(2);
    auction.next(0);
    auction.offered(1, offer(1), 1);

    expect(auction.declined(2, no("no_cpu"), 1)).toEqual({ kind: "over" });
    expect(auction.outcome()).toMatchObject({ asked: 2, declines: new Map([["no_cpu", 1]]) });
  });

  test("without a host it is over before it begins", () => {
    const auction = among(0);

    expect(auction.next(0)).toEqual({ kind: "over" });
    expect(auction.outcome().asked).toBe(0);
  });
});

describe("the window", () => {
  test("ends the auction with the offers it has, and the others have timed out", () => {
    const auction = among(2);
    auction.next(0);
    auction.offered(1, offer(1), 1);

    expect(auction.next(149)).toEqual({ kind: "wait", ask: [], untilMs: 150 });
    expect(auction.next(150)).toEqual({ kind: "over" });
    expect(auction.outcome().declines).toEqual(new Map([["timeout", 1]]));
  });

  test("an offer after the end is of no use", () => {
    const auction = among(2);
    auction.next(0);
    auction.next(150);

    expect(auction.offered(1, offer(1), 151)).toBeUndefined();
    expect(auction.outcome().offers).toHaveLength(0);
  });

  test("a host answers once, and only when it was asked", () => {
    const auction = among(10);
    auction.next(0);
    auction.offered(1, offer(1), 1);

    expect(auction.offered(1, offer(1), 1)).toBeUndefined();
    expect(auction.offered(9, offer(9), 1)).toBeUndefined();
    expect(auction.outcome().offers).toHaveLength(1);
  });
});

describe("widening", () => {
  test("too few offers from those asked: as many again are asked, and no more than the bound", () => {
    const auction = among(100);
    const rounds = [asked(auction.next(0))];

    for (let round = 0; round < 3; round++) {
      const steps = (rounds.at(-1) ?? []).map((host) => auction.declined(host, no("no_memory"), 1));
      rounds.push(asked(steps.at(-1)));
    }

    expect(rounds.map((hosts) => hosts.length)).toEqual([4, 4, 4, 0]);
    expect(auction.outcome()).toMatchObject({ asked: 12, declines: new Map([["no_memory", 12]]) });
  });

  test("a third of the window without enough offers counts as no answer", () => {
    const auction = among(100);
    const first = auction.next(0);
    expect(first).toMatchObject({ untilMs: 50 });

    const second = auction.next(50);
    expect(second).toEqual({ kind: "wait", ask: [5, 6, 7, 8], untilMs: 100 });

    for (const host of [1, 5, 6]) auction.offered(host, offer(host, { imageLocal: true }), 60);
    expect(auction.outcome().offers).toHaveLength(3);
    expect(auction.next(60)).toEqual({ kind: "over" });
  });

  test("with an offer in hand, hosts that seem to have no room are left alone", () => {
    const auction = among(2, 10);
    expect(asked(auction.next(0))).toEqual([1, 2, 3, 4]);
    auction.offered(1, offer(1), 1);
    for (const host of [2, 3]) auction.declined(host, no("no_cpu"), 1);

    expect(auction.declined(4, no("no_cpu"), 1)).toEqual({ kind: "over" });
  });

  test("without one they are asked, because only they know", () => {
    const auction = among(0, 6);
    expect(asked(auction.next(0))).toEqual([1, 2, 3, 4]);
    for (const host of [1, 2, 3]) auction.declined(host, no("no_cpu"), 1);

    expect(asked(auction.declined(4, no("no_cpu"), 1))).toEqual([5, 6]);
  });
});

describe("when all that offer run the app already", () => {
  const crowded = { imageLocal: true, appMachines: 1 };

  test("as many again are asked for one that does not, which ends it", () => {
    const auction = among(100);
    auction.next(0);
    for (const host of [1, 2, 3]) auction.offered(host, offer(host, crowded), 1);

    const step = auction.offered(4, offer(4, crowded), 2);
    expect(step).toEqual({ kind: "wait", ask: [5, 6, 7, 8], untilMs: 7 });
    auction.offered(5, offer(5), 3);
    for (const host of [6, 7]) auction.declined(host, no("no_cpu"), 3);

    expect(auction.declined(8, no("no_cpu"), 4)).toEqual({ kind: "over" });
    expect(auction.outcome().offers.map((o) => o.hostNumber)).toEqual([1, 2, 3, 4, 5]);
  });

  test("that is done once, and waits no longer than a moment", () => {
    const auction = among(100);
    auction.next(0);
    for (const host of [1, 2, 3, 4]) auction.offered(host, offer(host, crowded), 2);

    for (const host of [5, 6]) auction.offered(host, offer(host, crowded), 3);
    expect(auction.next(6.9)).toEqual({ kind: "wait", ask: [], untilMs: 7 });
    expect(auction.next(7)).toEqual({ kind: "over" });
    expect(auction.outcome().asked).toBe(8);
  });

  test("when there is nobody else to ask, one that has not answered gets a moment more", () => {
    const auction = among(4);
    auction.next(0);
    for (const host of [1, 2, 3]) auction.offered(host, offer(host, crowded), 2);

    expect(auction.next(7)).toEqual({ kind: "wait", ask: [], untilMs: 12 });
    expect(auction.offered(4, offer(4), 8)).toEqual({ kind: "over" });
  });

  test("it is over when there is nobody else", () => {
    const auction = among(4, 10);
    auction.next(0);
    for (const host of [1, 2, 3]) auction.offered(host, offer(host, crowded), 1);

    expect(auction.offered(4, offer(4, crowded), 2)).toEqual({ kind: "over" });
  });
});

describe("by default", () => {
  test("a runner-up is there, and an auction that goes well costs eight messages", () => {
    const { sample, enoughOffers, maxAsked } = AUCTION_LIMITS;

    expect(enoughOffers).toBeGreaterThan(1);
    expect(messages(sample)).toBe(8);
    expect(messages(maxAsked) + 1).toBe(384);
  });

  /** Bids, answers, and releases of all but the winner. */
  function messages(asked: number): number {
    return 2 * asked + asked - 1;
  }
});

describe("what would have fitted", () => {
  test("is the room of the one host that comes closest, not a mixture of several", () => {
    const auction = among(2);
    auction.next(0);
    const half = { cpus: 4, memoryMb: 128, diskMb: 5_000 };
    const quarter = { cpus: 1, memoryMb: 64, diskMb: 90_000 };
    auction.declined(1, no("no_memory", quarter), 1);
    auction.declined(2, no("no_memory", half), 1);

    expect(auction.outcome().nearest).toEqual(half);
  });

  test("is unknown when no host has told", () => {
    const auction = among(1);
    auction.next(0);
    auction.declined(1, no("draining"), 1);

    expect(auction.outcome().nearest).toBeUndefined();
  });
});
