import { describe, expect, test } from "vitest";
import { bid, seeded, TestHost, TestTime } from "../../../test/support/scheduler/fixture.ts";
import { Hosts } from "../hosts/hosts.ts";
import type { AuctionLimits } from "./auction.ts";
import { type AuctionObserver, runAuction } from "./run-auction.ts";

const LIMITS: AuctionLimits = { sample: 8, maxAsked: 32, enoughOffers: 3, windowMs: 150, betterOfferMs: 5 };

function setUp(count: number) {
  const time = new TestTime();
  const hosts = new Hosts(time);
  const fleet = Array.from({ length: count }, (_, i) => new TestHost(hosts, i + 1));
  const tools = {
    ...{ bidders: hosts, clock: time, setTimer: time.setTimer, random: seeded(5), limits: LIMITS },
  };
  const seen: string[] = [];
  const observer: AuctionObserver = {
    bidSent: (host) => `trace-of-${host.number}`,
    answerReceived: (host, answer, late) => seen.push(`${host.number} ${answer.kind}${late ? " late" : ""}`),
    ended: () => {},
  };
  const run = () => runAuction(tools, bid(), new Set(), 5_000, observer);
  return { time, hosts, fleet, seen, run };
}

test("a bid request has the resources, the time to hold them, the window and the span", () => {
  const { fleet, run } = setUp(1);

  void run();

  const terms = { holdMs: 5_000, windowMs: 150, traceparent: "trace-of-1" };
  expect(fleet[0]?.bids).toEqual([{ bid: bid(), terms }]);
});

test("ends as soon as all have answered, and leaves no timer behind", async () => {
  const { time, fleet, run } = setUp(2);
  const running = run();

  for (const host of fleet) host.offer();

  expect((await running).offers).toHaveLength(2);
  expect(time.timers).toBe(0);
});

test("a silent host costs the window and no more", async () => {
  const { time, fleet, run } = setUp(2);
  const running = run();
  fleet[0]?.offer();

  time.pass(150);

  const outcome = await running;
  expect(outcome.offers.map((o) => o.hostNumber)).toEqual([1]);
  expect(outcome.declines).toEqual(new Map([["timeout", 1]]));
});

test("a host that goes during the auction costs nothing", async () => {
  const { fleet, hosts, run } = setUp(2);
  const running = run();
  fleet[0]?.offer();

  if (fleet[1]) hosts.detach(fleet[1].host);

  expect((await running).declines).toEqual(new Map([["disconnected", 1]]));
});

test("the hold of an offer that comes too late is released", async () => {
  const { time, fleet, seen, run } = setUp(2);
  const running = run();
  fleet[0]?.offer();
  time.pass(150);
  await running;

  fleet[1]?.offer();

  expect(fleet[1]?.released).toEqual(["r1"]);
  expect(fleet[0]?.released).toEqual([]);
  expect(seen).toEqual(["1 offer", "2 offer late"]);
});

test("a refusal that comes too late changes nothing", async () => {
  const { time, fleet, run } = setUp(1);
  const running = run();
  time.pass(150);
  await running;

  fleet[0]?.decline("no_cpu");

  expect(fleet[0]?.released).toEqual([]);
});

test("a host that cannot be asked is skipped at once", async () => {
  const { fleet, run } = setUp(2);
  if (fleet[0]) fleet[0].reads = false;
  const running = run();

  fleet[1]?.offer();

  expect((await running).declines).toEqual(new Map([["disconnected", 1]]));
});

describe("in a large fleet", () => {
  test("a few are asked when they have room", async () => {
    const { fleet, run } = setUp(500);
    for (const host of fleet) host.onBid = () => host.offer({ imageLocal: true });

    const outcome = await run();

    expect(outcome.offers).toHaveLength(3);
    expect(fleet.reduce((sum, host) => sum + host.bids.length, 0)).toBe(8);
  });

  test("no more than the bound are asked when none has", async () => {
    const { fleet, run } = setUp(500);
    for (const host of fleet) host.onBid = () => host.decline("no_memory");

    const outcome = await run();

    expect(outcome).toMatchObject({ asked: 32, declines: new Map([["no_memory", 32]]) });
  });

  test("a silent sample is widened before the window ends", async () => {
    const { time, fleet, run } = setUp(500);
    const running = run();
    const first = fleet.filter((host) => host.bids.length > 0);
    time.pass(50);
    const second = fleet.filter((host) => host.bids.length > 0 && !first.includes(host));
    for (const host of second) host.offer();
    time.pass(5);

    expect(first).toHaveLength(8);
    expect((await running).offers).toHaveLength(8);
  });
});
