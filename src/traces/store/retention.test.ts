import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoredOperation } from "../../lib/latency/operation-rows.ts";
import { type Cursor, TraceReader } from "../../lib/latency/trace-reader.ts";
import { StoreWorld } from "./store.fixture.ts";
import { shareOf, slowestOf } from "./tiers.ts";

describe("of more starts than are kept", () => {
  const KEEP = 300;
  const FAILURES = 30;

  test("all failures and the slowest of each path and hour are there, and of the others every one has the same chance", () => {
    using world = new StoreWorld(KEEP);
    const made: { traceId: string; durationUs: number; group: string; isFailed: boolean }[] = [];
    for (let i = 0; i < 1_500; i++) {
      const durationUs = 10_000 + Math.floor(world.random() * 1_000_000);
      const path = i % 3 === 0 ? "cold" : "warm";
      const isFailed = i % 50 === 7;
      const group = `${path} ${Math.floor((world.nowMs * 1_000 - durationUs) / 3_600_000_000)}`;
      const { traceId } = world.start(durationUs, { path, reason: isFailed ? "HOST_FULL" : "" });
      made.push({ traceId, durationUs, group, isFailed });
      if (i % 10 === 9) world.pass(40_000);
    }
    world.pass(60_000);

    const kept = new Set(made.map(({ traceId }) => traceId).filter((id) => world.store.get(id)));

    expect(kept.size).toBe(KEEP);
    const failed = made.filter(({ isFailed }) => isFailed);
    expect(failed).toHaveLength(FAILURES);
    expect(failed.every(({ traceId }) => kept.has(traceId))).toBe(true);
    const succeeded = made.filter(({ isFailed }) => !isFailed);
    const slowest = Object.values(Object.groupBy(succeeded, ({ group }) => group)).flatMap((of = []) =>
      of.toSorted((a, b) => b.durationUs - a.durationUs).slice(0, slowestOf(KEEP)),
    );
    expect(slowest.length).toBeGreaterThan(2);
    expect(slowest.every(({ traceId }) => kept.has(traceId))).toBe(true);
    // The latest are all there; of those before, fast and slow ones alike.
    const rest = succeeded.filter((each) => !slowest.includes(each));
    const latest = rest.slice(-shareOf("recent", KEEP));
    expect(latest.every(({ traceId }) => kept.has(traceId))).toBe(true);
    const sampled = rest.slice(0, -2 * KEEP);
    const median =
      sampled.map(({ durationUs }) => durationUs).sort((a, b) => a - b)[sampled.length >> 1] ?? 0;
    const survivors = sampled.filter(({ traceId }) => kept.has(traceId));
    const faster = survivors.filter(({ durationUs }) => durationUs < median).length;
    expect(survivors.length).toBeGreaterThan(20);
    // Five standard deviations; the dice are the same in every run.
    expect(Math.abs(2 * faster - survivors.length)).toBeLessThan(5 * Math.sqrt(survivors.length));
  });

  test.each([
    ["fails", { reason: "HOST_FULL" }],
    ["starts", {}],
  ])("an organisation that often %s pushes out nothing of another", (_name, outcome) => {
    using world = new StoreWorld(100);
    const quiet = Array.from({ length: 5 }, () => world.start(5_000, { ...outcome, org: "quiet" }));
    world.pass(5_000);
    for (let i = 0; i < 300; i++) {
      world.start(5_000 + i, { ...outcome, org: "loud" });
      if (i % 20 === 19) world.pass(5_000);
    }

    expect(quiet.filter(({ traceId }) => world.store.get(traceId))).toHaveLength(5);
    expect(world.store.list({ limit: 200 })).toHaveLength(100);
  });
});

test("a trace that cannot be sealed holds up no others, and can be evicted", () => {
  using world = new StoreWorld(10);
  using other = new DatabaseSync(join(world.dir, "traces.db"));
  other.exec(`create trigger failing before insert on operation when new.path = 'odd'
      begin select raise(abort, 'injected'); end`);
  const [good, bad, late] = [world.start(5_000), world.start(5_000, { path: "odd" }), world.start(5_000)];

  world.pass(5_000);
  const sealed = [good, bad, late].map(
    ({ traceId }) => world.store.get(traceId)?.summary.dueMs === undefined,
  );
  for (let i = 0; i < 30; i++) world.start(5_000, { path: "odd" });

  expect(sealed).toEqual([true, false, true]);
  expect(world.store.list({ limit: 200 }).length).toBeLessThanOrEqual(10);
});

test("reads about machines push out no starts", () => {
  using world = new StoreWorld(100);
  const starts = Array.from({ length: 30 }, () => world.start(5_000));
  world.pass(5_000);
  for (let i = 0; i < 400; i++) {
    const attributes = { "windhover.machine.id": "0123456789abcd" };
    world.add(
      world.span(world.ids(), { name: "windhover.machines.v1.MachinesService/GetMachine", attributes }),
    );
    if (i % 5 === 4) world.pass(5_000);
  }

  expect(starts.filter(({ traceId }) => world.store.get(traceId))).toHaveLength(30);
  expect(world.store.list({ limit: 200 })).toHaveLength(100);
});

/** What a sender or time does. */
const action = fc.oneof(
  fc.record({
    do: fc.constant("start" as const),
    us: fc.integer({ min: 1, max: 5_000_000 }),
    fails: fc.boolean(),
  }),
  fc.record({ do: fc.constant("late" as const), of: fc.nat(50) }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
);

test("whatever comes, bounds are kept, each start is counted once, and a reader sees what is there", () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 20, maxLength: 80 }), (actions) => {
      using world = new StoreWorld(12);
      const reader = new TraceReader(world.dir);
      const seen = new Map<number, StoredOperation>();
      let cursor: Cursor | undefined;
      const starts: ReturnType<StoreWorld["ids"]>[] = [];
      for (const each of actions) {
        if (each.do === "start") starts.push(world.start(each.us, { reason: each.fails ? "HOST_FULL" : "" }));
        else if (each.do === "pass") world.pass(each.ms);
        else {
          const parent = starts[each.of % Math.max(1, starts.length)];
          const { spanId } = world.ids();
          if (parent)
            world.add({
              ...world.span({ traceId: parent.traceId, spanId }, { name: "hostd.store", service: "hostd" }),
              parent_span_id: parent.spanId,
            });
        }
        cursor = follow(reader, seen, cursor);
        expect(world.store.list({ limit: 200 }).length).toBeLessThanOrEqual(12);
      }
      world.pass(60_000);
      follow(reader, seen, cursor);

      const fresh = new Map<number, StoredOperation>();
      follow(new TraceReader(world.dir), fresh, undefined);
      expect(seen).toEqual(fresh);
      for (const { traceId } of fresh.values()) expect(world.store.get(traceId)).toBeDefined();
      const counted = reader.latency({ sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER, step: "minute" });
      expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(starts.length);
      reader.close();
    }),
    { numRuns: 12 },
  );
});

/** Reads what has changed, in small steps. */
function follow(
  reader: TraceReader,
  seen: Map<number, StoredOperation>,
  from: Cursor | undefined,
): Cursor | undefined {
  for (let cursor = from; ; ) {
    const changes = reader.changes(cursor, 7);
    if (changes.isReset) seen.clear();
    for (const operation of changes.operations) seen.set(operation.row, operation);
    for (const row of changes.removed) seen.delete(row);
    cursor = changes.cursor;
    if (!changes.isMore) return cursor;
  }
}
