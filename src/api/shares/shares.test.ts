import { expect, test } from "vitest";
import { actionOf } from "./actions.ts";
import { DEFAULT_RATES, parseRate, showRate } from "./rates.ts";
import { Shares } from "./shares.ts";
import { CreateSlots } from "./turns/create-slots.ts";

function setUp() {
  const clock = { nowMs: 0 };
  const rates = { ...DEFAULT_RATES, create: { perSecond: 2, burst: 2 } };
  return { clock, shares: new Shares(rates, () => clock.nowMs) };
}

test("an organisation that does too much of one thing may do others, and others may do it", () => {
  const { shares } = setUp();
  shares.take("a", "create");
  shares.take("a", "create");

  expect(shares.take("a", "create")).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "RATE_LIMITED",
    facts: { org: "a", action: "create", limit: "2", burst: "2" },
    retryAfterMs: 500,
  });
  expect(shares.take("a", "start")).toBeUndefined();
  expect(shares.take("b", "create")).toBeUndefined();
});

test("own limits count for buckets that are in use, and are taken back", () => {
  const { shares } = setUp();
  shares.take("a", "create");
  shares.setLimits(new Map([["a", { rates: { create: { perSecond: 1, burst: 1 } } }]]));
  expect(shares.take("a", "create")).toBeUndefined();
  expect(shares.take("a", "create")?.facts).toMatchObject({ limit: "1" });

  shares.setLimits(new Map());

  expect(shares.take("a", "create")?.facts).toMatchObject({ limit: "2" });
});

test("organisations that are idle are forgotten, and those that wait are not", () => {
  const { shares, clock } = setUp();
  for (const org of ["a", "b"]) shares.take(org, "create");
  clock.nowMs = 400;
  shares.take("b", "create");

  clock.nowMs = 600;
  shares.dropIdle();

  expect(shares.size).toBe(1);
});

test("however many organisations call, the number of buckets is bounded", () => {
  const { shares } = setUp();

  for (let org = 0; org < 25_000; org++) shares.take(`o${org}`, "create");

  expect(shares.size).toBe(10_000);
});

test.each([
  ["/windhover.machines.v1.MachinesService/CreateMachine", "create"],
  ["/windhover.machines.v1.MachinesService/DestroyMachine", "stop"],
  ["/windhover.machines.v1.MachinesService/StreamLogs", "follow"],
  ["/windhover.machines.v1.AppsService/ListApps", "read"],
  ["/windhover.admin.v1.OrganizationsService/CreateToken", "admin"],
  ["/windhover.admin.v1.SomethingNew/Frobnicate", "admin"],
])("%s is a %s", (path, action) => {
  expect(actionOf(path)).toBe(action);
});

test("rates are written as they are shown", () => {
  expect(parseRate("create=0.5:3")).toEqual(["create", { perSecond: 0.5, burst: 3 }]);
  expect(showRate("create", { perSecond: 0.5, burst: 3 })).toBe("create=0.5:3");
  for (const wrong of ["", "create", "dance=1:1", "create=0:1", "create=1:0", "create=1", "create=-1:1"])
    expect(() => parseRate(wrong)).toThrow(/create=50:2000/);
});

test("creates under way are bounded, of each organisation and of all, and a slot is given back once", () => {
  const slots = new CreateSlots({ perOrg: 2, total: 3 }, (org) => (org === "small" ? 1 : undefined));
  const taken = [slots.take("a"), slots.take("a"), slots.take("small")];
  const facts = (org: string) => {
    try {
      slots.take(org);
    } catch (err) {
      return err;
    }
    return undefined;
  };

  expect(facts("a")).toMatchObject({
    reason: "CREATES_IN_PROGRESS",
    facts: { of: "organisation", in_progress: "2", limit: "2" },
    retryAfterMs: 1_000,
  });
  expect(facts("small")).toMatchObject({ facts: { of: "organisation", limit: "1" } });
  expect(facts("b")).toMatchObject({ facts: { of: "api", limit: "3" } });
  taken[0]?.[Symbol.dispose]();
  taken[0]?.[Symbol.dispose]();
  expect(facts("b")).toBeUndefined();
  expect(facts("b")).toMatchObject({ facts: { of: "api" } });
});
