import { expect, test } from "vitest";
import type { HttpResponse } from "./client.ts";
import { Documents } from "./documents.ts";

const KIB = 1024;
const { signal } = new AbortController();
const documents = new Documents();

/** A body of which another piece is asked for, which comes when `rest` resolves. */
function bodyOf(bytes: number, rest: Promise<void>, onAsked: () => void = () => undefined) {
  async function* parts() {
    yield Buffer.alloc(bytes);
    onAsked();
    await rest;
    yield Buffer.alloc(1);
  }
  return { body: parts() } as unknown as HttpResponse;
}

test("large documents of an organisation are read two at a time, and keep nothing else waiting", async () => {
  const rest = Promise.withResolvers<void>();
  let asked = 0;
  const large = () => bodyOf(65 * KIB, rest.promise, () => asked++);
  const read = (response: HttpResponse, org: string) => documents.read(response, 100 * KIB, org, signal);
  const slow = Array.from({ length: 5 }, () => read(large(), "slow"));
  await expect.poll(() => asked).toBe(2);

  const now = Promise.resolve();
  expect(await read(bodyOf(60 * KIB, now), "slow")).toHaveLength(60 * KIB + 1);
  expect(await read(bodyOf(65 * KIB, now), "other")).toHaveLength(65 * KIB + 1);
  expect(asked).toBe(2);

  rest.resolve();
  expect((await Promise.all(slow)).map((body) => body?.length)).toEqual(slow.map(() => 65 * KIB + 1));
});

test("a document that is too long gives its turn back", async () => {
  const now = Promise.resolve();

  for (let i = 0; i < 5; i++) {
    expect(await documents.read(bodyOf(65 * KIB, now), 65 * KIB, "acme", signal)).toBeUndefined();
  }
});
