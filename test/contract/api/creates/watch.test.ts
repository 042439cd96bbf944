import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

let world: World;
let one: TestApi;
let other: TestApi;

beforeAll(async () => {
  world = await World.open();
  one = await world.api();
  other = await world.api();
  await one.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(() => world.clear());

describe("watching a create", () => {
  const STEPS = ["preflight", "resolve", "reserve", "award", "release", "prepare", "commit", "launch"];

  test.each([
    ["the api that runs it", () => one],
    ["another api", () => other],
  ] as const)("from %s shows every step and ends with it", async (_, watcher) => {
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", () => leave.promise);
    const watching = watch(watcher().user, "r1", (step) => {
      if (step === "prepare running") leave.resolve();
    });
    const creating = one.user.create({ requestId: "r1" });

    const seen = await watching;
    await creating;

    expect(seen.filter((line) => line.endsWith(" done")).map((line) => line.split(" ")[0])).toEqual(STEPS);
    expect(seen).toContain("prepare running");
  });

  test("shows how far a step is", async () => {
    const details: string[] = [];
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", () => leave.promise);
    const creating = one.user.create({ requestId: "r1" });

    const request = { requestId: "r1" };
    for await (const message of openStream(one.user.machines, one.user.machines.watchCreate, request, {
      timeoutMs: 20_000,
    })) {
      details.push(`${message.detail} ${message.bytesDone}/${message.bytesTotal}`);
      if (message.bytesDone > 0n) leave.resolve();
    }
    await creating;

    expect(details).toContain("pulling 1 of 2 layers 5/10");
  });

  test("shows what failed, and what was taken back", async () => {
    world.host(1).before("prepareMachine", () => {
      throw new Fault("FAILED_PRECONDITION", "LAYER_CORRUPT", "layer 2 is no archive");
    });
    const creating = faultOf(one.user.create({ requestId: "r1" }));

    const seen = await watch(one.user, "r1");
    await creating;

    expect(seen).toContain("prepare failed");
    expect(seen.at(-1)).toBe("preflight undone");
  });

  test("still works once it has ended, and says when there is none", async () => {
    await one.user.create({ requestId: "r1" });

    expect((await watch(one.user, "r1")).at(-1)).toBe("launch done");
    expect(await faultOf(watch(one.user, "none"))).toMatchObject({
      code: "NOT_FOUND",
      reason: "CREATE_NOT_FOUND",
    });
    expect(await faultOf(watch(one.user, "not valid"))).toMatchObject({ reason: "INVALID_FIELDS" });
  });

  async function watch(client: Clients, requestId: string, see: (line: string) => void = () => {}) {
    const lines: string[] = [];
    const { machines } = client;
    for await (const message of openStream(
      machines,
      machines.watchCreate,
      { requestId },
      { timeoutMs: 20_000 },
    )) {
      const line = `${message.step} ${message.status}`;
      lines.push(line);
      see(line);
    }
    return lines;
  }
});
