import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, choose, type Surroundings, type Wishes } from "./choice.ts";

const NO_WISHES: Wishes = { exclude: new Set(), avoid: new Set() };

function machine(id: string, change: Partial<Candidate> = {}): Candidate {
  return {
    ...{ id, region: "ord", readiness: "open", load: 0, softLimit: 2, hardLimit: 4 },
    ...{ isDoubtful: false, isSlow: false, isSuspended: false },
    ...change,
  };
}

function around(change: Partial<Surroundings> = {}): Surroundings {
  return {
    waiting: 0,
    random: () => 0.999,
    rankOf: (region) => ["ord", "gru", "ams"].indexOf(region),
    ...change,
  };
}

function chosen(
  machines: Candidate[],
  wishes: Partial<Wishes> = {},
  surroundings: Partial<Surroundings> = {},
) {
  return choose(machines, { ...NO_WISHES, ...wishes }, around(surroundings));
}

describe("among machines that run", () => {
  test("the closest region comes first, while a machine there is below its soft limit", () => {
    expect(chosen([machine("far", { region: "gru" }), machine("near", { load: 1 })])).toMatchObject({
      id: "near",
    });
    expect(chosen([machine("far", { region: "gru" }), machine("near", { load: 2 })])).toMatchObject({
      id: "far",
    });
  });

  test("the least load comes first, by the share of the soft limit", () => {
    const small = machine("small", { load: 1, softLimit: 2 });
    const large = machine("large", { load: 3, softLimit: 10, hardLimit: 20 });

    expect(chosen([small, large])).toMatchObject({ kind: "place", id: "large" });
  });

  test("equal ones are taken at random, each as often", () => {
    const counts = new Map<string, number>();
    const machines = ["a", "b", "c"].map((id) => machine(id));
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let i = 0; i < 3_000; i++) {
      const choice = chosen(machines, {}, { random });
      if (choice.kind === "place") counts.set(choice.id, (counts.get(choice.id) ?? 0) + 1);
    }

    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    expect(counts.size).toBe(3);
  });

  test("one that has refused the request comes last, and is taken when there is no other", () => {
    expect(chosen([machine("a"), machine("b", { load: 3 })], { avoid: new Set(["a"]) })).toMatchObject({
      id: "b",
    });
    expect(chosen([machine("a")], { avoid: new Set(["a"]) })).toMatchObject({ kind: "place", id: "a" });
  });

  test("one that is excluded, or in another region than the one forced, is never taken", () => {
    expect(chosen([machine("a")], { exclude: new Set(["a"]) })).toEqual({ kind: "none", why: "no_machine" });
    expect(chosen([machine("a")], { forceRegions: ["gru"] })).toEqual({ kind: "none", why: "no_machine" });
    expect(chosen([machine("a"), machine("b")], { forceInstance: "b" })).toMatchObject({ id: "b" });
  });

  test("regions that are preferred come before the closest, in their order", () => {
    const machines = [machine("a"), machine("b", { region: "gru" }), machine("c", { region: "ams" })];

    expect(chosen(machines, { preferRegions: ["ams", "gru"] })).toMatchObject({ id: "c" });
    expect(chosen(machines, { forceRegions: ["gru", "ams"] })).toMatchObject({ id: "b" });
  });
});

describe("a machine that is preferred", () => {
  const wishes = { preferInstance: "b" };

  test("gets the request above its soft limit, and not above its hard limit", () => {
    expect(chosen([machine("a"), machine("b", { load: 3 })], wishes)).toEqual({ kind: "place", id: "b" });
    expect(chosen([machine("a"), machine("b", { load: 4 })], wishes)).toMatchObject({
      kind: "place",
      id: "a",
    });
  });

  test("is started, and waited for, though others run", () => {
    const asleep = machine("b", { readiness: "asleep" });
    const pending = machine("b", { readiness: "pending" });

    expect(chosen([machine("a"), asleep], wishes)).toMatchObject({ kind: "wait", wake: "b" });
    expect(chosen([machine("a"), pending], wishes)).toEqual({ kind: "wait", why: "starting" });
  });

  test("that could not be started, or of which nothing is expected, gives way to others", () => {
    const failed = machine("b", { readiness: "failed" });
    const slow = machine("b", { readiness: "pending", isSlow: true });
    expect(chosen([machine("a"), failed], wishes)).toMatchObject({ kind: "place", id: "a" });
    expect(chosen([machine("a"), slow], wishes)).toMatchObject({ kind: "place", id: "a" });
  });
});

