import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { machineIn } from "../../../test/support/hostd/machine-builder.ts";
import { ReportEventsRequest } from "../../gen/windhover/admin/v1/hosts.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { systemClock } from "../../lib/runtime/clock.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import { type Machine, machineId } from "../machines/machine.ts";
import type { OutboxEntry } from "../store/store.ts";
import { reportToProto } from "./convert-report.ts";
import { Outbox, type ReportsApi } from "./outbox.ts";
import { OutboxProgress } from "./outbox-progress.ts";

createLogger("test", { write: () => {} });
let stop: () => Promise<void> = async () => {};
afterEach(() => stop());

const HOST = { number: 7, identity: "i", name: "host-7" };
/** The largest configuration that a create takes. */
const LEGAL_BYTES = 64 * 1024;
const KB = 1024;

/** A machine in its first state, with a configuration of so many bytes in all its parts. */
function machineOf(index: number, bytes: number): Machine {
  const { spec } = machineIn("creating");
  const part = "x".repeat(Math.floor(bytes / 3));
  const init = { ...spec.config.init, cmd: [part] };
  const config = { ...spec.config, env: { A: part }, init, metadata: { a: part } };
  return machineIn("creating", {
    id: machineId(`00007${index.toString(16).padStart(9, "0")}`),
    spec: { ...spec, config },
  });
}

/** Every change of some machines, in turns. */
function changesOf(machines: readonly { readonly bytes: number; readonly changes: number }[]): OutboxEntry[] {
  const entries: OutboxEntry[] = [];
  const all = machines.map(({ bytes }, i) => machineOf(i, bytes));
  const most = Math.max(0, ...machines.map(({ changes }) => changes));
  for (let generation = 1; generation <= most; generation += 1) {
    for (const [i, { changes }] of machines.entries()) {
      const machine = all[i];
      if (!machine || generation > changes) continue;
      const sequence = entries.length + 1;
      entries.push({ sequence, machine: { ...machine, generation }, event: undefined, isWhole: false });
    }
  }
  return entries;
}

/** An api whose messages have a limit, over a database. */
class Database implements ReportsApi {
  readonly address = "a";
  readonly limit: number;
  readonly sizes: number[] = [];
  readonly sequences: number[] = [];
  readonly described: string[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  async report(...[entries, options]: Parameters<ReportsApi["report"]>): Promise<number> {
    const request = reportToProto(HOST, entries, options);
    const size = ReportEventsRequest.encode(request).finish().length;
    if (size > this.limit && request.events.length > 1) {
      throw new Fault("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "too large");
    }
    this.sizes.push(size);
    for (const { sequence, machine } of request.events) {
      this.sequences.push(Number(sequence));
      if (machine?.config) this.described.push(machine.id);
    }
    return this.sequences.at(-1) ?? 0;
  }
}

/** Delivers changes until the host has no more. */
async function deliver(entries: readonly OutboxEntry[], api: Database): Promise<void> {
  const abort = new AbortController();
  const source = {
    sequence: entries.length,
    acknowledged: 0,
    all: () => entries.map(({ machine }) => machine),
    outbox: async (after: number, limit: number) => entries.slice(after, after + limit),
    acknowledge: async (sequence: number) => {
      source.acknowledged = sequence;
    },
    onOutbox: () => {},
  };
  const progress = new OutboxProgress(source, systemClock);
  const outbox = new Outbox({ source, apis: [api], signal: abort.signal, progress, longestPauseMs: 1 });
  const done = outbox.run();
  stop = async () => {
    abort.abort();
    await done;
  };
  await outbox.drained();
  await stop();
}

test("any mix of machines drains, in reports of bounded size, whatever an api takes", async () => {
  const machine = fc.record({
    // Also those of before there was a limit.
    bytes: fc.oneof(fc.nat(2 * KB), fc.nat(LEGAL_BYTES), fc.constant(270 * KB)),
    changes: fc.integer({ min: 1, max: 8 }),
  });
  const mixes = fc.array(machine, { minLength: 1, maxLength: 60 });
  const limits = fc.constantFrom(8 * 1024 * KB, 4 * 1024 * KB, 300 * KB, 16 * KB);
  await fc.assert(
    fc.asyncProperty(mixes, limits, async (mix, limit) => {
      const entries = changesOf(mix);
      const api = new Database(limit);

      await deliver(entries, api);

      expect(api.sequences).toEqual(entries.map(({ sequence }) => sequence));
      expect(Math.max(...api.sizes)).toBeLessThan(1024 * KB + KB);
      expect(api.described.sort()).toEqual([...new Set(entries.map((each) => each.machine.id))].sort());
    }),
    { numRuns: 30 },
  );
});

test("a machine is whole once in a report for a database that lacks it", () => {
  const later = changesOf([{ bytes: 9, changes: 3 }]).slice(1);

  const { events } = reportToProto(HOST, later, { maxBytes: 1024 * KB, isWhole: true });

  expect(events.map(({ machine, status }) => [machine?.config?.env.get("A"), status?.generation])).toEqual([
    ["xxx", undefined],
    [undefined, 3n],
  ]);
});
