import { describe, expect, test } from "vitest";
import { CAPACITY, GRACE_MS, ledgerOf, reasonOf } from "../../../test/support/hostd/ledger.ts";
import type { Ledger } from "./ledger.ts";

const SMALL = { cpus: 1, memoryMb: 256, diskMb: 1_024 };

function held(ledger: Ledger, reservation: string, resources = SMALL, ttlMs = 5_000): bigint {
  const answer = ledger.hold(reservation, resources, ttlMs);
  if (answer.kind !== "held") throw new Error(answer.reason);
  return answer.epoch;
}

describe("reclaimable memory", () => {
  test("is free for holds and machines, which reclaim it at once", () => {
    const { ledger } = ledgerOf();
    const left: number[] = [];
    ledger.onReclaim((leftMb) => {
      left.push(leftMb);
      ledger.setReclaimable(512);
    });

    expect(ledger.setReclaimable(1_024)).toBe(true);
    expect(ledger.sums()).toMatchObject({ reclaimable: { memoryMb: 1_024 }, free: { memoryMb: 1_024 } });
    held(ledger, "r1");

    expect(left).toEqual([768]);
    expect(ledger.sums()).toMatchObject({ reclaimable: { memoryMb: 512 }, free: { memoryMb: 768 } });
  });

  test("never exceeds free memory, and can always be lowered", () => {
    const { ledger } = ledgerOf();
    held(ledger, "r1", { ...SMALL, memoryMb: 1_000 });

    expect(ledger.setReclaimable(25)).toBe(false);
    expect(ledger.setReclaimable(24)).toBe(true);
    expect(ledger.setReclaimable(0)).toBe(true);
    expect(ledger.sums().reclaimable.memoryMb).toBe(0);
  });
});

describe("holds", () => {
  test("a hold takes capacity, and its release returns it", () => {
    const { ledger } = ledgerOf();

    held(ledger, "r1");

    expect(ledger.sums().held).toEqual(SMALL);
    ledger.release(["r1", "unknown"]);
    expect(ledger.sums().held).toEqual({ cpus: 0, memoryMb: 0, diskMb: 0 });
  });

  test("a hold expires after its TTL and the grace", () => {
    const { ledger, clock } = ledgerOf();
    held(ledger, "r1", SMALL, 5_000);

    clock.advance(5_000 + GRACE_MS - 1);
    expect(ledger.holds()).toHaveLength(1);
    clock.advance(1);

    expect(ledger.holds()).toHaveLength(0);
  });

  test("a repeated bid gets the same hold", () => {
    const { ledger } = ledgerOf();

    const first = held(ledger, "r1");

    expect(held(ledger, "r1")).toBe(first);
    expect(ledger.sums().held).toEqual(SMALL);
  });

  test("a repeated bid extends the hold to the deadline of the new reservation", () => {
    const { ledger, clock } = ledgerOf();
    const epoch = held(ledger, "r1");
    clock.advance(5_000);
    held(ledger, "r1");

    clock.advance(5_000 + GRACE_MS - 1);

    expect(ledger.award("r1", epoch, "m1", 0)).toEqual(SMALL);
  });

  test.each([
    ["no_cpu", { cpus: 5, memoryMb: 1, diskMb: 1 }],
    ["no_memory", { cpus: 1, memoryMb: 2_000, diskMb: 1 }],
    ["no_disk", { cpus: 1, memoryMb: 1, diskMb: 5_000 }],
  ])("a hold that does not fit is declined with %s and the largest that would", (reason, resources) => {
    const { ledger } = ledgerOf();

    expect(ledger.hold("r1", resources, 1)).toEqual({ kind: "declined", reason, largest: CAPACITY });
  });
});

