import { expect, test } from "vitest";
import { ladder } from "../src/server/ladder.ts";

const wanted = { app: "faas", function: "hello", version: "v2", regions: ["ord", "gru"] };
const metadata = { function: "hello", version: "v2" };

test("stopped machines of the version are started first, near and far, then machines are launched", () => {
  const config = { image: "image", autoDestroy: false } as never;

  const steps = ladder({ ...wanted, config });

  expect(steps).toEqual([
    { startAny: { app: "faas", region: "ord", metadata } },
    { startAny: { app: "faas", region: "gru", metadata } },
    { launch: { app: "faas", region: "ord", config: { image: "image", autoDestroy: true } } },
    { launch: { app: "faas", region: "gru", config: { image: "image", autoDestroy: true } } },
    { launch: { app: "faas", region: "any", config: { image: "image", autoDestroy: true } } },
  ]);
});

test("nothing is launched when there are enough machines", () => {
  const steps = ladder({ ...wanted, config: undefined });

  expect(steps.map((step) => Object.keys(step))).toEqual([["startAny"], ["startAny"]]);
});

test("an acquire takes all steps however many regions there are", () => {
  const regions = ["a", "b", "c", "d", "e", "f"];

  const steps = ladder({ ...wanted, regions, config: {} as never });

  expect(steps).toHaveLength(8);
  // The regions that are left out, in one step.
  expect(steps[3]).toEqual({ startAny: { app: "faas", metadata } });
});
