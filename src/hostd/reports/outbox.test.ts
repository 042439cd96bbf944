import { EventEmitter } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { machineIn } from "../../../test/support/hostd/machine-builder.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { systemClock } from "../../lib/runtime/clock.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import type { MachineState } from "../machines/states.ts";
import type { OutboxEntry } from "../store/store.ts";
import { Outbox, type ReportsApi } from "./outbox.ts";
import { OutboxProgress } from "./outbox-progress.ts";

createLogger("test", { write: () => {} });
let stop: () => void = () => {};
afterEach(() => stop());

/** An outbox in memory. */
class Source extends EventEmitter {
  rows: OutboxEntry[] = [];
  acknowledged = 0;
  next = 1;
  onFirstLook: (() => void) | undefined;

  add(count: number, state: MachineState = "started"): void {
    for (let i = 0; i < count; i += 1) {
      this.rows.push({ sequence: this.next++, machine: machineIn(state), event: undefined, isWhole: false });
    }
    this.emit("outbox");
  }

  get sequence(): number {
    return this.next - 1;
  }

  *all() {
    yield machineIn("stopped");
  }

  async outbox(after: number, limit: number): Promise<readonly OutboxEntry[]> {
    this.onFirstLook?.();
    this.onFirstLook = undefined;
    return this.rows.filter(({ sequence }) => sequence > after).slice(0, limit);
  }

  async acknowledge(sequence: number): Promise<void> {
    this.rows = this.rows.filter((row) => row.sequence > sequence);
    this.acknowledged = sequence;
  }

  onOutbox(listener: () => void): void {
    this.on("outbox", listener);
  }
}

/** The database behind all apis: applies in order, each sequence once. */
class Record {
  applied = 0;
  readonly states: string[] = [];
  sizes: number[] = [];

  apply(entries: readonly OutboxEntry[]): number {
    this.sizes.push(entries.length);
    for (const { sequence, machine } of entries) {
      if (sequence <= this.applied) continue;
      if (sequence !== this.applied + 1) {
        throw new Fault("FAILED_PRECONDITION", "SEQUENCE_GAP", "gap", { applied: String(this.applied) });
      }
      this.applied = sequence;
      this.states.push(machine.state);
    }
    return this.applied;
  }
}

function api(
  record: Record,
  fails: () => Error | undefined = () => undefined,
  address = "a",
): ReportsApi & { calls: number } {
  return {
    address,
    calls: 0,
    async report(request) {
      this.calls += 1;
      const err = fails();
      if (err) throw err;
      return record.apply(request);
    },
  };
}

function run(source: Source, apis: readonly ReportsApi[]) {
  const abort = new AbortController();
  const progress = new OutboxProgress(source, systemClock);
  const outbox = new Outbox({
    source,
    apis,
    signal: abort.signal,
    progress,
    longestPauseMs: 20,
  });
  const done = outbox.run();
  stop = () => {
    abort.abort();
    void done;
  };
  return { outbox, progress };
}

const DOWN = new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "down");

describe("delivery", () => {
  test("delivers everything in order, in bounded batches, and deletes what is acknowledged", async () => {
    const source = new Source();
    const record = new Record();
    source.add(1_234);

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(1_234);
    await expect.poll(() => source.rows.length).toBe(0);
    expect(Math.max(...record.sizes)).toBe(500);
  });

  test("delivers a new change at once", async () => {
    const source = new Source();
    const record = new Record();
    const { outbox } = run(source, [api(record)]);
    await outbox.drained();

    source.add(3);

    await expect.poll(() => record.applied).toBe(3);
  });

  test("delivers the begin and the outcome of a start together when they are close", async () => {
    const source = new Source();
    const record = new Record();
    source.add(1, "starting");
    // The outbox has read, and waits; before any of its timers.
    source.onFirstLook = () => setImmediate(() => source.add(1, "started"));

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(2);
    expect(record.sizes).toEqual([2]);
  });

  test("delivers the begin of a start when its outcome does not come", async () => {
    const source = new Source();
    const record = new Record();
    source.add(1, "starting");

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(1);
  });

  test("uses another api when one is down, and stays with it", async () => {
    const source = new Source();
    const record = new Record();
    const down = api(record, () => DOWN, "down");
    const up = api(record, undefined, "up");
    run(source, [down, up]);

    source.add(1);
    await expect.poll(() => record.applied).toBe(1);
    source.add(1);
    await expect.poll(() => record.applied).toBe(2);

    expect(down.calls).toBe(1);
  });

  test("delivers each change exactly once when answers are dropped and apis come and go", async () => {
    const source = new Source();
    const record = new Record();
    let call = 0;
    const flaky: ReportsApi = {
      address: "flaky",
      async report(request) {
        call += 1;
        if (call % 3 === 1) throw DOWN;
        const applied = record.apply(request);
        // Applied, without an answer.
        if (call % 3 === 2) throw DOWN;
        return applied;
      },
    };
    run(source, [flaky]);

    for (let i = 0; i < 20; i += 1) source.add(7);

    await expect.poll(() => source.rows.length).toBe(0);
    expect(record.applied).toBe(140);
    expect(record.states).toHaveLength(140);
  });
});

describe("a change that is refused", () => {
  /** Refuses every report with one change. */
  function picky(record: Record, refused: number, reads: (entries: readonly OutboxEntry[]) => number) {
    const report: ReportsApi["report"] = async (entries, { maxBytes }) => {
      const sent = entries.slice(0, Math.max(1, reads(entries.slice(0, maxBytes))));
      if (sent.some(({ sequence }) => sequence === refused)) {
        throw new Fault("INVALID_ARGUMENT", "INVALID_FIELDS", "refused");
      }
      return record.apply(sent);
    };
    return { address: "picky", report };
  }

  test("stays first until an api takes it, and all before it are delivered", async () => {
    const source = new Source();
    const record = new Record();
    source.add(100);
    const { progress } = run(source, [picky(record, 43, (entries) => entries.length)]);

    await expect.poll(() => record.applied).toBe(42);
    await expect.poll(() => progress.stalledMs).toBeGreaterThan(0);

    expect(progress.waiting).toBe(58);
  });

  test("is not stalled any more once it is delivered", async () => {
    const source = new Source();
    const record = new Record();
    let isUp = false;
    source.add(3);
    const { progress } = run(source, [api(record, () => (isUp ? undefined : DOWN))]);
    await expect.poll(() => progress.stalledMs).toBeGreaterThan(0);

    isUp = true;

    await expect.poll(() => record.applied).toBe(3);
    await expect.poll(() => progress.stalledMs).toBe(0);
    expect(progress.waiting).toBe(0);
  });
});

describe("a gap", () => {
  test("changes that the database lacks and the host still has are sent again", async () => {
    const source = new Source();
    const record = new Record();
    source.add(5);
    source.acknowledged = 3;

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(5);
  });

  test("changes that the host no longer has are replaced by its machines as they are", async () => {
    const source = new Source();
    const record = new Record();
    source.add(5);
    await source.acknowledge(3);

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(5);
    // Three times the machine as it is now, then the two events.
    expect(record.states).toEqual(["stopped", "stopped", "stopped", "started", "started"]);
  });
});
