import { expect, test } from "vitest";
import { type PlaceFor, Places } from "./places.ts";

const never = new AbortController().signal;
const LIMITS = { total: 4, perOrg: 2, perRegistry: 3, maxWaiting: 8, maxOfOrg: 5 };

/** Begins work that ends when told to. */
function begin(places: Places, place: PlaceFor) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const control = { isRunning: false, end: resolve, result: Promise.resolve() };
  control.result = places.run(
    async () => {
      control.isRunning = true;
      await promise;
      control.isRunning = false;
    },
    never,
    place,
  );
  control.result.catch(() => undefined);
  return control;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("one organisation takes its share of the places, and one registry too", async () => {
  const places = new Places(LIMITS);

  const all = [
    ...["a", "a", "a"].map((org) => begin(places, { org, registry: "slow" })),
    ...["b", "b"].map((org) => begin(places, { org, registry: "slow" })),
    begin(places, { org: "b", registry: "fast" }),
  ];
  await turn();
  expect(all.map(({ isRunning }) => isRunning)).toEqual([true, true, false, true, false, true]);

  all[3]?.end();
  await turn();
  expect(all.map(({ isRunning }) => isRunning)).toEqual([true, true, false, false, true, true]);
});

test("one too many of an organisation is refused, and others still wait", async () => {
  const places = new Places(LIMITS);
  const mine = Array.from({ length: 5 }, () => begin(places, { org: "a", registry: "r" }));

  await expect(begin(places, { org: "a", registry: "r" }).result).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_PULLS",
    retryAfterMs: 5_000,
    facts: { limit: "5" },
  });
  const other = begin(places, { org: "b", registry: "r" });
  await turn();
  expect(other.isRunning).toBe(true);

  for (const each of mine) each.end();
  await Promise.all(mine.map(({ result }) => result));
  await turn();
  const again = begin(places, { org: "a", registry: "r" });
  await turn();
  expect(again.isRunning).toBe(true);
});
