import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { TraceReader } from "../../lib/latency/trace-reader.ts";
import { StoreWorld } from "./store.fixture.ts";
import { TraceStore } from "./store.ts";

/**
 * What a process leaves that is killed after a write is what its files hold then: the kernel has all
 * that it wrote.
 */
test("killed between any two writes, the store has all that was acknowledged, and counts each start once", () => {
  using world = new StoreWorld(3);
  const images: { dir: string; starts: number }[] = [];
  let acknowledged = 0;
  const snapshot = () => {
    const dir = mkdtempSync(join(tmpdir(), "windhover-killed-"));
    images.push({ dir, starts: acknowledged });
    for (const file of ["traces.db", "traces.db-wal"]) {
      if (existsSync(join(world.dir, file))) copyFileSync(join(world.dir, file), join(dir, file));
    }
  };
  // Statements go through: only what is in the files after each is of interest.
  const { run } = StatementSync.prototype;
  const { exec } = DatabaseSync.prototype;
  const seen = function (this: StatementSync, ...args: unknown[]) {
    const result: unknown = Reflect.apply(run, this, args);
    snapshot();
    return result;
  };
  // It takes and returns what the method does.
  StatementSync.prototype.run = seen as typeof run;
  DatabaseSync.prototype.exec = function (sql) {
    exec.call(this, sql);
    snapshot();
  };
  onTestFinished(() => {
    StatementSync.prototype.run = run;
    DatabaseSync.prototype.exec = exec;
  });

  const first = world.start(5_000);
  acknowledged += 1;
  world.pass(5_000);
  // Late: it is sealed anew.
  world.add({
    ...world.span({ traceId: first.traceId, spanId: "c000000000000001" }, { name: "hostd.store" }),
    parent_span_id: first.spanId,
  });
  for (let i = 0; i < 4; i++) {
    world.start(6_000 + i, { reason: i === 1 ? "HOST_FULL" : "" });
    acknowledged += 1;
  }
  world.pass(5_000);
  StatementSync.prototype.run = run;
  DatabaseSync.prototype.exec = exec;

  expect(images.length).toBeGreaterThan(40);
  const clock = { now: () => world.nowMs + 60_000, monotonicMs: () => 0 };
  for (const { dir, starts } of images) {
    const store = new TraceStore(dir, { keep: 3, budgetBytes: 64 * 1024 * 1024 }, clock);
    while (store.sealDue());
    const kept = store.list({ limit: 200 });
    const reader = new TraceReader(dir);
    const counted = reader.latency({ sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER, step: "hour" });
    const { operations } = reader.changes(undefined, 100);
    reader.close();
    store.close();
    rmSync(dir, { recursive: true });

    // One more may have been committed and not yet acknowledged.
    const total = counted.reduce((sum, { count }) => sum + count, 0);
    expect([starts, starts + 1]).toContain(total);
    expect(kept.length).toBeGreaterThanOrEqual(Math.min(3, starts));
    expect(kept.length).toBeLessThanOrEqual(3);
    expect(kept.every(({ dueMs, spans }) => dueMs === undefined && spans > 0)).toBe(true);
    expect(new Set(operations.map(({ traceId }) => traceId))).toEqual(
      new Set(kept.map(({ traceId }) => traceId)),
    );
  }
});
