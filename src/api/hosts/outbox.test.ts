import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { machine } from "../../../test/support/api-machine.ts";
import type { ReportedMachine } from "../machines/machine.ts";
import { planBatch } from "./outbox.ts";

function whole(id: string, generation: string): ReportedMachine {
  return { kind: "whole", machine: machine(id, generation) };
}

function statusOf(id: string, generation: string): ReportedMachine {
  const { state, updateTimeMs, serviceAddresses, lastStartPath, lastStartTraceId } = machine(id, generation);
  const status = { id, generation, state, updateTimeMs, serviceAddresses, lastStartPath, lastStartTraceId };
  return { kind: "status", machine: { ...status, lastStartPath: "warm" } };
}

describe("a host's events", () => {
  it("leave the latest generation of each machine, and every event once", () => {
    const events = [
      { sequence: 4n, reported: whole("a", "9") },
      { sequence: 5n, reported: whole("a", "10") },
      { sequence: 6n, reported: whole("b", "2") },
      { sequence: 7n, reported: whole("a", "3") },
    ];

    const batch = planBatch(4n, events);

    expect(batch.machines.map(({ machine: one }) => [one.id, one.generation])).toEqual([
      ["a", "10"],
      ["b", "2"],
    ]);
    expect(batch.applied).toBe(7n);
  });

  it("leave a machine whole when one of its changes is, with the latest status", () => {
    const events = [
      { sequence: 1n, reported: whole("a", "1") },
      { sequence: 2n, reported: statusOf("a", "2") },
      { sequence: 3n, reported: statusOf("b", "7") },
      { sequence: 4n, reported: statusOf("b", "8") },
    ];

    const [a, b] = planBatch(0n, events).machines;

    expect(a).toEqual({
      kind: "whole",
      machine: { ...machine("a", "2"), lastStartPath: "warm" },
    });
    expect(b).toEqual(statusOf("b", "8"));
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
            reported: whole("a", sequence.toString()),
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
            seen.push(...batch.changes.map(({ event }) => BigInt(event?.id ?? "0")));
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
