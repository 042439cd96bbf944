import { expect, test } from "vitest";
import { rankRegions } from "./closeness.ts";

test("the own region is closest, then the shortest way to any host of a region", () => {
  const ranks = rankRegions("ord", [
    { region: "gru", rttMs: 120 },
    { region: "ams", rttMs: 200 },
    { region: "ams", rttMs: 80 },
    { region: "ord", rttMs: 300 },
    { region: "syd", rttMs: undefined },
  ]);

  expect([...ranks.keys()]).toEqual(["ord", "ams", "gru", "syd"]);
  expect([...ranks.values()]).toEqual([0, 1, 2, 3]);
});

test("small differences do not change the order", () => {
  const order = (a: number, b: number) =>
    [
      ...rankRegions("ord", [
        { region: "a", rttMs: a },
        { region: "b", rttMs: b },
      ]).keys(),
    ].join("");

  expect([order(100, 101), order(101, 100), order(100, 50)]).toEqual(["ab", "ab", "ba"]);
});
