import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually, FakeScheduler } from "../../../test/support/hostd/scheduler-stream.ts";
import { Scheduling, type Status } from "../../gen/windhover/scheduler/v1/host.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import type { BidAnswer } from "../capacity/bid.ts";
import { type Attachment, type AttachOptions, attachToSchedulers } from "./attach-client.ts";

createLogger("test", { write: () => {} });

const ROOM = { cpus: 4, memoryMb: 4_096, diskMb: 10_000 };
const WIRE = { cpus: 4, memoryMb: 4_096n, diskMb: 10_000n };
const OFFER: BidAnswer = {
  kind: "offer",
  epoch: 7n,
  freeAfter: ROOM,
  imageLocal: true,
  load: 0.5,
  warmVms: 2,
  machines: 3,
  appMachines: 1,
  inFlight: 0,
};
const STATUS: Status = {
  held: WIRE,
  allocated: WIRE,
  running: WIRE,
  machines: new Map([["started", 1]]),
  load: 0.25,
  warmVms: 0,
  scheduling: Scheduling.OPEN,
};
const HELLO = {
  number: 1,
  name: "host-1",
  identity: "identity-1",
  region: "ord",
  zone: "a",
  address: "127.0.0.1:7072",
  capacity: WIRE,
  vmm: "sim",
  acceleration: "none",
  isolation: "development",
  vmmReason: "a test",
  labels: new Map(),
};

let scheduler: FakeScheduler;
let address: string;
let abort: AbortController;
let attachment: Attachment;

beforeEach(async () => {
  scheduler = new FakeScheduler();
  address = await scheduler.start();
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await attachment.done;
  await scheduler.stop();
});

function attach(options: Partial<AttachOptions> = {}): void {
  attachment = attachToSchedulers({
    addresses: [address],
    hello: () => HELLO,
    status: () => STATUS,
    bid: () => OFFER,
    release: () => {},
    token: () => "secret",
    signal: abort.signal,
    ...options,
  });
}

async function attached(): Promise<void> {
  await eventually(() => attachment.replicas().every((replica) => replica.attached)).toBe(true);
}

function ask(reservationId: string): void {
  const hold = { seconds: 5n, nanos: 500_000_000 };
  const window = { seconds: 0n, nanos: 150_000_000 };
  const value = {
    reservationId,
    resources: WIRE,
    imageDigest: "sha256:abc",
    hold,
    window,
    traceparent: "",
    app: "web",
    distinctHosts: false,
  };
  scheduler.say({ $case: "bidRequest", value });
}

describe("attaching", () => {
  test("sends hello first, with a token, and then its status", async () => {
    attach();
    await attached();

    await eventually(() => scheduler.received.length).toBeGreaterThan(1);
    expect(scheduler.received.slice(0, 2)).toEqual([
      { $case: "hello", value: HELLO },
      { $case: "status", value: STATUS },
    ]);
    expect(scheduler.tokens).toEqual(["Bearer secret"]);
  });

  test("goes on until every replica is reached, each on its own", async () => {
    const other = new FakeScheduler();
    const otherAddress = await other.start();
    await other.stop();
    attach({ addresses: [address, otherAddress] });
    await eventually(() => attachment.replicas().map((one) => one.attached)).toEqual([true, false]);
    await eventually(() => attachment.replicas()[1]?.reason).toBe("PEER_UNAVAILABLE");

    const back = new FakeScheduler();
    await back.start(other.port);
    try {
      await eventually(() => attachment.replicas().map((one) => one.attached)).toEqual([true, true]);
    } finally {
      await back.stop();
    }
  });

  test("attaches again after the scheduler has ended the stream", async () => {
    attach();
    await attached();

    scheduler.fail(new Fault("RESOURCE_EXHAUSTED", "HOST_TOO_SLOW", "it does not read"));

    await eventually(() => scheduler.streams).toBe(2);
    await attached();
  });

  test("retries with pauses when it is refused, and has the reason", async () => {
    scheduler.refuse = new Fault("ALREADY_EXISTS", "HOST_NUMBER_TAKEN", "somebody else has it");
    attach();

    await eventually(() => scheduler.streams).toBeGreaterThan(2);
    expect(attachment.replicas()).toMatchObject([{ attached: false, reason: "HOST_NUMBER_TAKEN" }]);
    expect(scheduler.streams).toBeLessThan(10);
    scheduler.refuse = undefined;
    await eventually(() => attachment.replicas()[0]?.attached).toBe(true);
  });

  test("a hello that throws ends only that attempt", async () => {
    let broken = true;
    attach({
      hello: () => {
        if (broken) throw new Error("not yet");
        return HELLO;
      },
    });
    await eventually(() => attachment.replicas()[0]?.reason).toBe("INTERNAL");

    broken = false;

    await attached();
  });

  test("ends when its signal aborts", async () => {
    attach();
    await attached();

    abort.abort();
    await attachment.done;

    expect(attachment.replicas()).toMatchObject([{ attached: false }]);
  });
});

