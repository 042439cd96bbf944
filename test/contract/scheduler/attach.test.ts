import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AttachRequest, AttachResponse } from "../../../src/gen/windhover/scheduler/v1/attach.ts";
import { SchedulerServiceClient } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { openDuplex } from "../../../src/lib/grpc/calls/duplex.ts";
import { connect } from "../../../src/lib/grpc/client.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { eventually, startScheduler, TestHost, type TestScheduler, token } from "./fixture.ts";
import { HELLO } from "./hello.ts";

/** Of each auction: long enough for hosts that do answer, on a busy machine too. */
const WINDOW_MS = 1_500;

let redis: TestRedis;
let scheduler: TestScheduler;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  scheduler = await startScheduler(redis.url, { windowMs: WINDOW_MS });
  await scheduler.ready();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await scheduler.close();
});

function host(number: number, traits: ConstructorParameters<typeof TestHost>[2] = {}): TestHost {
  const one = new TestHost(number, [scheduler.address], traits);
  closing.push(() => one.close());
  return one;
}

/** A bare stream, for messages that no real host sends. */
function stream() {
  const client = connect(SchedulerServiceClient, scheduler.address, { token, ownConnection: true });
  const open = openDuplex(client, client.attach, { timeoutMs: 20_000 });
  const received = open.messages[Symbol.asyncIterator]();
  closing.push(
    () => client.close(),
    () => open.cancel(),
  );
  return {
    say: (message: AttachRequest["message"]) => open.write({ message }),
    next: async (): Promise<AttachResponse["message"]> => (await received.next()).value?.message,
    end: () => open.end(),
  };
}

describe("hello", () => {
  test("is answered with the name of the replica", async () => {
    const raw = stream();
    await raw.say({ $case: "hello", value: HELLO });

    expect(await raw.next()).toEqual({ $case: "welcome", value: { scheduler: "test" } });
  });

  test("must come first", async () => {
    const raw = stream();
    await raw.say({ $case: "decline", value: { reservationId: "r1", reason: "no_cpu", largest: undefined } });

    await expect(raw.next()).rejects.toMatchObject({ code: "INVALID_ARGUMENT", reason: "HELLO_EXPECTED" });
  });

  test("must come at all", async () => {
    const raw = stream();
    raw.end();

    await expect(raw.next()).rejects.toMatchObject({ reason: "HELLO_EXPECTED" });
  });

  test("must come within five seconds", async () => {
    await expect(stream().next()).rejects.toMatchObject({ reason: "HELLO_EXPECTED" });
  });

  test("must come once", async () => {
    const raw = stream();
    await raw.say({ $case: "hello", value: HELLO });
    await raw.next();

    await raw.say({ $case: "hello", value: HELLO });

    await expect(raw.next()).rejects.toMatchObject({ reason: "HELLO_EXPECTED" });
    await eventually(() => scheduler.hosts.size).toBe(0);
  });

  test("with wrong fields is refused, with all of them", async () => {
    const raw = stream();
    const value = { ...HELLO, number: -1, name: "", identity: "", address: "nowhere", capacity: undefined };
    await raw.say({ $case: "hello", value });

    await expect(raw.next()).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "hello.number,hello.name,hello.identity,hello.address,hello.capacity" },
    });
  });

  test("of another region is refused", async () => {
    const raw = stream();
    await raw.say({ $case: "hello", value: { ...HELLO, region: "gru" } });

    await expect(raw.next()).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "WRONG_REGION",
      facts: { region: "ord", host_region: "gru" },
    });
  });

  test("with another host's number is refused while that host is attached", async () => {
    const first = host(1);
    await eventually(() => first.attached()).toBe(true);
    const raw = stream();
    await raw.say({ $case: "hello", value: { ...HELLO, identity: "another" } });

    await expect(raw.next()).rejects.toMatchObject({ code: "ALREADY_EXISTS", reason: "HOST_NUMBER_TAKEN" });
    expect(first.attached()).toBe(true);
    expect((await scheduler.reserve()).reservation?.offers).toHaveLength(1);
  });

  test("of the same host replaces its old stream", async () => {
    const old = stream();
    await old.say({ $case: "hello", value: HELLO });
    await old.next();

    const anew = stream();
    await anew.say({ $case: "hello", value: HELLO });

    expect(await anew.next()).toMatchObject({ $case: "welcome" });
    await expect(old.next()).rejects.toMatchObject({ code: "ABORTED", reason: "HOST_REPLACED" });
    expect(scheduler.hosts.size).toBe(1);
  });
});

