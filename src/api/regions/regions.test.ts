import { describe, expect, test } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { ALIASES, distanceKm, PLACES } from "./region-places.ts";
import { resolveRegions } from "./regions.ts";

const WORLD = { own: "ord", known: ["gru", "ams", "ord", "sjc", "fra", "syd", "garage"] };

describe("a region expression", () => {
  test.each([
    ["", ["ord"]],
    ["gru", ["gru"]],
    ["gru,ord", ["gru", "ord"]],
    [" gru , ORD ", ["gru", "ord"]],
    ["garage", ["garage"]],
    ["us", ["ord", "sjc"]],
    ["usa", ["ord", "sjc"]],
    ["eu", ["ams", "fra"]],
    ["sa", ["gru"]],
    ["ap", ["syd"]],
    ["any", ["ord", "sjc", "ams", "fra", "gru", "syd", "garage"]],
    ["fra,eu", ["fra", "ams"]],
    ["eu,us,eu", ["ams", "fra", "ord", "sjc"]],
    ["gru,any", ["gru", "ord", "sjc", "ams", "fra", "syd", "garage"]],
    ["af,gru", ["gru"]],
  ])("%j stands for %j", (expression, regions) => {
    expect(resolveRegions(expression, WORLD)).toEqual(regions);
  });

  test("means what is near to the api that is asked", () => {
    expect(resolveRegions("any", { ...WORLD, own: "fra" })).toEqual([
      "fra",
      "ams",
      "ord",
      "sjc",
      "gru",
      "syd",
      "garage",
    ]);
  });

  test("of an api without a scheduler of its own means the nearest that has one", () => {
    expect(resolveRegions("", { own: "lhr", known: ["ord", "fra", "ams"] })).toEqual(["ams"]);
    expect(resolveRegions("", { own: "shed", known: ["ord", "fra"] })).toEqual(["fra"]);
  });

  test.each([
    ["fra2", "names fra2, which is no region"],
    ["ord,lhr", "names lhr, which has no scheduler here"],
    ["ord,", "must not have empty items"],
    [",", "must not have empty items"],
    ["af", "has no region here"],
    [Array.from({ length: 33 }, () => "ord").join(","), "must name at most 32"],
  ])("%j is refused, and told what there is", (expression, description) => {
    const fault = refusal(() => resolveRegions(expression, WORLD));

    expect(fault).toMatchObject({ code: "INVALID_ARGUMENT", reason: "REGION_UNKNOWN" });
    expect(fault.facts["known"]).toBe("ams,fra,garage,gru,ord,sjc,syd");
    expect(fault.violations).toEqual([{ field: "region", description }]);
  });
});

describe("the table of places", () => {
  test("has no region called like a group, and each is in one", () => {
    for (const [code, place] of PLACES) {
      expect(ALIASES.has(code)).toBe(false);
      expect(place.groups.length).toBeGreaterThan(0);
    }
  });

  test.each([
    ["ord", "gru", 8_400],
    ["ord", "ams", 6_600],
    ["sin", "syd", 6_300],
    ["nrt", "sea", 7_650],
  ])("puts %s and %s about %d km apart", (a, b, km) => {
    expect(Math.abs(far(a, b) - km)).toBeLessThan(100);
    expect(far(b, a)).toBeCloseTo(far(a, b));
  });
});

function far(a: string, b: string): number {
  const [from, to] = [PLACES.get(a), PLACES.get(b)];
  if (!from || !to) throw new Error("no such place");
  return distanceKm(from, to);
}

function refusal(work: () => unknown): Fault {
  try {
    work();
  } catch (err) {
    if (err instanceof Fault) return err;
    throw err;
  }
  throw new Error("nothing was thrown");
}
