import { describe, expect, test } from "vitest";
import {
  bid,
  hostInfo,
  LARGE,
  SMALL,
  seeded,
  TestHost,
  TestTime,
} from "../../../test/support/scheduler/fixture.ts";
import type { Placement } from "../auctions/placement.ts";
import type { HostStatus } from "./attached-host.ts";
import { Hosts } from "./hosts.ts";

const NOTHING = { cpus: 0, memoryMb: 0, diskMb: 0 };
const STATUS: HostStatus = {
  held: NOTHING,
  allocated: NOTHING,
  running: NOTHING,
  machines: {},
  load: 0,
  warmVms: 0,
  scheduling: "open",
};
const TERMS = { holdMs: 5_000, windowMs: 150, traceparent: "" };

function fleet() {
  const time = new TestTime();
  const hosts = new Hosts(time);
  const drawn = (excluded: number[] = [], placement: Partial<Placement> = {}) =>
    hosts
      .draw(bid("r1", SMALL, placement), new Set(excluded), seeded(1))
      .take(100)
      .map((host) => host.info.number);
  return { time, hosts, drawn };
}

test("the same host attached again replaces its old stream", () => {
  const { hosts } = fleet();
  const old = new TestHost(hosts, 1);

  const again = new TestHost(hosts, 1);

  expect(old.ended).toMatchObject({ code: "ABORTED", reason: "HOST_REPLACED" });
  expect(hosts.all()).toEqual([again.host]);
  hosts.detach(old.host);
  expect(hosts.get(1)).toBe(again.host);
});

test("another host with the same number is refused, and the first stays", () => {
  const { hosts } = fleet();
  const first = new TestHost(hosts, 1);

  expect(() => new TestHost(hosts, 1, { identity: "another", name: "impostor" })).toThrow(
    expect.objectContaining({ code: "ALREADY_EXISTS", reason: "HOST_NUMBER_TAKEN" }),
  );
  expect(hosts.all()).toEqual([first.host]);
  expect(first.ended).toBeUndefined();
});

test("once the first has gone, its number is free", () => {
  const { hosts } = fleet();
  hosts.detach(new TestHost(hosts, 1).host);

  expect(new TestHost(hosts, 1, { identity: "another" }).host.info.identity).toBe("another");
});

test("more hosts than the bound are refused", () => {
  const { hosts } = fleet();
  for (let number = 0; number < 10_000; number++) new TestHost(hosts, number);

  expect(() => new TestHost(hosts, 10_000)).toThrow(expect.objectContaining({ reason: "TOO_MANY_HOSTS" }));
});

test("a host silent for 15 s is not asked, and is again after its next message", () => {
  const { time, hosts, drawn } = fleet();
  const host = new TestHost(hosts, 1);
  time.pass(15_001);
  expect(drawn()).toEqual([]);

  host.host.seen();

  expect(drawn()).toEqual([1]);
});

test("a host silent for 30 s is detached", () => {
  const { time, hosts } = fleet();
  const silent = new TestHost(hosts, 1);
  const alive = new TestHost(hosts, 2);
  time.pass(30_001);
  alive.host.seen();

  hosts.dropSilent();

  expect(silent.ended).toMatchObject({ reason: "HOST_SILENT" });
  expect(hosts.all()).toEqual([alive.host]);
});

test("excluded hosts are not asked", () => {
  const { hosts, drawn } = fleet();
  for (const number of [1, 2, 3]) new TestHost(hosts, number);

  expect(drawn([1, 3])).toEqual([2]);
});

test("a host that seems full comes last, whether machines or auctions fill it", () => {
  const { hosts, drawn } = fleet();
  for (const number of [1, 2, 3, 4]) new TestHost(hosts, number);
  const status = STATUS;
  new TestHost(hosts, 1).host.seen({ ...status, held: LARGE });
  new TestHost(hosts, 2).host.seen({ ...status, allocated: LARGE });
  new TestHost(hosts, 3).host.seen({ ...status, running: LARGE });

  expect(drawn()[0]).toBe(4);
  expect(drawn().sort()).toEqual([1, 2, 3, 4]);
});

