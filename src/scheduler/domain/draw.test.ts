import fc from "fast-check";
import { expect, test } from "vitest";
import { seeded } from "./domain.fixture.ts";
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