describe("a start", () => {
  const asleep = (id: string, change: Partial<Candidate> = {}) =>
    machine(id, { readiness: "asleep", ...change });
  const pending = (id: string, change: Partial<Candidate> = {}) =>
    machine(id, { readiness: "pending", ...change });

  test("is of one machine, whatever waits, as long as those on their way have room", () => {
    expect(chosen([asleep("a"), asleep("b")])).toMatchObject({ kind: "wait", wake: "a" });
    expect(chosen([pending("a"), asleep("b")], {}, { waiting: 1 })).toEqual({
      kind: "wait",
      why: "starting",
    });
    expect(chosen([pending("a"), asleep("b")], {}, { waiting: 2 })).toMatchObject({
      kind: "wait",
      wake: "b",
    });
  });

  test("is called for when all are above their soft limits, and the request does not wait for it", () => {
    expect(chosen([machine("a", { load: 2 }), asleep("b")])).toEqual({ kind: "place", id: "a", wake: "b" });
    expect(chosen([machine("a", { load: 1 }), asleep("b")])).toEqual({ kind: "place", id: "a" });
    expect(chosen([machine("a", { load: 2 }), pending("b"), asleep("c")])).toEqual({
      kind: "place",
      id: "a",
    });
  });

  test("does not count on a machine that has been on its way for long", () => {
    expect(chosen([pending("a", { isSlow: true }), asleep("b")])).toMatchObject({ kind: "wait", wake: "b" });
  });

  test("takes a suspended machine first, and one in between last", () => {
    const machines = [
      machine("a", { readiness: "passing" }),
      asleep("b"),
      asleep("c", { isSuspended: true }),
    ];

    expect(chosen(machines)).toMatchObject({ wake: "c" });
    expect(chosen(machines.slice(0, 2))).toMatchObject({ wake: "b" });
    expect(chosen(machines.slice(0, 1))).toMatchObject({ wake: "a" });
  });

  test("takes the closest region, also when another machine there is full", () => {
    expect(chosen([asleep("a", { region: "gru" }), asleep("b"), machine("c", { load: 4 })])).toMatchObject({
      kind: "wait",
      wake: "b",
    });
  });
});

describe("without a place", () => {
  test("a request waits for machines that are full, and says why there is none otherwise", () => {
    expect(chosen([machine("a", { load: 4 })])).toEqual({ kind: "wait", why: "full" });
    expect(chosen([machine("a", { readiness: "autostart_off" })])).toEqual({
      kind: "none",
      why: "autostart_off",
    });
    expect(chosen([machine("a", { readiness: "failed" }), machine("b", { readiness: "closed" })])).toEqual({
      kind: "none",
      why: "failed",
    });
    expect(chosen([machine("a", { readiness: "closed" })])).toEqual({ kind: "none", why: "no_machine" });
  });
});

const readiness = fc.constantFrom<Candidate["readiness"][]>(
  ...(["open", "pending", "asleep", "passing", "autostart_off", "failed", "closed"] as const),
);
const candidates = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom("a", "b", "c", "d", "e", "f"),
    region: fc.constantFrom("ord", "gru", "ams"),
    readiness,
    load: fc.nat(6),
    softLimit: fc.integer({ min: 1, max: 4 }),
    hardLimit: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(Number.POSITIVE_INFINITY)),
    isDoubtful: fc.boolean(),
    isSlow: fc.boolean(),
    isSuspended: fc.boolean(),
  }),
  { selector: ({ id }) => id },
);
const ids = fc.subarray(["a", "b", "c", "d", "e", "f"]).map((each) => new Set(each));
const wishes = fc.record(
  {
    exclude: ids,
    avoid: ids,
    forceInstance: fc.constantFrom("a", "b", "c"),
    preferInstance: fc.constantFrom("a", "b", "c"),
    forceRegions: fc.subarray(["ord", "gru", "ams"], { minLength: 1 }),
    preferRegions: fc.subarray(["ord", "gru", "ams"]),
  },
  { requiredKeys: ["exclude", "avoid"] },
);

test("every choice keeps to limits, readiness and wishes, and none is missed", () => {
  fc.assert(
    fc.property(
      candidates,
      wishes,
      fc.nat(8),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (all, want, waiting, r) => {
        const choice = choose(all, want, around({ waiting, random: () => r }));
        const allowed = all.filter(
          ({ id, region }) =>
            !want.exclude.has(id) &&
            (want.forceInstance === undefined || want.forceInstance === id) &&
            (want.forceRegions === undefined || want.forceRegions.includes(region)),
        );
        const free = allowed.filter((each) => each.readiness === "open" && each.load < each.hardLimit);
        const wake = choice.kind === "none" ? undefined : choice.wake;
        const woken = allowed.find(({ id }) => id === wake);

        if (wake !== undefined) expect(["asleep", "passing"]).toContain(woken?.readiness);
        if (choice.kind === "place") expect(free.map(({ id }) => id)).toContain(choice.id);
        // A request waits though there is room only for the machine that it prefers.
        else if (free.length > 0) expect(allowed.map(({ id }) => id)).toContain(want.preferInstance);
        const hope = allowed.some((each) =>
          ["open", "pending", "asleep", "passing"].includes(each.readiness),
        );
        expect(choice.kind === "none").toBe(!hope);
      },
    ),
    { numRuns: 500 },
  );
});
