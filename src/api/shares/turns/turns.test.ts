import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

function setUp(atOnce: number) {
  const turns = new Turns(atOnce);
  const begun: string[] = [];
  const leaves = new Map<string, () => void>();
  const enter = (org: string, name: string) =>
    turns.enter(org, (leave) => {
      begun.push(name);
      leaves.set(name, leave);
    });
  return { enter, begun, leave: (name: string) => leaves.get(name)?.() };
}

test("an organisation does so many things at a time, in their order, and others do not wait for it", async () => {
  const { enter, begun, leave } = setUp(2);
  for (const name of ["a1", "a2", "a3", "a4"]) enter("a", name);
  enter("b", "b1");
  expect(begun).toEqual(["a1", "a2", "b1"]);

  leave("a2");
  leave("a2");

  await expect.poll(() => begun).toEqual(["a1", "a2", "b1", "a3"]);
  leave("a1");
  await expect.poll(() => begun).toEqual(["a1", "a2", "b1", "a3", "a4"]);
});

test("what gives up its turn does not begin, and those behind it do", async () => {
  const { enter, begun, leave } = setUp(1);
  enter("a", "a1");
  const giveUp = enter("a", "a2");
  enter("a", "a3");

  giveUp();
  leave("a1");

  await expect.poll(() => begun).toEqual(["a1", "a3"]);
});

test("a long line of work that ends at once is done", async () => {
  const turns = new Turns(1);
  let done = 0;
  for (let i = 0; i < 20_000; i++)
    turns.enter("a", (leave) => {
      done += 1;
      leave();
    });

  await expect.poll(() => done).toBe(20_000);
});

test("work that fails gives its turn to the next", async () => {
  const turns = new Turns(1);

  const outcomes = await Promise.allSettled([
    turns.run("a", () => Promise.reject(new Error("failed"))),
    turns.run("a", async () => "done"),
  ]);

  expect(outcomes).toMatchObject([{ status: "rejected" }, { status: "fulfilled", value: "done" }]);
});

test("work that waited runs in the context in which it came, whoever gave it the turn", async () => {
  const storage = new AsyncLocalStorage<string>();
  const turns = new Turns(1);
  const seen: (string | undefined)[] = [];
  const leaves: (() => void)[] = [];
  for (const context of ["first", "second"])
    storage.run(context, () =>
      turns.enter("a", (leave) => {
        seen.push(storage.getStore());
        leaves.push(leave);
      }),
    );

  storage.run("of the first's end", () => leaves[0]?.());

  await expect.poll(() => seen).toEqual(["first", "second"]);
});
