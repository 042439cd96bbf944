import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine } from "../machines/machine.ts";
import { planSweep } from "../maintenance/plan-sweep.ts";
import { type HostEntry, HostTable, parseHostEntries } from "./host-table.ts";
import { planBatch } from "./outbox.ts";

const HOST: HostEntry = {
  number: 1,
  identity: "a",
  name: "one",
  region: "ord",
  zone: "",
  address: "127.0.0.1:1",
  capacity: { cpus: 1, memoryMb: 2, diskMb: 3 },
  vmm: "",
  acceleration: "",
  isolation: "",
  vmmReason: "",
  lastSeenMs: 1,
};

function machine(id: string, generation: string, state: Machine["state"] = "started"): Machine {
  return {
    id,
    name: id,
    state,
    generation,
    app: "web",
    org: "personal",
    region: "ord",
    host: "one",
    config: {
      image: "nginx",
      guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
      env: {},
      services: [],
      stop: { signal: "", timeoutMs: 1 },
      metadata: {},
    },
    createTimeMs: 0,
    updateTimeMs: 0,
    events: [],
    serviceAddresses: [],
    lastStartPath: "",
    lastStartTraceId: "",
    createTraceId: "",
  };
}

describe("the host table", () => {
  it("keeps a number for the first identity that announces it", () => {
    const table = new HostTable();
    table.announce(HOST);

    expect(() => table.announce({ ...HOST, identity: "b" })).toThrow("belongs to another host, one");
    table.announce({ ...HOST, address: "127.0.0.1:2", lastSeenMs: 2 });
    expect(table.get(1)?.address).toBe("127.0.0.1:2");
  });

  it("believes the later word, and the record about whose a number is", () => {
    const table = new HostTable();
    table.announce({ ...HOST, lastSeenMs: 10 });

    table.learn({ ...HOST, address: "old", lastSeenMs: 5 });
    expect(table.get(1)?.address).toBe(HOST.address);
    table.learn({ ...HOST, address: "new", lastSeenMs: 11 });
    expect(table.get(1)?.address).toBe("new");
    table.learn({ ...HOST, identity: "b", lastSeenMs: 1 });
    expect(table.get(1)?.identity).toBe("b");
  });

  it("tells new facts from signs of life", () => {
    const heard: string[] = [];
    const table = new HostTable((change) => heard.push(change));

    table.announce(HOST);
    table.announce({ ...HOST, lastSeenMs: 2 });
    table.announce({ ...HOST, lastSeenMs: 3, zone: "z" });
    table.learn({ ...HOST, lastSeenMs: 3, zone: "z" });

    expect(heard).toEqual(["new", "seen", "new"]);
  });

  it("reads from a file what are entries, and nothing else", () => {
    const damaged = [
      null,
      7,
      {},
      { ...HOST, capacity: null },
      { ...HOST, number: "1" },
      { ...HOST, lastSeenMs: null },
    ];

    expect(parseHostEntries([...damaged, HOST])).toEqual([HOST]);
    expect(parseHostEntries({ hosts: [HOST] })).toEqual([]);
  });
});

describe("a host's events", () => {
  it("leave the newest view of each machine, and every event once", () => {
    const events = [
      { sequence: 4n, machine: machine("a", "9") },
      { sequence: 5n, machine: machine("a", "10") },
      { sequence: 6n, machine: machine("b", "2") },
      { sequence: 7n, machine: machine("a", "3") },
    ];

    const batch = planBatch(4n, events);

    expect(batch.machines.map((one) => [one.id, one.generation])).toEqual([
      ["a", "10"],
      ["b", "2"],
    ]);
    expect(batch.applied).toBe(7n);
  });

  it("are applied once each, whatever is sent how often", () => {
    const total = 30;
    const cuts = fc.array(fc.tuple(fc.integer({ min: 1, max: total }), fc.integer({ min: 1, max: 8 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(cuts, (batches) => {
        let applied = 0n;
        const seen: bigint[] = [];
        for (const [from, length] of [[1, 1] as const, ...batches]) {
          const sent = Array.from({ length }, (_, i) => BigInt(from + i)).map((sequence) => ({
            sequence,
            machine: machine("a", sequence.toString()),
            event: {
              id: `${sequence}`,
              type: "",
              status: "started" as const,
              source: "",
              timeMs: 0,
              message: "",
              reason: "",
            },
          }));
          try {
            const batch = planBatch(applied, sent);
            seen.push(...batch.events.map(({ event }) => BigInt(event.id)));
            applied = batch.applied;
          } catch (err) {
            expect(err).toMatchObject({ reason: "SEQUENCE_GAP", facts: { applied: applied.toString() } });
          }
        }
        expect(seen).toEqual(Array.from({ length: Number(applied) }, (_, i) => BigInt(i + 1)));
      }),
    );
  });
});

describe("a sweep", () => {
  const known = (id: string, generation = "5", isRecorded = true, state: Machine["state"] = "started") => ({
    id,
    state,
    generation,
    isRecorded,
  });

  it("finds orphans, losses and what is ahead", () => {
    const onHost = [
      machine("orphan", "1"),
      machine("same", "5"),
      machine("ahead", "6"),
      machine("going", "9", "destroying"),
    ];
    const record = [known("same"), known("ahead"), known("lost"), known("unfinished", "1", false)];

    const plan = planSweep(onHost, { before: record, after: record }, 100_000, 60_000);

    expect(plan.orphans.map((one) => one.id)).toEqual(["orphan"]);
    expect(plan.ahead.map((one) => one.id)).toEqual(["ahead"]);
    expect(plan.missing.map((one) => one.id)).toEqual(["lost"]);
  });

  it("leaves young machines alone, and what has changed since it looked", () => {
    const plan = planSweep(
      [machine("young", "1")],
      { before: [known("went")], after: [known("went", "6", true, "destroyed")] },
      59_000,
      60_000,
    );

    expect(plan).toEqual({ orphans: [], ahead: [], missing: [], isDoubtful: false });
  });

  it("believes neither a record nor a host that seems to have lost its memory", () => {
    const machines = Array.from({ length: 6 }, (_, i) => machine(`m${i}`, "1"));
    const record = machines.map((one) => known(one.id));
    const sweep = (onHost: Machine[], inRecord: typeof record) =>
      planSweep(onHost, { before: inRecord, after: inRecord }, 100_000, 60_000).isDoubtful;

    expect(sweep(machines, [])).toBe(true);
    expect(sweep([], record)).toBe(true);
    expect(sweep(machines.slice(1), [])).toBe(false);
    expect(sweep(machines, record)).toBe(false);
  });

  it("finds what lives on a host though the record has it destroyed", () => {
    const destroyed = known("zombie", "7", true, "destroyed");

    const plan = planSweep([machine("zombie", "9")], { before: [], after: [destroyed] }, 100_000, 60_000);

    expect(plan.orphans.map((one) => one.id)).toEqual(["zombie"]);
    expect(plan.ahead).toEqual([]);
  });
});