describe("bids", () => {
  test("are answered with what the host offers", async () => {
    const asked: unknown[] = [];
    attach({
      bid: (bid) => {
        asked.push(bid);
        return OFFER;
      },
    });
    await attached();

    ask("r1");

    await eventually(() => scheduler.of("offer")).toHaveLength(1);
    expect(asked).toEqual([
      {
        reservationId: "r1",
        distinctHosts: false,
        resources: ROOM,
        imageDigest: "sha256:abc",
        app: "web",
        holdMs: 5_500,
      },
    ]);
    expect(scheduler.of("offer")[0]?.value).toMatchObject({
      reservationId: "r1",
      offer: {
        epoch: 7n,
        freeAfter: WIRE,
        imageLocal: true,
        load: 0.5,
        warmVms: 2,
        machines: 3,
        appMachines: 1,
        inFlight: 0,
      },
    });
  });

  test("are declined with the reason and what would fit", async () => {
    attach({ bid: () => ({ kind: "decline", reason: "no_memory", largest: { ...ROOM, memoryMb: 0.5 } }) });
    await attached();

    ask("r1");

    await eventually(() => scheduler.of("decline")).toHaveLength(1);
    const largest = { ...WIRE, memoryMb: 0n };
    expect(scheduler.of("decline")[0]?.value).toEqual({ reservationId: "r1", reason: "no_memory", largest });
  });

  test("that cannot be answered are declined, and the stream goes on", async () => {
    attach({
      bid: ({ reservationId }) => {
        if (reservationId === "r1") throw new Error("broken");
        return OFFER;
      },
    });
    await attached();

    ask("r1");
    ask("r2");

    await eventually(() => scheduler.of("offer")).toHaveLength(1);
    expect(scheduler.of("decline")).toMatchObject([{ value: { reservationId: "r1", reason: "other" } }]);
    expect(scheduler.streams).toBe(1);
  });

  test("in a burst are all answered, in order", async () => {
    attach();
    await attached();

    const ids = Array.from({ length: 2_000 }, (_, i) => `r${i}`);
    for (const id of ids) ask(id);

    await eventually(() => scheduler.of("offer").length).toBe(2_000);
    expect(scheduler.of("offer").map((one) => one.value.reservationId)).toEqual(ids);
  });

  test("that did not win are released, also when one release fails", async () => {
    const released: string[] = [];
    attach({
      release: (ids) => {
        if (ids[0] === "r0") throw new Error("broken");
        released.push(...ids);
      },
    });
    await attached();

    scheduler.say({ $case: "holdRelease", value: { reservationIds: ["r0"] } });
    scheduler.say({ $case: "holdRelease", value: { reservationIds: ["r1", "r2"] } });

    await eventually(() => released).toEqual(["r1", "r2"]);
  });
});

describe("the status", () => {
  test("is sent at once when it has changed, and not when it is the same", async () => {
    let scheduling: Scheduling = Scheduling.OPEN;
    attach({ status: () => ({ ...STATUS, scheduling }) });
    const sent = () => scheduler.of("status").map((one) => one.value.scheduling);
    await eventually(sent).toEqual([Scheduling.OPEN]);
    attachment.statusChanged();

    scheduling = Scheduling.CORDONED;
    attachment.statusChanged();
    scheduling = Scheduling.DRAINING;

    // Sent every second only, the second one would be missing.
    await eventually(sent).toEqual([Scheduling.OPEN, Scheduling.CORDONED, Scheduling.DRAINING]);
  });

  test("is sent again when it has changed", async () => {
    let load = 0;
    attach({ status: () => ({ ...STATUS, load }) });
    await attached();
    const sent = () => scheduler.of("status").map((one) => one.value.load);
    await eventually(sent).toEqual([0]);

    // Too small a change to be sent.
    load = 0.001;
    attachment.statusChanged();
    load = 0.5;

    await eventually(sent).toEqual([0, 0.5]);
  });
});
