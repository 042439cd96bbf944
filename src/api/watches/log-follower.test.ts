import { expect, test } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { type FollowedLog, LogFollower, OUTAGE_LIMIT_MS, type ReadResult } from "./log-follower.ts";
import type { Position } from "./position.ts";

/** A log in memory, whose reads fail on demand. */
class MemoryLog implements FollowedLog {
  fault: Fault | undefined;
  failure: unknown;
  followers = 0;
  readonly reads: Position[] = [];

  hasFollowers(): boolean {
    return this.followers > 0;
  }

  async frontier(): Promise<Position> {
    return { xid: 1n, place: 0n };
  }

  async read(after: Position): Promise<ReadResult> {
    this.reads.push(after);
    if (this.fault) throw this.fault;
    return { position: { xid: after.xid + 1n, place: 0n }, isMore: false, isBlocked: true };
  }

  fail(fault: unknown): void {
    this.failure = fault;
    this.followers = 0;
  }
}

function follow(log: MemoryLog, nowMs: () => number = () => 0): LogFollower {
  return new LogFollower(log, { monotonicMs: nowMs });
}

test("a follower is added at the position from which on it gets everything", async () => {
  const log = new MemoryLog();
  const follower = follow(log);

  const add = () =>
    follower.add((from) => {
      log.followers += 1;
      return { from, reads: log.reads.length };
    });
  const first = await add();
  await expect.poll(() => log.reads.length).toBeGreaterThan(2);
  const second = await add();

  expect(first.from).toEqual({ xid: 1n, place: 0n });
  expect(second.from.xid).toBe(BigInt(second.reads + 1));
  follower.close();
});

test("a log is read only while it has followers", async () => {
  const log = new MemoryLog();
  const follower = follow(log);
  await follower.add(() => {
    log.followers = 1;
  });
  await expect.poll(() => log.reads.length).toBeGreaterThan(0);

  log.followers = 0;

  await expect.poll(() => follower.position).toBeUndefined();
});

test("followers go on after failures, and fail when the database has been away for 30 s", async () => {
  const log = new MemoryLog();
  let nowMs = 0;
  const follower = follow(log, () => nowMs);
  await follower.add(() => {
    log.followers = 1;
  });
  const fault = new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "away");

  log.fault = fault;
  const before = log.reads.length;
  await expect.poll(() => log.reads.length).toBeGreaterThan(before + 1);
  nowMs = OUTAGE_LIMIT_MS - 1;
  const almost = log.reads.length;
  await expect.poll(() => log.reads.length).toBeGreaterThan(almost + 1);
  expect(log.failure).toBeUndefined();
  nowMs = OUTAGE_LIMIT_MS;

  await expect.poll(() => log.failure).toBe(fault);
});
