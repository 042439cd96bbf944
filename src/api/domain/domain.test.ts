import fc from "fast-check";
import { describe, expect, it, test, vi } from "vitest";
import { Fault } from "../../lib/fault.ts";
import { faultData, toFault } from "./fault-data.ts";
import { type HostEntry, HostTable, parseHostEntries } from "./host-table.ts";
import type { Machine } from "./machine.ts";
import { planBatch } from "./outbox.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "./page-token.ts";
import { Progress } from "./progress.ts";
import { refusal } from "./quota.ts";
import { planSweep } from "./sweep.ts";
import { ulid } from "./ulid.ts";

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
    lastStartWay: "",
    lastStartTraceId: "",
    createTraceId: "",
  };
}

describe("quota", () => {
  const org = { slug: "o", standing: "good", quota: { machines: 2, memoryMb: 1_024 } } as const;

  test.each([
    [{ machines: 0, memoryMb: 0 }, 1_024, undefined],
    [{ machines: 1, memoryMb: 512 }, 512, undefined],
    [{ machines: 2, memoryMb: 0 }, 256, "QUOTA_MACHINES"],
    [{ machines: 1, memoryMb: 512 }, 513, "QUOTA_MEMORY"],
  ])("with %j used and %d MB asked for is %s", (used, memoryMb, reason) => {
    expect(refusal({ ...org, used }, memoryMb)?.reason).toBe(reason);
  });

  test.each([
    ["past_due", "ORG_PAST_DUE"],
    ["banned", "ORG_BANNED"],
  ] as const)("is not spoken of to one that is %s", (standing, reason) => {
    expect(refusal({ ...org, standing, used: { machines: 9, memoryMb: 9_999 } }, 1)?.reason).toBe(reason);
  });

  it("is never exceeded by what is allowed", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2_000 })), (asked) => {
        const used = { machines: 0, memoryMb: 0 };
        for (const memoryMb of asked) {
          if (refusal({ ...org, used }, memoryMb)) continue;
          used.machines += 1;
          used.memoryMb += memoryMb;
        }
        expect(used.machines <= 2 && used.memoryMb <= 1_024).toBe(true);
      }),
    );
  });
});

describe("page tokens", () => {
  it("give their keys back, to their own list only", () => {
    const token = encodePageToken("list", ["a", "é\n"]);

    expect(decodePageToken("list", 2, token)).toEqual(["a", "é\n"]);
    expect(decodePageToken("list", 2, "")).toBeUndefined();
    expect(() => decodePageToken("other", 2, token)).toThrow("page_token");
    expect(() => decodePageToken("list", 1, token)).toThrow("page_token");
  });

  it("that nobody made are refused, whatever they are", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        expect(() => decodePageToken("list", 1, text)).toThrow(Fault);
      }),
    );
  });

  it("come with a page only when there is more", () => {
    expect(firstPage([1, 2, 3], 2)).toEqual({ items: [1, 2], last: 2 });
    expect(firstPage([1, 2], 2)).toEqual({ items: [1, 2], last: undefined });
    expect([pageSize(0), pageSize(7), pageSize(5_000)]).toEqual([100, 7, 1_000]);
    expect(() => pageSize(-1)).toThrow("page_size");
  });
});

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
    const heard = vi.fn();
    const table = new HostTable(heard);

    table.announce(HOST);
    table.announce({ ...HOST, lastSeenMs: 2 });
    table.announce({ ...HOST, lastSeenMs: 3, zone: "z" });
    table.learn({ ...HOST, lastSeenMs: 3, zone: "z" });

    expect(heard.mock.calls.flat()).toEqual(["new", "seen", "new"]);
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

    expect(plan).toEqual({ orphans: [], ahead: [], missing: [] });
  });

  it("finds what lives on a host though the record has it destroyed", () => {
    const destroyed = known("zombie", "7", true, "destroyed");

    const plan = planSweep([machine("zombie", "9")], { before: [], after: [destroyed] }, 100_000, 60_000);

    expect(plan.orphans.map((one) => one.id)).toEqual(["zombie"]);
    expect(plan.ahead).toEqual([]);
  });
});

describe("progress", () => {
  const lines = async (progress: Progress) => {
    const seen: string[] = [];
    for await (const step of progress.follow(new AbortController().signal)) {
      seen.push(`${step.step} ${step.status} ${step.bytesDone}`);
    }
    return seen;
  };

  it("is the same from the beginning and afterwards, but for what has been overtaken", async () => {
    const progress = new Progress(() => 1);
    const live = lines(progress);
    progress.begin("a");
    progress.end("a", "done");
    progress.begin("b");
    progress.advance("b", { detail: "", bytesDone: 1, bytesTotal: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    progress.advance("b", { detail: "", bytesDone: 2, bytesTotal: 2 });
    progress.end("b", "failed");
    progress.close();

    expect(await live).toEqual(["a running 0", "a done 0", "b running 1", "b running 2", "b failed 0"]);
    expect(await lines(progress)).toEqual(["a running 0", "a done 0", "b running 2", "b failed 0"]);
  });

  it("goes on after a crash where it was", () => {
    const progress = new Progress(
      () => 1,
      [{ sequence: 1, step: "a", status: "running", detail: "", bytesDone: 0, bytesTotal: 0, timeMs: 0 }],
    );

    expect(progress.begin("a").sequence).toBe(1);
    expect(progress.end("a", "done").sequence).toBe(2);
    expect(progress.begin("b").sequence).toBe(3);
  });

  it("is left by a watcher who goes", async () => {
    const gone = new AbortController();
    const following = new Progress(() => 1).follow(gone.signal).next();

    gone.abort();

    expect((await following).done).toBe(true);
  });
});

test("ULIDs sort by time and are told apart by chance", () => {
  const random = new Uint8Array(10).fill(255);

  expect(ulid(0, new Uint8Array(10))).toBe("0".repeat(26));
  expect(ulid(2 ** 48 - 1, random)).toBe(`7${"Z".repeat(25)}`);
  expect(ulid(1_000, random) < ulid(1_001, new Uint8Array(10))).toBe(true);
  expect(ulid(5)).not.toBe(ulid(5));
});

test("faults survive being stored, and what is not a fault tells nothing", () => {
  const fault = new Fault(
    "NOT_FOUND",
    "X",
    "message",
    { a: "b" },
    { violations: [{ field: "f", description: "d" }] },
  );

  expect(toFault(faultData(fault))).toMatchObject({
    code: "NOT_FOUND",
    reason: "X",
    message: "message",
    facts: { a: "b" },
  });
  expect(toFault(faultData(fault)).violations).toEqual(fault.violations);
  expect(faultData(new Error("secret"))).toMatchObject({
    code: "INTERNAL",
    message: expect.not.stringContaining("secret"),
  });
});
