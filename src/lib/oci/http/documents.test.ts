import { expect, test } from "vitest";
import type { HttpResponse } from "./client.ts";
import { Documents } from "./documents.ts";

const KIB = 1024;
const { signal } = new AbortController();
const documents = new Documents();

/** A document of which another piece is asked for, which comes when `rest` resolves. Each request sends it anew. */
class Sent {
  requests = 0;
  /** Requests whose connections are open. */
  open = 0;
  asked = 0;
  readonly #bytes: number;
  readonly #rest: Promise<void>;

  constructor(bytes: number, rest = Promise.resolve()) {
    this.#bytes = bytes;
    this.#rest = rest;
  }

  readonly get = async <T>(consume: (response: HttpResponse) => Promise<T>) => {
    this.requests++;
    const response = { body: this.#parts() } as unknown as HttpResponse;
    return { response, body: await consume(response) };
  };

  async *#parts() {
    this.open++;
    try {
      yield Buffer.alloc(this.#bytes);
      this.asked++;
      await this.#rest;
      yield Buffer.alloc(1);
    } finally {
      this.open--;
    }
  }
}

const read = async ({ get }: Sent, org: string, limit = 100 * KIB) =>
  (await documents.read(get, limit, org, signal)).body?.length;

test("large documents of an organisation are read two at a time, and others hold no connection", async () => {
  const rest = Promise.withResolvers<void>();
  const slow = Array.from({ length: 5 }, () => new Sent(65 * KIB, rest.promise));
  const reading = slow.map((sent) => read(sent, "slow"));
  await expect
    .poll(() => slow.map(({ requests, open }) => [requests, open]))
    .toEqual([
      ...[
        [1, 1],
        [1, 1],
        [1, 0],
        [1, 0],
        [1, 0],
      ],
    ]);

  expect(await read(new Sent(60 * KIB), "slow")).toBe(60 * KIB + 1);
  expect(await read(new Sent(65 * KIB), "other")).toBe(65 * KIB + 1);
  expect(slow.map(({ asked }) => asked)).toEqual([1, 1, 0, 0, 0]);

  rest.resolve();
  expect(await Promise.all(reading)).toEqual(slow.map(() => 65 * KIB + 1));
  expect(slow.map(({ requests }) => requests)).toEqual([1, 1, 2, 2, 2]);
});

test("a document that is too long gives its turn back", async () => {
  for (let i = 0; i < 5; i++) expect(await read(new Sent(65 * KIB), "acme", 65 * KIB)).toBeUndefined();
});
