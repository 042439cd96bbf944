import { expect, test } from "vitest";
import { pullSemaphore } from "./pull-semaphore.ts";

test("more pulls than may wait are refused, with the time to come back", async () => {
  const { signal } = new AbortController();
  const pulls = pullSemaphore(1, 1);
  const release = await pulls.acquire(signal);
  const waiting = pulls.run(async () => "done", signal);

  await expect(pulls.acquire(signal)).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_PULLS",
    retryAfterMs: 5_000,
  });

  release();
  await expect(waiting).resolves.toBe("done");
});