describe("awards", () => {
  test("an award without a launch allocates only disk", () => {
    const { ledger } = ledgerOf();
    const epoch = held(ledger, "r1");

    ledger.award("r1", epoch, "m1", 0);

    expect(ledger.sums()).toMatchObject({
      held: { cpus: 0, memoryMb: 0, diskMb: 0 },
      allocated: { cpus: 0, memoryMb: 0, diskMb: 1_024 },
    });
  });

  test("an award with a launch allocates CPU and memory until its deadline", () => {
    const { ledger, clock } = ledgerOf();
    ledger.award("r1", held(ledger, "r1"), "m1", 10_000);

    expect(ledger.sums().allocated).toEqual(SMALL);
    clock.advance(10_000);

    expect(ledger.sums().allocated).toEqual({ cpus: 0, memoryMb: 0, diskMb: 1_024 });
  });

  test("a hold that has expired, was never made, or has another epoch is refused", () => {
    const { ledger, clock } = ledgerOf();
    const epoch = held(ledger, "r1");

    expect(reasonOf(() => ledger.award("r2", epoch, "m1", 0))).toBe("HOLD_EXPIRED");
    expect(reasonOf(() => ledger.award("r1", epoch + 1n, "m1", 0))).toBe("HOLD_EXPIRED");
    clock.advance(60_000);
    expect(reasonOf(() => ledger.award("r1", epoch, "m1", 0))).toBe("HOLD_EXPIRED");
  });

  test("a hold of before a restart is refused, also when the same reservation is held again", () => {
    const before = held(ledgerOf(CAPACITY, 1).ledger, "r1");
    const { ledger } = ledgerOf(CAPACITY, 2);
    held(ledger, "r1");

    expect(reasonOf(() => ledger.award("r1", before, "m1", 0))).toBe("HOLD_EXPIRED");
  });

  test("a hold is awarded once; the same award again changes nothing", () => {
    const { ledger } = ledgerOf();
    const epoch = held(ledger, "r1");
    ledger.award("r1", epoch, "m1", 0);

    ledger.award("r1", epoch, "m1", 0);

    expect(reasonOf(() => ledger.award("r1", epoch, "m2", 0))).toBe("HOLD_AWARDED");
    expect(ledger.sums().allocated.diskMb).toBe(1_024);
  });

  test("an award that was undone can be repeated", () => {
    const { ledger } = ledgerOf();
    const epoch = held(ledger, "r1");
    ledger.award("r1", epoch, "m1", 0);

    ledger.undoAward("r1", "m1");

    expect(ledger.sums().held).toEqual(SMALL);
    ledger.award("r1", epoch, "m1", 0);
    expect(ledger.sums().allocated.diskMb).toBe(1_024);
  });
});

describe("running", () => {
  test("a full host refuses, and names what is needed and what is free", () => {
    const { ledger } = ledgerOf();
    ledger.award("r1", held(ledger, "r1", { ...SMALL, memoryMb: 768 }), "m1", 0);
    held(ledger, "r2", { ...SMALL, memoryMb: 512 });

    expect(() => ledger.admitVm("m1", "vm1")).toThrow(
      expect.objectContaining({
        reason: "INSUFFICIENT_CAPACITY",
        facts: { asked_cpus: "1", asked_memory_mb: "768", free_cpus: "3", free_memory_mb: "512" },
      }),
    );
    expect(ledger.sums().running.memoryMb).toBe(0);
  });

  test("a launch uses what was allocated for it", () => {
    const { ledger } = ledgerOf({ ...CAPACITY, memoryMb: 256 });
    ledger.award("r1", held(ledger, "r1"), "m1", 10_000);

    ledger.admitVm("m1", "vm1");

    expect(ledger.sums().running).toEqual({ cpus: 1, memoryMb: 256, diskMb: 0 });
    ledger.releaseVm("m1", "vm1");
    expect(ledger.sums().allocated).toEqual({ cpus: 0, memoryMb: 0, diskMb: 1_024 });
  });

  test("a machine's next VM and its last one are both counted until that is destroyed", () => {
    const { ledger } = ledgerOf({ ...CAPACITY, memoryMb: 512 });
    ledger.award("r1", held(ledger, "r1"), "m1", 0);
    ledger.admitVm("m1", "vm1");
    ledger.admitVm("m1", "vm1");
    ledger.admitVm("m1", "vm2");

    expect(ledger.sums().running).toEqual({ cpus: 2, memoryMb: 512, diskMb: 0 });
    expect(reasonOf(() => ledger.admitVm("m1", "vm3"))).toBe("INSUFFICIENT_CAPACITY");
    ledger.releaseVm("m1", "vm1");
    ledger.releaseVm("m1", "vm1");
    expect(ledger.sums().running).toEqual({ cpus: 1, memoryMb: 256, diskMb: 0 });
  });

  test("memory of warm VMs is not free without reclaiming it", () => {
    const { ledger } = ledgerOf({ ...CAPACITY, memoryMb: 1_024 });
    ledger.award("r1", held(ledger, "r1"), "m1", 0);

    ledger.setReclaimable(768);
    expect(ledger.fitsWithoutReclaim("m1")).toBe(true);
    ledger.setReclaimable(769);
    expect(ledger.fitsWithoutReclaim("m1")).toBe(false);
  });

  test("when capacity is lowered below what machines have, they stay and nothing more is granted", () => {
    const { ledger } = ledgerOf({ cpus: 1, memoryMb: 256, diskMb: 1_024 });
    const resources = { cpus: 2, memoryMb: 512, diskMb: 2_048 };
    ledger.restore("m1", resources, { vm: { id: "vm1", resources }, launchForMs: 0 });

    expect(ledger.sums().free).toEqual({ cpus: 0, memoryMb: 0, diskMb: 0 });
    expect(ledger.hold("r1", { cpus: 0, memoryMb: 0, diskMb: 1 }, 1_000).kind).toBe("declined");
    ledger.forget("m1");
    expect(ledger.hold("r1", SMALL, 1_000).kind).toBe("held");
  });
});
