import { expect, test } from "vitest";
import { limitsOf, rate } from "./limits.ts";

test("rates are given for each action, and the last one counts", () => {
  const flags = { rate: rate("create=1.5:3", rate("create=9:9", rate("start=2:4"))), creates: 7 };

  expect(limitsOf(flags)).toEqual({
    rates: [
      { action: "start", perSecond: 2, burst: 4 },
      { action: "create", perSecond: 1.5, burst: 3 },
    ],
    createsInProgress: 7,
  });
});

test("what is not given stays, and default takes back", () => {
  const create = { action: "create", perSecond: 1, burst: 1 };
  const before = { rates: [create, { action: "read", perSecond: 5, burst: 5 }], createsInProgress: 3 };

  expect(limitsOf({}, before)).toBeUndefined();
  expect(limitsOf({ rate: rate("read=default") }, before)).toEqual({ rates: [create], createsInProgress: 3 });
  expect(limitsOf({ creates: 0 }, before)).toEqual({ rates: before.rates, createsInProgress: 0 });
});

test.each(["create", "create=", "create=1", "=1:1", "create=1:1.5", "create=-1:1", "Create=1:1"])(
  "%j is refused with an example",
  (text) => {
    expect(() => rate(text)).toThrow(/create=10:100/);
  },
);
