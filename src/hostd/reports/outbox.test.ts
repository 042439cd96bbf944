import { EventEmitter } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { machineIn } from "../../../test/support/hostd/machine-builder.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import type { MachineState } from "../machines/states.ts";
import type { OutboxEntry } from "../store/store.ts";
import { Outbox, type ReportsApi } from "./outbox.ts";

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
      this.rows.push({ sequence: this.next++, machine: machineIn(state), event: undefined });
    }
    this.emit("outbox");
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

/** The central record as apis share it: applies in order, each sequence once. */
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

function run(source: Source, apis: readonly ReportsApi[]): Outbox {
  const abort = new AbortController();
  const outbox = new Outbox({
    source,
    apis,
    signal: abort.signal,
    longestPauseMs: 20,
  });
  const done = outbox.run();
  stop = () => {
    abort.abort();
    void done;
  };
  return outbox;
}

const DOWN = new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "down");

describe("delivery", () => {
  test("carries everything in order, in bounded batches, and forgets what has been acknowledged", async () => {
    const source = new Source();
    const record = new Record();
    source.add(1_234);

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(1_234);
    await expect.poll(() => source.rows.length).toBe(0);
    expect(Math.max(...record.sizes)).toBe(500);
  });

  test("wakes at once when there is something new", async () => {
    const source = new Source();
    const record = new Record();
    const outbox = run(source, [api(record)]);
    await outbox.drained();

    source.add(3);

    await expect.poll(() => record.applied).toBe(3);
  });

  test("tells of a start's begin and of its end at once, when they are close", async () => {
    const source = new Source();
    const record = new Record();
    source.add(1, "starting");
    // Before any timer of the outbox: it has looked, and waits.
    source.onFirstLook = () => setImmediate(() => source.add(1, "started"));

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(2);
    expect(record.sizes).toEqual([2]);
  });

  test("tells of a start's begin when its end does not come", async () => {
    const source = new Source();
    const record = new Record();
    source.add(1, "starting");

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(1);
  });

  test("goes to another api when one is down, and stays there", async () => {
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

  test("loses and doubles nothing when answers get lost and apis come and go", async () => {
    const source = new Source();
    const record = new Record();
    let call = 0;
    const flaky: ReportsApi = {
      address: "flaky",
      async report(request) {
        call += 1;
        if (call % 3 === 1) throw DOWN;
        const applied = record.apply(request);
        // Applied, but nobody hears of it.
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

describe("a gap", () => {
  test("what the record lacks and we still have is sent again", async () => {
    const source = new Source();
    const record = new Record();
    source.add(5);
    source.acknowledged = 3;

    run(source, [api(record)]);

    await expect.poll(() => record.applied).toBe(5);
  });

  test("what we no longer have is made up for by the machines as they are", async () => {
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
