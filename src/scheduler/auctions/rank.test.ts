import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { offer, seeded } from "../../../test/support/scheduler/fixture.ts";
import type { Offer } from "./offer.ts";
import { beatsAnyPull, rank } from "./rank.ts";

const anOffer: fc.Arbitrary<Omit<Offer, "hostNumber">> = fc
  .record({
    imageLocal: fc.boolean(),
    inFlight: fc.integer({ min: 0, max: 20 }),
    load: fc.oneof(fc.double({ min: -1, max: 3 }), fc.constant(Number.NaN)),
    warmVms: fc.integer({ min: 0, max: 3 }),
    appMachines: fc.integer({ min: 0, max: 5 }),
    memoryMb: fc.integer({ min: 0, max: 65_536 }),
  })
  .map(({ memoryMb, ...traits }) => offer(0, { ...traits, freeAfter: { cpus: 1, memoryMb, diskMb: 1 } }));

const offers = fc
  .array(anOffer, { maxLength: 20 })
  .map((list) => list.map((one, i) => ({ ...one, hostNumber: i + 1 })));

function order(list: readonly Offer[], random = seeded(1)): number[] {
  return rank(list, { random }).map((o) => o.hostNumber);
}

describe("for any offers", () => {
  test("each comes out exactly once", () => {
    fc.assert(
      fc.property(offers, (list) => {
        expect(order(list).sort((a, b) => a - b)).toEqual(list.map((o) => o.hostNumber));
      }),
    );
  });

  test("the same random numbers give the same order", () => {
    fc.assert(
      fc.property(offers, fc.integer(), (list, seed) => {
        expect(order(list, seeded(seed))).toEqual(order(list, seeded(seed)));
      }),
    );
  });

  test("none that has to be pulled for comes before one that beats any pull", () => {
    const strategy = fc.constantFrom("pack" as const, "spread" as const);
    fc.assert(
      fc.property(offers, strategy, fc.integer(), (list, how, seed) => {
        const ranked = rank(list, { strategy: how, random: seeded(seed) });
        const firstPull = ranked.findIndex((o) => !o.imageLocal);
        fc.pre(firstPull >= 0);

        expect(ranked.slice(firstPull).filter(beatsAnyPull)).toEqual([]);
      }),
    );
  });

  const better: [string, (o: Offer) => Offer][] = [
    ["the image", (o) => ({ ...o, imageLocal: true })],
    ["a warm VM", (o) => ({ ...o, warmVms: o.warmVms + 1 })],
    ["less load", (o) => ({ ...o, load: o.load / 2 })],
    ["fewer machines of the app", (o) => ({ ...o, appMachines: Math.max(0, o.appMachines - 1) })],
    ["more room", (o) => ({ ...o, freeAfter: { ...o.freeAfter, memoryMb: o.freeAfter.memoryMb * 2 } })],
  ];
  test.each(better)("%s never makes an offer worse", (_, improve) => {
    fc.assert(
      fc.property(offers, fc.nat(), fc.integer(), (list, pick, seed) => {
        const chosen = list[pick % Math.max(1, list.length)];
        fc.pre(chosen !== undefined && chosen.load >= 0);
        const improved = list.map((o) => (o === chosen ? improve(o) : o));
        const place = (among: readonly Offer[]) => order(among, seeded(seed)).indexOf(chosen.hostNumber);

        expect(place(improved)).toBeLessThanOrEqual(place(list));
      }),
    );
  });
});

describe("what counts for how much", () => {
  test("the image beats a warm VM, an idle CPU and more room together", () => {
    const local = offer(1, { imageLocal: true, load: 0.9, freeAfter: { cpus: 1, memoryMb: 1, diskMb: 1 } });
    const idle = offer(2, { warmVms: 3 });

    expect(order([idle, local])).toEqual([1, 2]);
  });

  test("another host beats the one that has the image and runs a machine of the app", () => {
    const crowded = offer(1, { imageLocal: true, warmVms: 2, appMachines: 1 });
    const fresh = offer(2, { warmVms: 2 });

    expect(order([crowded, fresh])).toEqual([2, 1]);
  });

  test("packing prefers the fuller host, spreading the emptier one", () => {
    const full = offer(1, { freeAfter: { cpus: 1, memoryMb: 512, diskMb: 1 } });
    const empty = offer(2);
    const first = (strategy: "pack" | "spread") =>
      rank([full, empty], { strategy, random: seeded(1) })[0]?.hostNumber;

    expect(first("pack")).toBe(1);
    expect(first("spread")).toBe(2);
  });

  test("a host that refused lately comes after the others, the more the more it refused", () => {
    const refusals = new Map([
      [1, 3],
      [2, 1],
    ]);
    const offers = [offer(1, { imageLocal: true }), offer(2), offer(3)];

    const ranked = rank(offers, { refusals: (number) => refusals.get(number) ?? 0, random: seeded(1) });

    expect(ranked.map(({ hostNumber }) => hostNumber)).toEqual([3, 2, 1]);
  });

  test("a pull is beaten by a host that has the image and little else to do", () => {
    const local = offer(1, { imageLocal: true });

    expect(beatsAnyPull(local)).toBe(true);
    expect(beatsAnyPull({ ...local, load: 0.5, inFlight: 3 })).toBe(true);
    for (const burden of [{ imageLocal: false }, { appMachines: 1 }, { inFlight: 8 }, { load: 1 }]) {
      expect(beatsAnyPull({ ...local, ...burden })).toBe(false);
    }
  });

  test("work in flight counts, up to a point", () => {
    expect(order([offer(1, { inFlight: 4 }), offer(2, { inFlight: 1 })])).toEqual([2, 1]);
    expect(order([offer(1, { inFlight: Number.NaN }), offer(2, { inFlight: 31 })])).toEqual([2, 1]);
  });

  test("a load that is no number counts as full", () => {
    expect(order([offer(1, { load: Number.NaN }), offer(2, { load: 0.5 })])).toEqual([2, 1]);
  });

  test("equal offers win equally often", () => {
    const equal = [1, 2, 3, 4].map((n) => offer(n, { load: 0.1 + n / 1_000 }));
    const random = seeded(7);
    const wins = new Map<number, number>();
    for (let i = 0; i < 4_000; i++) {
      const first = order(equal, random)[0] ?? 0;
      wins.set(first, (wins.get(first) ?? 0) + 1);
    }

    for (const n of [1, 2, 3, 4]) expect(wins.get(n)).toBeGreaterThan(850);
  });
});
