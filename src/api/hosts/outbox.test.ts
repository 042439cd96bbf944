import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { machine } from "../../../test/support/api-machine.ts";
import { planBatch } from "./outbox.ts";

describe("a host's events", () => {
  it("leave the latest generation of each machine, and every event once", () => {
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
