import { createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePorts } from "../../../dev/settings/ports.ts";
import { SchedulerServiceClient } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { openDuplex } from "../../../src/lib/grpc/calls/duplex.ts";
import { connect } from "../../../src/lib/grpc/client.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { eventually, startScheduler, TestHost, type TestScheduler, token } from "./fixture.ts";
import { HELLO } from "./hello.ts";

let redis: TestRedis;
let scheduler: TestScheduler;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  // Of its own: nobody takes the port before it is back.
  const [port = 0] = await freePorts(1);
  scheduler = await startScheduler(redis.url, { windowMs: 500, port });
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

describe("a host whose scheduler ends", () => {
  test("still answers the auctions under way when the scheduler shuts down gracefully", async () => {
    const slow = await startScheduler(redis.url, { windowMs: 5_000 });
    await slow.ready();
    const client = connect(SchedulerServiceClient, slow.address, { token, ownConnection: true });
    const open = openDuplex(client, client.attach, { timeoutMs: 20_000 });
    const received = open.messages[Symbol.asyncIterator]();
    closing.push(
      () => client.close(),
      () => open.cancel(),
    );
    await open.write({ message: { $case: "hello", value: HELLO } });
    await received.next();
    const refused = expect(slow.reserve()).rejects.toMatchObject({
      reason: "NO_CAPACITY",
      facts: { declined_draining: "1" },
    });
    const { message } = (await received.next()).value ?? {};
    const reservationId = message?.$case === "bidRequest" ? message.value.reservationId : "";

    const closed = slow.shutDown();
    await open.write({
      message: { $case: "decline", value: { reservationId, reason: "draining", largest: undefined } },
    });

    await refused;
    await closed;
    await expect(received.next()).rejects.toMatchObject({ reason: "SERVER_DRAINING" });
    await slow.close();
  });

  test("attaches again when it is back, and auctions go on", async () => {
    const one = host(1);
    await eventually(() => one.attached()).toBe(true);
    const { port } = scheduler;
    await scheduler.close();
    await eventually(() => one.attached()).toBe(false);

    scheduler = await startScheduler(redis.url, { port });
    await scheduler.ready();

    await eventually(() => one.attached()).toBe(true);
    expect((await scheduler.reserve()).reservation?.offers).toHaveLength(1);
  });
});

describe("a peer that accepts connections and sends nothing", () => {
  let mute: Server;
  const sockets = new Set<Socket>();
  let connections = 0;

  beforeEach(async () => {
    connections = 0;
    mute = createServer((socket) => {
      connections++;
      sockets.add(socket);
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => mute.close(resolve));
  });

  test("is abandoned after a while and tried again", async () => {
    const address = mute.address();
    const port = typeof address === "object" ? address?.port : 0;
    const one = new TestHost(1, [`127.0.0.1:${port}`]);
    closing.push(() => one.close());

    await eventually(() => one.attachment.replicas()[0]?.reason).toBe("NO_WELCOME");
    await eventually(() => connections).toBeGreaterThan(1);
  });
});
