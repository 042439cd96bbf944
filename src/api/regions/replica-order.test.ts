import { expect, test } from "vitest";
import { replicaOrder } from "./replica-order.ts";

const REPLICAS = ["127.0.0.1:7071", "127.0.0.1:7072", "127.0.0.1:7073"];
const KEYS = Array.from({ length: 3_000 }, (_, index) => `create-${index}.1`);

test("everybody finds the same order, however they list the replicas", () => {
  for (const key of KEYS.slice(0, 100)) {
    expect(replicaOrder(key, REPLICAS.toReversed())).toEqual(replicaOrder(key, REPLICAS));
    expect(replicaOrder(key, REPLICAS).toSorted()).toEqual(REPLICAS);
  }
});

test("replicas get an even share, first and second", () => {
  for (const place of [0, 1]) {
    for (const replica of REPLICAS) {
      const share = KEYS.filter((key) => replicaOrder(key, REPLICAS)[place] === replica).length / KEYS.length;
      expect(share).toBeGreaterThan(0.29);
      expect(share).toBeLessThan(0.38);
    }
  }
});

test("only what a replica had moves when it goes", () => {
  const [gone, ...rest] = REPLICAS;
  for (const key of KEYS) {
    const [before] = replicaOrder(key, REPLICAS);
    if (before !== gone) expect(replicaOrder(key, rest)[0]).toBe(before);
  }
});
