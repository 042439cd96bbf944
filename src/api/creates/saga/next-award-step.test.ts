import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Fault } from "../../../lib/faults/fault.ts";
import type { Offer } from "../../regions/auction.ts";
import {
  type CreateState,
  inDoubtAttempts,
  NEW_CREATE,
  placedAttempt,
  withAttempt,
  withAuction,
  withAuctionOver,
  withOutcome,
} from "../store/create-state.ts";
import { classify, nextAwardStep } from "./next-award-step.ts";

const offer = (hostNumber: number): Offer => ({
  hostNumber,
  hostName: `host-${hostNumber}`,
  hostAddress: `127.0.0.1:${hostNumber}`,
  epoch: "1",
});
const first = withAuction(NEW_CREATE, "c.1", "ord", { offers: [offer(1), offer(2)] });

const next = (state: CreateState, regions: readonly string[] = ["ord"]) => nextAwardStep("c", state, regions);

/** The state after the last auction's host `n` was asked, with this result. */
function tried(
  state: CreateState,
  n: number,
  outcome: "refused" | "in_doubt" | "placed",
  reason = "DISK_FULL",
): CreateState {
  const auction = state.auctions.at(-1)?.reservationId ?? "";
  const id = `${auction}/${n}`;
  return withOutcome(withAttempt(state, id, auction, "ord", offer(n)), id, outcome, reason);
}

