import { expect, test } from "vitest";
import { ExecPaces } from "./service-exec-paces.ts";

const OUTPUT = { $case: "stdout", value: Buffer.of(1) } as const;
const clock = { monotonicMs: () => 0 };

test("messages of an organisation beyond its burst wait, however small, and those of others do not", async () => {
  const paces = new ExecPaces({ clock, perSecond: 1, burst: 100_000 });
  const client = new AbortController();
  for (let taken = 0; taken < 24; taken++) await paces.take("loud", OUTPUT, client.signal);

  let isOver = false;
  const waiting = paces.take("loud", OUTPUT, client.signal).then(() => {
    isOver = true;
  });
  await paces.take("quiet", OUTPUT, client.signal);
  await new Promise(setImmediate);
  expect(isOver).toBe(false);

  client.abort();
  await waiting;
});

test("a message counts by its bytes too", async () => {
  const paces = new ExecPaces({ clock, perSecond: 1, burst: 100_000 });
  const client = new AbortController();
  const large = paces.take("loud", { $case: "stdin", value: Buffer.alloc(100_000) }, client.signal);
  let isOver = false;
  void large.then(() => {
    isOver = true;
  });
  await new Promise(setImmediate);
  expect(isOver).toBe(false);

  client.abort();
  await large;
});
