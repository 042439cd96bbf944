import { expect, test } from "vitest";
import { registry } from "../../lib/otel/metrics.ts";
import { measureDrain } from "./metrics.ts";

const step = (done: number, problem?: string) => ({ done, total: 2, ...(problem ? { problem } : {}) });

async function* told(...steps: readonly ReturnType<typeof step>[]) {
  yield* steps;
}

async function value(name: string, outcome?: string): Promise<number | undefined> {
  const { values } = (await registry.getSingleMetric(name)?.get()) ?? { values: [] };
  return values.find(({ labels }) => outcome === undefined || labels["outcome"] === outcome)?.value;
}
const ended = async (outcome: string) => (await value("windhover_drains_total", outcome)) ?? 0;

test.each([
  ["emptied", [step(0), step(1), step(2)]],
  ["left", [step(0), step(1, "its host is busy"), step(2)]],
  ["emptied", [{ done: 0, total: 0 }]],
])("a drain that has come to its end is counted as %s, and passed on as it is", async (outcome, steps) => {
  const before = await ended(outcome);
  const heard = [];
  for await (const one of measureDrain(told(...steps))) heard.push(one);

  expect(heard).toEqual(steps);
  expect(await ended(outcome)).toBe(before + 1);
});

test("a drain whose caller goes away runs until then, and is counted as broken off", async () => {
  const before = await ended("broken_off");
  const drain = measureDrain(told(step(0), step(1), step(2)));
  await drain.next();

  expect(await value("windhover_drains_in_progress")).toBe(1);

  await drain.return(undefined);

  expect(await value("windhover_drains_in_progress")).toBe(0);
  expect(await ended("broken_off")).toBe(before + 1);
});

test("a drain that is refused has not begun, and is not counted", async () => {
  const counts = () => Promise.all(["emptied", "left", "broken_off"].map(ended));
  const before = await counts();
  // biome-ignore lint/correctness/useYield: it is refused before there is anything to tell.
  const refused = async function* (): AsyncGenerator<ReturnType<typeof step>> {
    throw new Error("no such host");
  };

  await expect(measureDrain(refused()).next()).rejects.toThrow("no such host");

  expect(await counts()).toEqual(before);
  expect(await value("windhover_drains_in_progress")).toBe(0);
});
