import fc from "fast-check";
import { expect, test } from "vitest";
import { seeded } from "../../../test/support/scheduler/fixture.ts";
import { Draw, type Prospect } from "./draw.ts";

test("every host comes once, the likely ones first, the excluded never", () => {
  const prospects = fc.array(fc.constantFrom<Prospect>("likely", "unlikely", "excluded"), { maxLength: 40 });
  fc.assert(
    fc.property(prospects, fc.integer(), fc.integer({ min: 1, max: 7 }), (fleet, seed, step) => {
      const hosts = fleet.map((prospect, number) => ({ prospect, number }));
      const draw = new Draw(hosts, (host) => host.prospect, seeded(seed));
      const drawn: typeof hosts = [];
      for (let some = draw.take(step); some.length > 0; some = draw.take(step)) drawn.push(...some);

      const count = (prospect: Prospect) => hosts.filter((h) => h.prospect === prospect).length;
      expect(new Set(drawn).size).toBe(drawn.length);
      expect(drawn.map((h) => h.prospect)).toEqual([
        ...Array<Prospect>(count("likely")).fill("likely"),
        ...Array<Prospect>(count("unlikely")).fill("unlikely"),
      ]);
    }),
  );
});

test("only likely ones come when only those are wanted, and the others are still there afterwards", () => {
  const draw = new Draw([1, 2, 3, 4], (host) => (host > 2 ? "unlikely" : "likely"), seeded(1));

  expect(draw.take(4, true).sort()).toEqual([1, 2]);
  expect(draw.take(4, true)).toEqual([]);
  expect(draw.take(4).sort()).toEqual([3, 4]);
});

test("the preferred come first, the likely of them and no more than wanted, and then never again", () => {
  const prospects = fc.array(fc.constantFrom<Prospect>("likely", "unlikely", "excluded"), { maxLength: 30 });
  const wanted = fc.integer({ min: 0, max: 3 });
  fc.assert(
    fc.property(
      prospects,
      fc.integer(),
      fc.integer({ min: 1, max: 5 }),
      wanted,
      (fleet, seed, step, count) => {
        const hosts = fleet.map((prospect, number) => ({ prospect, number }));
        const preferred = hosts.filter(({ number }) => number % 2 === 0);
        const askable = preferred.filter(({ prospect }) => prospect === "likely").length;
        const draw = new Draw(hosts, (host) => host.prospect, seeded(seed));
        draw.prefer(preferred, count);
        // As it may while an auction goes on.
        preferred.reverse().pop();
        const drawn: typeof hosts = [];
        for (let some = draw.take(step); some.length > 0; some = draw.take(step)) drawn.push(...some);

        const first = drawn.slice(0, Math.min(count, askable));
        for (const host of first)
          expect(host).toMatchObject({ prospect: "likely", number: host.number & ~1 });
        expect(new Set(drawn).size).toBe(drawn.length);
        expect(drawn).toHaveLength(fleet.filter((prospect) => prospect !== "excluded").length);
      },
    ),
  );
});

test("each of the preferred is drawn equally often, and so is each of all hosts after them", () => {
  const hosts = Array.from({ length: 8 }, (_, i) => i);
  const random = seeded(4);
  const [first, next] = [hosts.map(() => 0), hosts.map(() => 0)];
  for (let i = 0; i < 8_000; i++) {
    const draw = new Draw(hosts, () => "likely", random);
    draw.prefer([0, 1, 2, 3], 1);
    const [one = 0, other = 0] = draw.take(2);
    first[one] = (first[one] ?? 0) + 1;
    next[other] = (next[other] ?? 0) + 1;
  }

  expect(first.slice(4)).toEqual([0, 0, 0, 0]);
  for (const count of first.slice(0, 4)) expect(count).toBeGreaterThan(1_850);
  // A host that has the image is not drawn again when it has been, which is each fourth time.
  for (const count of next.slice(0, 4)) expect(count).toBeGreaterThan(750);
  for (const count of next.slice(4)) expect(count).toBeGreaterThan(1_020);
});

test("each host is drawn equally often", () => {
  const hosts = Array.from({ length: 10 }, (_, i) => i);
  const random = seeded(3);
  const counts = hosts.map(() => 0);
  for (let i = 0; i < 5_000; i++) {
    for (const host of new Draw(hosts, () => "likely", random).take(2))
      counts[host] = (counts[host] ?? 0) + 1;
  }

  for (const count of counts) expect(count).toBeGreaterThan(870);
});

test("in a fleet with room, drawing a few looks at a few", () => {
  let looked = 0;
  const hosts = Array.from({ length: 100_000 }, (_, i) => i);
  const draw = new Draw(
    hosts,
    () => {
      looked++;
      return "likely";
    },
    seeded(1),
  );

  expect(draw.take(8)).toHaveLength(8);
  expect(looked).toBe(8);
});
