import { expect, test } from "vitest";
import { concurrently } from "./concurrently.ts";

test("every item is worked on once, and never more at a time than asked for", async () => {
  const seen: number[] = [];
  let running = 0;
  let most = 0;
  await concurrently([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    seen.push(item);
    running -= 1;
  });
  expect(seen.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(most).toBe(3);
});

test("a failure is told, after what had begun has ended, and nothing new begins", async () => {
  const ended: number[] = [];
  const work = async (item: number) => {
    if (item === 2) throw new Error("no");
    await Promise.resolve();
    ended.push(item);
  };
  await expect(concurrently([1, 2, 3, 4, 5], 2, work)).rejects.toThrow("no");
  expect(ended).toEqual([1]);
});