describe("the award", () => {
  it("begins with an auction that leaves nobody out", () => {
    expect(next(NEW_CREATE)).toEqual({
      kind: "auction",
      region: "ord",
      reservationId: "c.1",
      excludedHosts: [],
      isFirst: true,
    });
  });

  it("claims the best offer, then the runner-up", () => {
    expect(next(first)).toMatchObject({ kind: "claim", offer: { hostNumber: 1 } });
    expect(next(tried(first, 1, "refused"))).toMatchObject({
      kind: "claim",
      offer: { hostNumber: 2 },
    });
  });

  it("knows that the auction has claimed its best offer, and nothing of the runner-up", () => {
    const claimed = withAuction(NEW_CREATE, "c.1", "ord", { offers: [offer(1), offer(2)], claimedHost: 1 });

    expect(next(claimed)).toMatchObject({ kind: "claim", offer: { hostNumber: 1 }, isClaimed: true });
    expect(next(tried(claimed, 1, "refused"))).toMatchObject({
      kind: "claim",
      offer: { hostNumber: 2 },
      isClaimed: false,
    });
    expect(next(first)).toMatchObject({ kind: "claim", isClaimed: false });
  });

  it("asks again, without a claim, when it does not know the answer", () => {
    const asked = withAttempt(first, "m1", "c.1", "ord", offer(1));

    expect(next(asked)).toMatchObject({ kind: "ask", attempt: { machineId: "m1" } });
  });

  it("ends with the host that has the machine", () => {
    const state = tried(tried(first, 1, "in_doubt"), 2, "placed");

    expect(next(state)).toMatchObject({
      kind: "placed",
      attempt: { offer: { hostNumber: 2 } },
    });
    expect(placedAttempt(state)?.offer.hostNumber).toBe(2);
    expect(inDoubtAttempts(state).map((attempt) => attempt.offer.hostNumber)).toEqual([1]);
  });

  it("holds one more auction without those that failed", () => {
    const state = tried(tried(first, 1, "refused"), 2, "in_doubt", "HOST_UNREACHABLE");

    expect(next(state)).toEqual({
      kind: "auction",
      region: "ord",
      reservationId: "c.2",
      excludedHosts: [1, 2],
      isFirst: false,
    });
  });

  it("lets the second auction's no stand when nobody was left out", () => {
    expect(next(withAuctionOver(first))).toMatchObject({
      kind: "auction",
      excludedHosts: [],
      isFirst: true,
    });
  });

  it("asks hosts again that only lost their hold", () => {
    const state = withAuction(tried(tried(first, 1, "refused", "HOLD_EXPIRED"), 2, "refused"), "c.2", "ord", {
      offers: [],
    });

    expect(next(state)).toMatchObject({
      kind: "auction",
      reservationId: "c.3",
      excludedHosts: [2],
    });
  });

  test.each([
    ["refused", "DISK_FULL", "NO_CAPACITY", "RESOURCE_EXHAUSTED"],
    ["in_doubt", "HOST_UNREACHABLE", "HOST_UNREACHABLE", "UNAVAILABLE"],
  ] as const)("fails when all have %s it", (outcome, reason, expected, code) => {
    const state = withAuction(tried(tried(first, 1, outcome, reason), 2, outcome, reason), "c.2", "ord", {
      offers: [],
    });

    expect(next(state)).toMatchObject({ kind: "fail", fault: { reason: expected, code } });
  });

  it("fails when reservations die before they are claimed", () => {
    const state = withAuctionOver(withAuction(withAuctionOver(first), "c.2", "ord", { offers: [offer(1)] }));

    expect(next(state)).toMatchObject({
      kind: "fail",
      fault: { reason: "SCHEDULER_UNAVAILABLE" },
    });
  });

  it("goes to the next region when one has refused, and there asks anybody", () => {
    const refused = withAuction(NEW_CREATE, "c.1", "ord", {
      offers: [],
      refusal: { reason: "NO_CAPACITY", message: "full" },
    });

    expect(next(refused, ["ord", "gru"])).toEqual({
      kind: "auction",
      region: "gru",
      reservationId: "c.2",
      excludedHosts: [],
      isFirst: true,
    });
  });

  it("goes to the next region when nobody in one took the machine, after as many auctions as there are in any", () => {
    const state = withAuction(tried(tried(first, 1, "refused"), 2, "refused"), "c.2", "ord", { offers: [] });

    expect(next(state, ["ord", "gru"])).toMatchObject({
      kind: "auction",
      region: "gru",
      reservationId: "c.3",
      excludedHosts: [],
      isFirst: true,
    });
    const there = withAuction(state, "c.3", "gru", { offers: [offer(7)] });
    expect(next(there, ["ord", "gru"])).toMatchObject({ kind: "claim", reservationId: "c.3" });
    expect(next(tried(there, 7, "refused"), ["ord", "gru"])).toMatchObject({
      kind: "auction",
      region: "gru",
      reservationId: "c.4",
      excludedHosts: [7],
    });
  });

  test.each([
    ["NO_CAPACITY", "SCHEDULER_UNAVAILABLE", "NO_CAPACITY", "RESOURCE_EXHAUSTED"],
    ["NO_HOSTS", "NO_HOSTS", "NO_HOSTS", "UNAVAILABLE"],
    ["NO_HOSTS", "SCHEDULER_UNAVAILABLE", "SCHEDULER_UNAVAILABLE", "UNAVAILABLE"],
  ] as const)("says of each region why not: %s and %s are %s together", (one, other, reason, code) => {
    const state = withAuction(
      withAuction(NEW_CREATE, "c.1", "ord", { offers: [], refusal: { reason: one, message: "the one" } }),
      "c.2",
      "gru",
      { offers: [], refusal: { reason: other, message: "the other" } },
    );

    expect(next(state, ["ord", "gru"])).toMatchObject({
      kind: "fail",
      fault: {
        ...{ reason, code },
        message: "no region could have the machine; ord: the one; gru: the other",
        facts: { regions: "ord,gru", reason_ord: one, reason_gru: other },
      },
    });
  });

  it("always ends, has the machine on at most one host, and asks no host twice in one auction", () => {
    const answers = fc.array(fc.constantFrom("placed", "refused", "in_doubt", "gone", "expired"), {
      maxLength: 60,
    });
    const auctions = fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 5 }), {
      maxLength: 5,
    });

    const regions = fc.constantFrom<string[]>(["ord"], ["ord", "gru"], ["gru", "ord", "ams"]);

    fc.assert(
      fc.property(answers, auctions, regions, (script, offers, places) => {
        const answer = script[Symbol.iterator]();
        const bids = offers[Symbol.iterator]();
        let state = NEW_CREATE;
        let steps = 0;
        for (;;) {
          steps += 1;
          expect(steps).toBeLessThan(100);
          const step = next(state, places);
          if (step.kind === "fail" || step.kind === "placed") break;
          if (step.kind === "auction") {
            const left = (bids.next().value ?? []).filter((n: number) => !step.excludedHosts.includes(n));
            const isRefused = left.length === 0 && step.isFirst;
            const refusal = isRefused ? { refusal: { reason: "NO_CAPACITY", message: "" } } : {};
            const found = { offers: left.map(offer), ...refusal };
            state = withAuction(state, step.reservationId, step.region, found);
          } else if (step.kind === "claim") {
            const says = answer.next().value ?? "refused";
            if (says === "gone") state = withAuctionOver(state);
            else {
              state = withAttempt(state, `m${steps}`, step.reservationId, "ord", step.offer);
              const outcome = says === "expired" ? "refused" : says;
              state = withOutcome(state, `m${steps}`, outcome, says === "expired" ? "HOLD_EXPIRED" : "OTHER");
            }
          }
        }
        expect(state.attempts.filter((attempt) => attempt.outcome === "placed").length).toBeLessThanOrEqual(
          1,
        );
        for (const place of places) {
          expect(state.auctions.filter((auction) => auction.region === place).length).toBeLessThanOrEqual(3);
        }
        // In one region after the other, and never back.
        const path = state.auctions.map((auction) => places.indexOf(auction.region ?? ""));
        expect(path).toEqual(path.toSorted((a, b) => a - b));
        const asked = state.attempts.map((attempt) => `${attempt.reservationId}/${attempt.offer.hostNumber}`);
        expect(new Set(asked).size).toBe(asked.length);
      }),
    );
  });
});

test.each([
  ["FAILED_PRECONDITION", "HOLD_EXPIRED", "refused"],
  ["FAILED_PRECONDITION", "HOLD_AWARDED", "refused"],
  ["RESOURCE_EXHAUSTED", "DISK_FULL", "refused"],
  ["INVALID_ARGUMENT", "WRONG_HOST", "refused"],
  ["INVALID_ARGUMENT", "INVALID_FIELDS", "fatal"],
  ["UNAVAILABLE", "HOST_UNREACHABLE", "in_doubt"],
  ["INTERNAL", "INTERNAL", "in_doubt"],
] as const)("a host that says %s / %s is taken to have %s it", (code, reason, faultClass) => {
  expect(classify(new Fault(code, reason, ""))).toBe(faultClass);
});
