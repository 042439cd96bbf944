import { expect, test } from "vitest";
import { SharedPolls } from "./shared-polls.ts";

function setUp() {
  const begun: string[] = [];
  const rounds: (() => void)[] = [];
  const ends = new Map<string, PromiseWithResolvers<string>>();
  const polls = new SharedPolls<string>(async (id, isAwaited) => {
    begun.push(id);
    const end = Promise.withResolvers<string>();
    ends.set(id, end);
    rounds.push(() => {
      if (!isAwaited()) end.reject(new Error("nobody waits"));
    });
    return end.promise;
  });
  return { polls, begun, rounds, ends };
}

test("all who wait for the same thing share one poll, and hear its end", async () => {
  const { polls, begun, ends } = setUp();

  const waiting = [polls.wait("a", undefined), polls.wait("a", undefined), polls.wait("b", undefined)];
  await expect.poll(() => begun).toEqual(["a", "b"]);
  ends.get("a")?.resolve("done");
  ends.get("b")?.reject(new Error("failed"));

  const outcomes = await Promise.allSettled(waiting);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
});

test("one who goes leaves the others, and who comes after all have gone begins anew", async () => {
  const { polls, begun, rounds, ends } = setUp();
  const gone = new AbortController();
  const first = polls.wait("a", gone.signal);
  const second = polls.wait("a", gone.signal);
  await expect.poll(() => begun).toEqual(["a"]);

  gone.abort(new Error("gone"));
  await Promise.allSettled([first, second]);
  rounds[0]?.();
  const third = polls.wait("a", undefined);
  await expect.poll(() => begun).toEqual(["a", "a"]);
  ends.get("a")?.resolve("later");

  await expect(first).rejects.toThrow("gone");
  expect(await third).toBe("later");
});
