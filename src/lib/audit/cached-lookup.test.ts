import { expect, test } from "vitest";
import { cachedLookup, type Lookup } from "./cached-lookup.ts";

/** A resolver whose look-ups end when the test says so. */
function resolver() {
  const asked: Parameters<Lookup>[2][] = [];
  const lookup = cachedLookup((_name, _options, callback) => asked.push(callback));
  const find = (name: string) =>
    new Promise<string>((resolve, reject) =>
      lookup(name, {}, (err, address) => (err ? reject(err) : resolve(address))),
    );
  return { asked, find };
}

test("a name is looked up once at a time, and its address remembered", async () => {
  const { asked, find } = resolver();

  const both = [find("log.example"), find("log.example")];
  asked[0]?.(null, "192.0.2.1", 4);

  expect(await Promise.all([...both, find("log.example")])).toEqual(Array(3).fill("192.0.2.1"));
  expect(await find("192.0.2.9")).toBe("192.0.2.9");
  expect(asked).toHaveLength(1);
});

test("a name that is not found is looked up again", async () => {
  const { asked, find } = resolver();

  const first = find("log.example");
  asked[0]?.(new Error("not found"), "", 0);
  await expect(first).rejects.toThrow("not found");
  const second = find("log.example");
  asked[1]?.(null, "192.0.2.1", 4);

  expect(await second).toBe("192.0.2.1");
});

test("what waits for a look-up that takes long is bounded", async () => {
  const { asked, find } = resolver();

  const all = Promise.allSettled(Array.from({ length: 1_500 }, () => find("log.example")));
  await new Promise((resolve) => setImmediate(resolve));
  asked[0]?.(null, "192.0.2.1", 4);

  expect((await all).filter(({ status }) => status === "rejected")).toHaveLength(500);
});
