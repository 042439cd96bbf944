import fc from "fast-check";
import { expect, test } from "vitest";
import { CAPACITY, GRACE_MS, ledgerOf, reasonOf } from "../../../test/support/hostd/ledger.ts";
import type { Resources } from "../machines/version.ts";

/** A simple model of a ledger: lists that are summed each time. */
class Model {
  nowMs = 0;
  holds: { id: string; epoch: bigint; resources: Resources; untilMs: number; machine?: string }[] = [];
  machines = new Map<string, { resources: Resources; vms: Set<string>; launchUntilMs: number }>();

  sums() {
    const held = this.holds.filter((hold) => hold.machine === undefined && hold.untilMs > this.nowMs);
    const all = [...this.machines.values()];
    const busy = all.flatMap((machine) => [
      ...[...machine.vms].map(() => machine),
      ...(machine.launchUntilMs > this.nowMs ? [machine] : []),
    ]);
    const total = (of: "cpus" | "memoryMb" | "diskMb", list: { resources: Resources }[]) =>
      list.reduce((sum, { resources }) => sum + resources[of], 0);
    return {
      cpus: total("cpus", held) + total("cpus", busy),
      memoryMb: total("memoryMb", held) + total("memoryMb", busy),
      diskMb: total("diskMb", held) + total("diskMb", all),
    };
  }
}

const amount = fc.record({
  cpus: fc.integer({ min: 1, max: 3 }),
  memoryMb: fc.constantFrom(256, 512, 768),
  diskMb: fc.constantFrom(512, 1_024),
});
const name = fc.constantFrom("a", "b", "c", "d", "e");
const vm = fc.constantFrom("vm1", "vm2");
const command = fc.oneof(
  fc.record({
    kind: fc.constant("hold" as const),
    id: name,
    resources: amount,
    ttlMs: fc.constantFrom(0, 2_000, 9_000),
  }),
  fc.record({
    kind: fc.constant("award" as const),
    id: name,
    machine: name,
    launchMs: fc.constantFrom(0, 3_000),
    stale: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("undoAward" as const), id: name, machine: name }),
  fc.record({ kind: fc.constant("release" as const), id: name }),
  fc.record({ kind: fc.constant("admit" as const), machine: name, vm }),
  fc.record({ kind: fc.constant("stop" as const), machine: name, vm }),
  fc.record({ kind: fc.constant("forget" as const), machine: name }),
  fc.record({ kind: fc.constant("advance" as const), ms: fc.constantFrom(1, 900, 2_500, 10_000) }),
);

test("in any interleaving the ledger grants what a simple model grants, and never more than its capacity", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const { ledger, clock } = ledgerOf();
      const model = new Model();
      for (const step of commands) {
        if (step.kind === "advance") {
          clock.advance(step.ms);
          model.nowMs += step.ms;
        } else if (step.kind === "hold") {
          const known = model.holds.find(({ id, untilMs }) => id === step.id && untilMs > model.nowMs);
          const answer = ledger.hold(step.id, step.resources, step.ttlMs);
          const untilMs = model.nowMs + step.ttlMs + GRACE_MS;
          if (known) known.untilMs = Math.max(known.untilMs, untilMs);
          else if (answer.kind === "held") {
            model.holds = model.holds.filter(({ id }) => id !== step.id);
            model.holds.push({ id: step.id, epoch: answer.epoch, resources: step.resources, untilMs });
          }
        } else if (step.kind === "award") {
          const hold = model.holds.find(({ id, untilMs }) => id === step.id && untilMs > model.nowMs);
          const epoch = (hold?.epoch ?? 0n) - (step.stale ? 1n : 0n);
          const isNew = hold?.machine === undefined && !model.machines.has(step.machine);
          // hostd awards a machine id once: a second create of it never reaches the ledger.
          if (!isNew && hold?.machine !== step.machine) continue;
          const reason = reasonOf(() => ledger.award(step.id, epoch, step.machine, step.launchMs));
          expect(reason === "").toBe(hold !== undefined && !step.stale);
          if (reason === "" && hold && hold.machine === undefined) {
            hold.machine = step.machine;
            const launchUntilMs = step.launchMs > 0 ? model.nowMs + step.launchMs : 0;
            model.machines.set(step.machine, { resources: hold.resources, vms: new Set(), launchUntilMs });
          }
        } else if (step.kind === "undoAward") {
          const hold = model.holds.find(({ id, machine }) => id === step.id && machine === step.machine);
          if (!hold || !model.machines.has(step.machine)) continue;
          ledger.undoAward(step.id, step.machine);
          model.machines.delete(step.machine);
          model.holds = model.holds.filter((one) => one !== hold);
          const back = ledger.holds().find(({ reservationId }) => reservationId === step.id);
          if (back)
            model.holds.push({
              id: step.id,
              epoch: hold.epoch,
              resources: hold.resources,
              untilMs: hold.untilMs,
            });
        } else if (step.kind === "release") {
          ledger.release([step.id]);
          model.holds = model.holds.filter(({ id, machine }) => id !== step.id || machine !== undefined);
        } else {
          const machine = model.machines.get(step.machine);
          if (!machine) continue;
          if (step.kind === "admit") {
            const isAdmitted = reasonOf(() => ledger.admitVm(step.machine, step.vm)) === "";
            if (isAdmitted && !machine.vms.has(step.vm)) {
              machine.vms.add(step.vm);
              machine.launchUntilMs = 0;
            }
          } else if (step.kind === "stop") {
            ledger.releaseVm(step.machine, step.vm);
            machine.vms.delete(step.vm);
          } else {
            ledger.forget(step.machine);
            model.machines.delete(step.machine);
          }
        }
        const { held: onHold, allocated, free } = ledger.sums();
        const used = {
          cpus: onHold.cpus + allocated.cpus,
          memoryMb: onHold.memoryMb + allocated.memoryMb,
          diskMb: onHold.diskMb + allocated.diskMb,
        };
        expect(used).toEqual(model.sums());
        expect(used.cpus + free.cpus).toBe(CAPACITY.cpus);
        expect(used.memoryMb + free.memoryMb).toBe(CAPACITY.memoryMb);
        expect(used.diskMb + free.diskMb).toBe(CAPACITY.diskMb);
      }
    }),
    { numRuns: 500 },
  );
});
