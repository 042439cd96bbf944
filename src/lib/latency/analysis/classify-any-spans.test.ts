import fc from "fast-check";
import { expect, test } from "vitest";
import { API_START, CREATE, operations } from "./classify.fixture.ts";
import { HOP_NAMES } from "./hops.ts";

test("whatever the spans and their order, hops add up to each operation, and no operation is lost by the order", () => {
  const names = [
    API_START,
    CREATE,
    "hostd.start",
    "api.create",
    "hostd.stop",
    "proxy.wake",
    "x",
    "guest.exec",
  ];
  const id = fc.integer({ min: 0, max: 12 }).map(String);
  const one = fc.record({
    ...{ id, parent: id, name: fc.constantFrom(...names), service: fc.constantFrom("api", "hostd") },
    ...{ kind: fc.constantFrom("server" as const, "client" as const, "internal" as const) },
    ...{ at: fc.nat(5_000), for: fc.nat(5_000) },
  });
  const spans = fc.uniqueArray(one, { maxLength: 13, selector: (span) => span.id });
  const orders = spans.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  );
  fc.assert(
    fc.property(orders, ([given, shuffled]) => {
      const found = operations(given);

      expect(operations(shuffled)).toEqual(found);
      for (const { hops, durationUs, unexplainedUs } of found) {
        expect(Object.values(hops).reduce((total, us) => total + us, 0)).toBe(durationUs);
        expect(unexplainedUs).toBe(hops["unexplained"] ?? 0);
      }
    }),
  );
});

test("a chain of 5,000 spans with names of their own, and 5,000 torn frames, are taken apart", () => {
  const chain = Array.from({ length: 5_000 }, (_, i) => ({
    ...{ id: `c${i}`, name: i === 0 ? "hostd.start" : `n${i}`, at: i, for: 10_000 - i },
    ...(i > 0 && { parent: `c${i - 1}` }),
  }));
  const torn = chain.map(({ id, ...rest }) => ({
    ...rest,
    id: `t${id}`,
    name: "hostd.stop",
    parent: "lost",
  }));

  const [start, ...others] = operations([...chain, ...torn]);

  expect(start).toMatchObject({ kind: "start", durationUs: 10_000 });
  expect(others.length).toBeLessThan(5_000);
});

test("services may have any names, also those of an object's own parts", () => {
  const [found] = operations([
    { id: "op", name: "hostd.start", at: 0, for: 100 },
    { id: "a", parent: "op", name: "odd", service: "__proto__", at: 0, for: 40 },
    { id: "b", parent: "op", name: "odd", service: "constructor", at: 40, for: 50 },
  ]);

  expect(new Map(Object.entries(found?.hops ?? {}))).toEqual(
    new Map([
      ["__proto__", 40],
      ["constructor", 50],
      ["unexplained", 10],
    ]),
  );
});

test("every hop is named once", () => {
  expect(new Set(HOP_NAMES).size).toBe(HOP_NAMES.length);
});
