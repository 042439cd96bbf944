import { describe, expect, test } from "vitest";
import { Allowance } from "./guest-channel/token-bucket.ts";
import { Turnstile } from "./turnstile.ts";

const never = new AbortController().signal;

describe("a turnstile", () => {
  test("lets as many through as are allowed, the others in their order", async () => {
    const turnstile = new Turnstile(2, 10);
    const order: number[] = [];
    const leaves = await Promise.all([turnstile.enter(never), turnstile.enter(never)]);
    const waiting = [1, 2, 3].map(async (number) => {
      const leave = await turnstile.enter(never);
      order.push(number);
      return leave;
    });
    expect(turnstile.depth).toBe(3);

    leaves[0]?.();
    leaves[0]?.();
    await waiting[0];

    expect(order).toEqual([1]);
    leaves[1]?.();
    (await waiting[0])?.();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
  });

  test("turns away who finds the queue full, and forgets who has left it", async () => {
    const turnstile = new Turnstile(1, 1);
    const leave = await turnstile.enter(never);
    const impatient = new AbortController();
    const given = turnstile.enter(impatient.signal).catch((err: unknown) => err);

    expect(await turnstile.enter(never)).toBeUndefined();
    impatient.abort(new Error("gone"));
    expect(await given).toMatchObject({ message: "gone" });

    const next = turnstile.enter(never);
    leave?.();
    expect(await next).toBeTypeOf("function");
  });
});

test("an allowance is refilled at its rate, up to a burst", () => {
  const allowance = new Allowance(1_000, 500);

  expect(allowance.take(500, 0)).toBe(0);
  expect(allowance.take(200, 0)).toBe(200);
  expect(allowance.take(0, 200)).toBe(0);
  expect(allowance.take(500, 1e6)).toBe(0);
  expect(allowance.take(1, 1e6)).toBe(1);
});
