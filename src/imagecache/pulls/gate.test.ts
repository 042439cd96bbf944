import { expect, test } from "vitest";
import { Gate } from "./gate.ts";

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("as many as there is room for run, and the others follow in the order they came", async () => {
  const gate = new Gate(2, 10);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const all = [0, 1, 2, 3].map((n) =>
    gate.run(never, () => {
      begun.push(n);
      return new Promise<void>((resolve) => ends.push(resolve));
    }),
  );
  expect(begun).toEqual([0, 1]);

  ends[1]?.();
  await turn();
  expect(begun).toEqual([0, 1, 2]);
  ends[0]?.();
  await turn();
  expect(begun).toEqual([0, 1, 2, 3]);

  for (const end of ends) end();
  await Promise.all(all);
});

test("more than may wait are turned away, and told when to come back", async () => {
  const gate = new Gate(1, 1);
  let end = () => {};
  const first = gate.run(
    never,
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  const second = gate.run(never, async () => "second");

  await expect(gate.run(never, async () => {})).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_PULLS",
    retryAfterMs: 5_000,
  });

  end();
  await first;
  expect(await second).toBe("second");
});

test("who leaves the line is not waited for, and one that failed makes room", async () => {
  const gate = new Gate(1, 5);
  let fail = (_: Error) => {};
  const first = gate.run(
    never,
    () =>
      new Promise<void>((_, reject) => {
        fail = reject;
      }),
  );
  const leaving = new AbortController();
  const second = gate.run(leaving.signal, async () => "second");
  const third = gate.run(never, async () => "third");

  leaving.abort(new Error("left"));
  await expect(second).rejects.toThrow("left");
  fail(new Error("failed"));
  await expect(first).rejects.toThrow("failed");

  expect(await third).toBe("third");
  await expect(gate.run(leaving.signal, async () => {})).rejects.toThrow("left");
});