test("a host that leaves a bid unanswered for a second comes last until it answers", () => {
  const { time, hosts, drawn } = fleet();
  const slow = new TestHost(hosts, 1);
  for (const number of [2, 3]) new TestHost(hosts, number);
  slow.host.sendBid(bid(), TERMS, () => {});
  time.pass(1_001);
  expect(drawn().at(-1)).toBe(1);

  slow.decline("no_cpu");

  expect(slow.host.isSlow(time.monotonicMs())).toBe(false);
});

test("an answer is passed on once, and only to the auction that asked", () => {
  const { hosts } = fleet();
  const host = new TestHost(hosts, 1);
  const answers: string[] = [];
  host.host.sendBid(bid("r1"), TERMS, (answer) => answers.push(answer.kind));

  host.offer({}, "r2");
  host.offer({}, "r1");
  host.offer({}, "r1");

  expect(answers).toEqual(["offer"]);
});

test("a host that detaches declines its bids at once", () => {
  const { hosts } = fleet();
  const host = new TestHost(hosts, 1);
  const answers: unknown[] = [];
  host.host.sendBid(bid(), TERMS, (answer) => answers.push(answer));

  hosts.detach(host.host);

  expect(answers).toEqual([{ kind: "decline", decline: { reason: "disconnected", largest: undefined } }]);
});

test("a host that does not read its messages is detached", () => {
  const { hosts } = fleet();
  const host = new TestHost(hosts, 1);
  host.reads = false;

  expect(host.host.sendBid(bid(), TERMS, () => {})).toBe(false);
  expect(host.ended).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "HOST_TOO_SLOW" });
  expect(hosts.size).toBe(0);
});

test("a host that answers nothing is asked no more than a bounded number of times, and again after a while", () => {
  const { time, hosts } = fleet();
  const host = new TestHost(hosts, 1, hostInfo(1));
  const send = (i: number) => host.host.sendBid(bid(`r${i}`), TERMS, () => {});
  for (let i = 0; i < 4_096; i++) send(i);
  expect(send(4_096)).toBe(false);

  time.pass(30_001);

  expect(send(4_097)).toBe(true);
});

test("only hosts with the labels that are asked for are asked, all of them with these values", () => {
  const { hosts, drawn } = fleet();
  new TestHost(hosts, 1, { labels: { disk: "nvme", gpu: "a10" } });
  new TestHost(hosts, 2, { labels: { disk: "hdd", gpu: "a10" } });
  new TestHost(hosts, 3);

  expect(drawn([], { hostLabels: { gpu: "a10" } }).sort()).toEqual([1, 2]);
  expect(drawn([], { hostLabels: { gpu: "a10", disk: "nvme" } })).toEqual([1]);
  expect(drawn([], { hostLabels: { gpu: "h100" } })).toEqual([]);
});

test("the host that has the data is the only one to be asked, unless it is excluded", () => {
  const { hosts, drawn } = fleet();
  for (const number of [1, 2, 3]) new TestHost(hosts, number);

  expect(drawn([], { hostNumber: 2 })).toEqual([2]);
  expect(drawn([2], { hostNumber: 2 })).toEqual([]);
  expect(drawn([], { hostNumber: 9 })).toEqual([]);
});

test("cordoned and draining hosts are not asked, and are again once they are open", () => {
  const { hosts, drawn } = fleet();
  const [first, second] = [new TestHost(hosts, 1), new TestHost(hosts, 2)];
  first.host.seen({ ...STATUS, scheduling: "cordoned" });
  second.host.seen({ ...STATUS, scheduling: "draining" });
  expect(drawn()).toEqual([]);
  expect(hosts.summary(bid())).toMatchObject({ attached: 2, matching: 2, closed: 2 });

  first.host.seen(STATUS);

  expect(drawn()).toEqual([1]);
});

