import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { filterOf } from "../../../src/console/columns/operations.fixture.ts";
import { select } from "../../../src/console/columns/select.ts";
import { Follower } from "../../../src/console/following/follow.ts";
import { Memory } from "../../../src/console/following/memory.ts";
import { TraceReader } from "../../../src/lib/latency/trace-reader.ts";
import { systemClock } from "../../../src/lib/runtime/clock.ts";
import { TraceDatabase } from "../../support/console/trace-database.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { recent } from "./support.ts";

let scratch: TemporaryFolder;
let dir: string;
let source: TraceReader;
let memory: Memory;

beforeEach(() => {
  scratch = temporaryFolder("follow");
  dir = join(scratch.path, "traces");
  mkdirSync(dir);
  source = new TraceReader(dir);
  memory = new Memory([], systemClock);
});
afterEach(() => {
  source.close();
  scratch.remove();
});

function follower(capacity = 1_000): Follower {
  return new Follower(source, memory, capacity, systemClock);
}

/** Hosts of what is in memory. */
function hosts(): string[] {
  const filter = { ...filterOf("kind=all"), sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER };
  return Array.from(select(memory.columns, filter, undefined), (i) => memory.columns.at(i).host).toSorted();
}

describe("a console", () => {
  const { signal } = new AbortController();

  test("may come before its receiver", async () => {
    const own = follower();
    await own.poll(signal);
    expect([own.isLoaded, hosts()]).toEqual([false, []]);

    const database = new TraceDatabase(dir);
    database.addOperations([recent({ host: "a" })]);
    await own.poll(signal);
    database.close();

    expect([own.isLoaded, hosts()]).toEqual([true, ["a"]]);
  });

  test("forgets everything when the receiver has another database", async () => {
    const own = follower();
    const first = new TraceDatabase(dir);
    first.addOperations([recent({ host: "a" }), recent({ host: "b" })]);
    first.addMark({ timeMs: 1, kind: "version", label: "1", host: "a" });
    await own.poll(signal);
    first.close();
    expect(memory.marks).toHaveLength(1);

    renameSync(dir, `${dir}.old`);
    const second = new TraceDatabase(dir);
    second.addOperations([recent({ host: "c" })]);
    await own.poll(signal);
    second.close();

    expect([hosts(), memory.marks]).toEqual([["c"], []]);
  });

  test("tells what is new once, and nothing of what it began with", async () => {
    const own = follower();
    const database = new TraceDatabase(dir);
    database.addOperations([recent({ host: "old" })]);
    const told: string[] = [];
    memory.onNews(({ operations }) => told.push(...operations.map((i) => memory.columns.at(i).host)));
    await own.poll(signal);

    database.addOperations([recent({ host: "new" })]);
    await own.poll(signal);
    await own.poll(signal);
    database.close();

    expect(told).toEqual(["new"]);
  });

  test("keeps the newest operations of a store that has more, and what that evicts goes", async () => {
    const own = follower(1_000);
    const database = new TraceDatabase(dir);
    database.addOperations(Array.from({ length: 7_000 }, (_, i) => recent({ host: `h${i}` })));

    await own.poll(signal);
    expect([hosts().length, hosts().includes("h6999"), hosts().includes("h5999")]).toEqual([
      1_000,
      true,
      false,
    ]);
    database.evict([7_000, 6_999, 3]);
    await own.poll(signal);
    database.close();

    expect([hosts().length, hosts().includes("h6999")]).toEqual([998, false]);
  });

  test("reads counts of what was evicted, losses and the size of the store", async () => {
    const own = follower();
    const database = new TraceDatabase(dir);
    database.addOperations(Array.from({ length: 10 }, () => recent()));
    database.addLoss(Date.now() - 1_000, 12);
    database.evict([1, 2, 3, 4, 5]);

    await own.poll(signal);
    database.close();

    const recently = { ...filterOf(), sinceMs: Date.now() - 3_600_000, untilMs: Date.now() };
    expect(memory.columns.live).toBe(5);
    expect(memory.counts.minutes.series(recently, "acme").all.count).toBe(10);
    expect(memory.losses).toMatchObject([{ service: "hostd", spans: 12 }]);
    memory.putLosses(Date.now() - 60_000, [{ timeMs: Date.now(), service: "hostd", spans: 20 }]);
    expect(memory.losses.map(({ spans }) => spans)).toEqual([20]);
    expect(memory.diskBytes).toBeGreaterThan(10_000);
  });
});
