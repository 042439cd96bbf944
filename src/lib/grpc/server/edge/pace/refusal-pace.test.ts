import { expect, test } from "vitest";
import { RefusalPace } from "./refusal-pace.ts";

test("refusals are answered at once, and when there are many of them, late", async () => {
  const pace = new RefusalPace(() => 0);
  let answered = 0;

  for (let i = 0; i < 1_000; i++) pace.answer(() => (answered += 1));

  expect(answered).toBe(200);
  await expect.poll(() => answered).toBe(1_000);
});
