import { expect, test } from "vitest";
import { machineIn } from "../../../test/support/hostd/machine-builder.ts";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { StartQueue } from "../operations/launch/start-queue.ts";
import { type BidParts, bid } from "./bid.ts";
import { Ledger } from "./ledger.ts";

const ASKED = {
  reservationId: "r1",
  resources: { cpus: 1, memoryMb: 256, diskMb: 1_024 },
  imageDigest: "sha256:x",
  app: "web",
  distinctHosts: false,
  holdMs: 5_000,
};
const HINTS = { imageLocal: true, load: 0.25 };

function host(memoryMb = 1_024) {
  const capacity = { cpus: 4, memoryMb, diskMb: 4_096 };
  const clock = new ManualClock();
  const machines = [
    machineIn("started"),
    machineIn("destroyed"),
    machineIn("stopped", { spec: { ...machineIn("stopped").spec, app: "other" } }),
  ];
  return {
    ledger: new Ledger({ capacity, incarnation: 1, graceMs: 0, clock }),
    store: { all: () => machines },
    vmm: { warm: () => 2 },
    starts: new StartQueue({ concurrency: 1, maxWaiting: 1 }),
    scheduling: { current: "open" },
    disk: { space: undefined },
  } satisfies BidParts;
}

test("an offer holds capacity and has what the ranking needs", () => {
  const here = host();

  expect(bid(here, ASKED, HINTS)).toEqual({
    kind: "offer",
    epoch: (1n << 32n) + 1n,
    freeAfter: { cpus: 3, memoryMb: 768, diskMb: 3_072 },
    imageLocal: true,
    load: 0.25,
    warmVms: 2,
    machines: 2,
    appMachines: 1,
    inFlight: 0,
  });
  expect(here.ledger.holds()).toHaveLength(1);
});

test("a bid that does not fit is declined with the largest machine that would", () => {
  expect(bid(host(128), ASKED, HINTS)).toEqual({
    kind: "decline",
    reason: "no_memory",
    largest: { cpus: 4, memoryMb: 128, diskMb: 4_096 },
  });
});

test("a host that shuts down declines as draining and holds nothing", () => {
  const here = host();

  expect(bid(here, ASKED, { ...HINTS, isClosing: true })).toEqual({ kind: "decline", reason: "draining" });
  expect(here.ledger.holds()).toEqual([]);
});

test("a cordoned host declines", () => {
  const cordoned: BidParts = { ...host(), scheduling: { current: "cordoned" } };

  expect(bid(cordoned, ASKED, HINTS)).toEqual({ kind: "decline", reason: "cordoned" });
});

test("a bid for distinct hosts is declined where the app has a machine", () => {
  const here = host();
  const distinct = { ...ASKED, distinctHosts: true };
  expect(bid(here, distinct, HINTS)).toEqual({ kind: "decline", reason: "app_present" });

  const mine = { ...distinct, app: "mine" };
  expect(bid(here, mine, HINTS)).toMatchObject({ kind: "offer", appMachines: 0 });
  // A repeated bid does not count its own hold.
  expect(bid(here, mine, HINTS)).toMatchObject({ kind: "offer", appMachines: 0 });
  // The hold of another auction is counted, and does not decline this one.
  expect(bid(here, { ...mine, reservationId: "r2" }, HINTS)).toMatchObject({ kind: "offer", appMachines: 1 });
});

test("an award whose machine is not stored yet counts for its app", () => {
  const here = host();
  const mine = { ...ASKED, app: "mine", distinctHosts: true };
  const held = bid(here, mine, HINTS);
  if (held.kind !== "offer") throw new Error("no offer");
  here.ledger.award("r1", held.epoch, "00001aaaaaaaaa", 0);

  expect(bid(here, { ...mine, reservationId: "r2" }, HINTS)).toMatchObject({ reason: "app_present" });
});

test("an offer counts starts under way, and a full queue declines", async () => {
  const here = host();
  const { signal } = new AbortController();
  const leave = await here.starts.enter("org", signal);
  expect(bid(here, ASKED, HINTS)).toMatchObject({ kind: "offer", inFlight: 1 });

  const waiting = here.starts.enter("org", signal);

  expect(bid(here, ASKED, HINTS)).toEqual({ kind: "decline", reason: "busy" });
  leave();
  (await waiting)();
});

test("a host whose disk is almost full declines with no_disk and holds nothing; with room it offers again", () => {
  const here = host();
  const size = 8 * 2 ** 30;

  expect(bid({ ...here, disk: { space: { size, free: size * 0.05 - 1 } } }, ASKED, HINTS)).toEqual({
    kind: "decline",
    reason: "no_disk",
    largest: { cpus: 4, memoryMb: 1_024, diskMb: 0 },
  });
  expect(here.ledger.holds()).toEqual([]);

  expect(bid({ ...here, disk: { space: { size, free: size * 0.05 } } }, ASKED, HINTS)).toMatchObject({
    kind: "offer",
  });
});