test("a host that refuses awards repeatedly is left out for a while", () => {
  const { time, hosts, drawn } = fleet();
  for (const number of [1, 2]) new TestHost(hosts, number);
  for (let i = 0; i < 3; i++) hosts.refusals.add(1);
  expect(drawn()).toEqual([2]);
  expect(hosts.summary(bid())).toMatchObject({ matching: 2, inBackoff: 1 });

  time.pass(30_000);
  for (const host of hosts.all()) host.seen();

  expect(drawn().sort()).toEqual([1, 2]);
});

describe("the image", () => {
  const image = (start: string) => `sha256:${start}${"c".repeat(56)}`;
  const first = (hosts: Hosts, imageDigest: string, count = 3, asked: Partial<Placement> = {}) =>
    hosts
      .draw({ ...bid("r1", SMALL, asked), imageDigest }, new Set([7]), seeded(1))
      .take(count)
      .map((host) => host.info.number);

  test("is asked for where it is, at two hosts of several, and the others come from the whole fleet", () => {
    const { hosts } = fleet();
    for (let number = 1; number <= 500; number++) new TestHost(hosts, number);
    for (const number of [7, 8, 9, 10]) setImages(hosts, number, [0xffeeddcc, 1]);

    const [one, two, other] = first(hosts, image("ffeeddcc"));

    expect([8, 9, 10]).toContain(one);
    expect([8, 9, 10]).toContain(two);
    expect(one).not.toBe(two);
    expect(other).toBeGreaterThan(10);
    expect(new Set(first(hosts, image("ffeeddcc"), 500)).size).toBe(499);
  });

  test("does not make a host asked that takes none, or is not meant, or seems full", () => {
    const { hosts, time } = fleet();
    for (let number = 1; number <= 50; number++) {
      const { host } = new TestHost(hosts, number, { labels: { odd: String(number % 2 === 1) } });
      if (number < 40) hosts.setImages(host, [1]);
      if (number < 10) host.seen({ ...STATUS, scheduling: "cordoned" });
      else if (number < 20) host.seen({ ...STATUS, allocated: LARGE });
      else if (number < 30) for (let i = 0; i < 3; i++) hosts.refusals.add(number);
    }
    time.pass(1);

    for (const number of first(hosts, image("00000001"), 2, { hostLabels: { odd: "true" } })) {
      expect([31, 33, 35, 37, 39]).toContain(number);
    }
    expect(first(hosts, image("00000001"), 3, { hostNumber: 45 })).toEqual([45]);
  });

  test("is not asked for on a host that no longer has it, or has attached again", () => {
    const { hosts } = fleet();
    for (let number = 1; number <= 200; number++) new TestHost(hosts, number);
    const old = hosts.get(50);
    for (const number of [50, 60, 70]) setImages(hosts, number, [5, 6]);
    new TestHost(hosts, 50);
    setImages(hosts, 60, [6]);
    if (old) hosts.setImages(old, [5]);

    expect(first(hosts, image("00000005"), 2)[0]).toBe(70);
    expect(first(hosts, image("00000005"), 2)[1]).not.toBe(50);
  });

  function setImages(hosts: Hosts, number: number, hints: readonly number[]): void {
    const host = hosts.get(number);
    if (host) hosts.setImages(host, hints);
  }
});

test("a host whose disk is all but full is asked last", () => {
  const { hosts, drawn } = fleet();
  for (const number of [1, 2, 3]) {
    const { host } = new TestHost(hosts, number);
    host.seen({ ...STATUS, diskFreeMb: number === 2 ? 900 : 1_024, diskReserveMb: 1_024 });
  }

  expect(drawn().at(-1)).toBe(2);
  expect(drawn()).toHaveLength(3);
});