describe("answers", () => {
  test("to no bid, and answers without an offer, change nothing", async () => {
    const raw = stream();
    await raw.say({ $case: "hello", value: HELLO });
    await raw.next();

    await raw.say({ $case: "offer", value: { reservationId: "never", offer: undefined } });
    await raw.say({
      $case: "decline",
      value: { reservationId: "never", reason: "no_cpu", largest: undefined },
    });

    expect((await scheduler.listHosts()).map((one) => one.info?.number)).toEqual([1]);
  });

  test("that come after the window have their holds released", async () => {
    const prompt = host(1);
    await eventually(() => prompt.attached()).toBe(true);
    const raw = stream();
    await raw.say({ $case: "hello", value: { ...HELLO, number: 2 } });
    await raw.next();

    const reserving = scheduler.reserve();
    const asked = await raw.next();
    const reservationId = asked?.$case === "bidRequest" ? asked.value.reservationId : "";
    const { reservation } = await reserving;
    expect(reservation?.offers.map((offer) => offer.hostNumber)).toEqual([1]);

    const freeAfter = { cpus: 1, memoryMb: 1n, diskMb: 1n };
    const where = { hostNumber: 2, hostName: "", hostAddress: "", region: "", zone: "" };
    const how = {
      epoch: 1n,
      freeAfter,
      imageLocal: true,
      load: 0,
      warmVms: 0,
      machines: 0,
      appMachines: 0,
      inFlight: 0,
    };
    await raw.say({ $case: "offer", value: { reservationId, offer: { ...where, ...how } } });

    expect(await raw.next()).toEqual({ $case: "holdRelease", value: { reservationIds: [reservationId] } });
  });
});

test("a silent host costs the window and no more", async () => {
  const prompt = host(1);
  await eventually(() => prompt.attached()).toBe(true);
  const silent = stream();
  await silent.say({ $case: "hello", value: { ...HELLO, number: 2 } });
  await silent.next();

  const started = performance.now();
  const { reservation, hostsAsked } = await scheduler.reserve();
  const ms = performance.now() - started;

  expect(hostsAsked).toBe(2);
  expect(reservation?.offers.map((offer) => offer.hostNumber)).toEqual([1]);
  expect(ms).toBeGreaterThan(WINDOW_MS - 5);
  // It did not wait until the silent one is dropped.
  expect(scheduler.hosts.size).toBe(2);
});

test("a host that vanishes during the auction costs nothing", async () => {
  const raw = stream();
  await raw.say({ $case: "hello", value: HELLO });
  await raw.next();
  const slow = await startScheduler(redis.url, { windowMs: 60_000 });
  closing.push(() => slow.close());
  await slow.ready();
  const gone = connect(SchedulerServiceClient, slow.address, { token, ownConnection: true });
  const open = openDuplex(gone, gone.attach, { timeoutMs: 20_000 });
  const received = open.messages[Symbol.asyncIterator]();
  await open.write({ message: { $case: "hello", value: HELLO } });
  await received.next();

  const reserving = slow.reserve();
  reserving.catch(() => {});
  await received.next();
  open.cancel();
  gone.close();

  await expect(reserving).rejects.toMatchObject({
    reason: "NO_HOSTS",
    facts: { declined_disconnected: "1" },
  });
});
