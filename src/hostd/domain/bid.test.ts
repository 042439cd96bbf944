import { expect, test } from "vitest";
import { ManualClock } from "../../lib/clock.ts";
import { bid } from "./bid.ts";
import type { Host } from "./host.ts";
import { Ledger } from "./ledger.ts";
import { machineIn } from "./machine-builder.ts";

const ASKED = {
  reservationId: "r1",
  resources: { cpus: 1, memoryMb: 256, diskMb: 1_024 },
  imageDigest: "sha256:x",
  app: "web",
  holdMs: 5_000,
};
const HINTS = { isDraining: false, imageLocal: true, load: 0.25 };

function host(memoryMb = 1_024): Pick<Host, "ledger" | "store" | "vmm"> {
  const capacity = { cpus: 4, memoryMb, diskMb: 4_096 };
  const clock = new ManualClock();
  const machines = [
    machineIn("started"),
    machineIn("destroyed"),
    machineIn("stopped", { spec: { ...machineIn("stopped").spec, app: "other" } }),
  ];
  return {
    ledger: new Ledger({ capacity, incarnation: 1, graceMs: 0, clock }),
    // Of either only what a bid asks is here.
    store: { all: () => machines } as unknown as Host["store"],
    vmm: { warm: () => 2 } as unknown as Host["vmm"],
  };
}

test("an offer holds the capacity and tells what the ranking needs", () => {
  const here = host();

  expect(bid(here, ASKED, HINTS)).toEqual({
    kind: "offer",
    epoch: (1n << 32n) + 1n,
    freeAfter: { cpus: 3, memoryMb: 768, diskMb: 3_072 },
    imageLocal: true,
    load: 0.25,
    warm: 2,
    machines: 2,
    appMachines: 1,
  });
  expect(here.ledger.holds()).toHaveLength(1);
});

test("what does not fit is declined with the largest that would", () => {
  expect(bid(host(128), ASKED, HINTS)).toEqual({
    kind: "decline",
    reason: "no_memory",
    largest: { cpus: 4, memoryMb: 128, diskMb: 4_096 },
  });
});

test("a host that is shutting down holds nothing", () => {
  const here = host();

  expect(bid(here, ASKED, { ...HINTS, isDraining: true })).toEqual({ kind: "decline", reason: "draining" });
  expect(here.ledger.holds()).toEqual([]);
});
