import { expect, test } from "vitest";
import { Concurrency } from "./concurrency.ts";

test("each holder has so many at once, whatever others have", () => {
  const calls = new Concurrency(2, (holder, limit) => new Error(`${holder} has ${limit}`));
  const first = calls.take("acme");
  calls.take("acme");

  expect(() => calls.take("acme")).toThrow("acme has 2");
  expect(() => calls.take("umbrella")).not.toThrow();
  expect(calls.total).toBe(3);

  first();
  first();
  expect(() => calls.take("acme")).not.toThrow();
  expect(() => calls.take("acme")).toThrow("acme has 2");
});
