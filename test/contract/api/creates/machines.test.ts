import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  CheckConfig,
  HostStatus,
  MachineState,
  ServiceConfig,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { DIGEST, NOTHING_LEFT, type TestApi, World } from "../fixture.ts";

/** Each part is as large as is allowed; together they are not. */
const LARGE = {
  env: { A: "x".repeat(60_000) },
  metadata: Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, "x".repeat(2_000)])),
};

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(() => world.clear());

describe("create", () => {
  test("places the machine, prepares it, commits it and starts it", async () => {
    const { machine, repeated } = await api.user.create({ name: "first", skipLaunch: false });

    expect(repeated).toBe(false);
    expect(machine).toMatchObject({
      name: "first",
      app: "web",
      org: "personal",
      region: "ord",
      state: MachineState.STARTED,
      imageRef: { digest: DIGEST },
      config: { image: "nginx", guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 } },
      hostStatus: HostStatus.OK,
    });
    expect(machine?.id).toMatch(/^00001[0-9a-f]{9}$/);
    // What an earlier create left in doubt may be destroyed at any time.
    const calls = world.host(1).calls.filter((method) => method !== "destroyMachine");
    expect(calls).toEqual(["createMachine", "prepareMachine", "startMachine"]);
    expect(world.scheduler.calls).toEqual(["reserve", "release"]);
    expect(world.host(2).holds.size).toBe(0);
    const [row] = await world.sql("select id, state, committed from machines where name = 'first'");
    expect(row).toEqual({ id: machine?.id, state: "started", committed: true });
  });

  test("keeps names that every object has, in the database and at the host", async () => {
    const names = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c","hasOwnProperty":"d"}');
    const { machine } = await api.user.create({ name: "names", config: { env: names, metadata: names } });

    const id = machine?.id ?? "";
    const [row] = await world.sql(`select snapshot->'config' as config from machines where id = '${id}'`);
    for (const config of [machine?.config, await api.user.get(id).then((got) => got?.config)]) {
      expect(new Map(config?.env)).toEqual(new Map(Object.entries(names)));
      expect(new Map(config?.metadata)).toEqual(new Map(Object.entries(names)));
    }
    expect(new Map(Object.entries(row?.["config"].env))).toEqual(new Map(Object.entries(names)));
  });

  test("finds an image that could never run before any host is asked, and names its fields", async () => {
    world.images.run = { workingDir: "srv", entrypoint: [], cmd: [] };
    const fault = await faultOf(api.user.create());
    world.images.run = {};

    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_CONFIG_INVALID",
      facts: { fields: "Entrypoint,WorkingDir", reference: "nginx", digest: DIGEST },
    });
    expect(world.scheduler.calls).toEqual([]);
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test("leaves the machine created when it is not to be launched, under a name of its own", async () => {
    const { machine } = await api.user.create();

    expect(machine?.state).toBe(MachineState.CREATED);
    expect(machine?.name).toMatch(/^[a-z]+-[a-z]+-\d{4}$/);
  });

  test("succeeds when the machine does not start, and shows why", async () => {
    world.host(1).before("startMachine", (id) => {
      world.host(1).change(id, { state: MachineState.FAILED });
      throw new Fault("FAILED_PRECONDITION", "EXEC_FAILED", "no such program");
    });

    const { machine } = await api.user.create({ skipLaunch: false });

    expect(machine?.state).toBe(MachineState.FAILED);
    expect(await world.sql("select state from machines where id = $1", [machine?.id])).toEqual([
      { state: "failed" },
    ]);
  });

  test("reports every wrong field at once, and asks nobody", async () => {
    const fault = await faultOf(
      api.user.create({
        app: "",
        name: "Bad Name",
        requestId: "no spaces allowed",
        config: {
          image: "bad image",
          guest: { memoryMb: 300 },
          services: [
            ServiceConfig.fromPartial({ ports: [{ port: 80, handlers: ["web"] }], autostop: "never" }),
          ],
          checks: new Map([["up", CheckConfig.create()]]),
          env: { "1X": "" },
        },
      }),
    );

    expect(fault).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    expect(fault.violations.map((violation) => violation.field).sort()).toEqual([
      "app",
      "config.checks[up].port",
      "config.env[1X]",
      "config.guest.memory_mb",
      "config.image",
      "config.services[0].autostop",
      "config.services[0].internal_port",
      "config.services[0].ports[0].handlers[0]",
      "name",
      "request_id",
    ]);
    expect(world.scheduler.calls).toEqual([]);
  });

  test.each([
    ["a config is missing", { config: undefined }, "INVALID_ARGUMENT", "INVALID_FIELDS"],
    ["a config is large in all its parts", { config: LARGE }, "INVALID_ARGUMENT", "INVALID_FIELDS"],
    ["the app is unknown", { app: "nobodys" }, "NOT_FOUND", "APP_NOT_FOUND"],
    ["the region is another", { region: "fra" }, "INVALID_ARGUMENT", "REGION_UNKNOWN"],
    ["the name is taken", { name: "taken" }, "ALREADY_EXISTS", "MACHINE_NAME_TAKEN"],
  ] as const)("is refused before any host is asked when %s", async (_, request, code, reason) => {
    if (reason === "MACHINE_NAME_TAKEN") await api.user.create({ name: request.name });
    world.scheduler.calls.length = 0;
    const before = await world.leftovers();

    const fault = await faultOf(api.user.create(request));

    expect(fault).toMatchObject({ code, reason });
    expect(world.scheduler.calls).toEqual([]);
    expect(await world.leftovers()).toEqual(before);
  });

  test("names the machine that has the name, also while that one is created", async () => {
    const asked = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.scheduler.before("reserve", () => {
      asked.resolve();
      return leave.promise;
    });
    const first = api.user.create({ name: "contended" });
    await asked.promise;

    const [fault] = await Promise.all([faultOf(api.user.create({ name: "contended" })), leave.resolve()]);

    const { machine } = await first;
    expect(fault).toMatchObject({ reason: "MACHINE_NAME_TAKEN", facts: { machine_id: machine?.id } });
  });

  test("says what was asked for and what would fit when no host has room", async () => {
    world.scheduler.before("reserve", () => {
      throw new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room", { largest_memory_mb: "512" });
    });

    const fault = await faultOf(api.user.create({ name: "no-room" }));

    expect(fault).toMatchObject({ reason: "NO_CAPACITY", facts: { largest_memory_mb: "512" } });
    expect(await world.sql("select * from machines where name = 'no-room'")).toEqual([]);
  });

  test.each(["IMAGE_NOT_FOUND", "REGISTRY_UNAVAILABLE", "REGISTRY_UNAUTHORIZED", "NOT_AN_IMAGE"])(
    "passes on %s of the registry and leaves nothing",
    async (reason) => {
      world.images.fault = new Fault("NOT_FOUND", reason, "the registry said so", { reference: "nginx" });

      const fault = await faultOf(api.user.create({ name: "no-image" }));
      world.images.fault = undefined;

      expect(fault).toMatchObject({ reason, facts: { reference: "nginx" } });
      expect(world.scheduler.calls).not.toContain("reserve");
      expect(await world.sql("select * from machines where name = 'no-image'")).toEqual([]);
    },
  );

  test("passes on a layer's fault of the image cache and destroys the machine", async () => {
    world.host(1).before("prepareMachine", () => {
      throw new Fault("FAILED_PRECONDITION", "LAYER_CORRUPT", "layer 2 is no archive", { layer: "sha256:1" });
    });
    const before = await world.leftovers();

    const fault = await faultOf(api.user.create({ name: "bad-layer" }));

    expect(fault).toMatchObject({ reason: "LAYER_CORRUPT", facts: { layer: "sha256:1" } });
    await expect(await world.leftovers()).toEqual(before);
  });

  test("says that the scheduler is down when Redis is", async () => {
    world.scheduler.before("reserve", () => {
      throw new Fault("UNAVAILABLE", "REDIS_UNAVAILABLE", "no Redis");
    });

    expect(await faultOf(api.user.create())).toMatchObject({
      code: "UNAVAILABLE",
      reason: "SCHEDULER_UNAVAILABLE",
    });
  });
});

describe("the runner-up", () => {
  test.each([
    ["refuses", (): never => raise(new Fault("FAILED_PRECONDITION", "HOLD_EXPIRED", "gone")), "before"],
    ["has no disk left", (): never => raise(new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "full")), "before"],
    ["loses its answer", (): never => raise(new Fault("UNAVAILABLE", "SERVER_DRAINING", "bye")), "after"],
  ] as const)("gets the machine when the winner %s", async (_, script, when) => {
    world.host(1)[when]("createMachine", script);

    const { machine } = await api.user.create();

    expect(machine?.id).toMatch(/^00002/);
    expect(world.onHosts.filter((one) => one.name === machine?.name)).toHaveLength(1);
  });

  test("is found by a second auction, without those that refused", async () => {
    const refuse = () => raise(new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "full"));
    for (const number of [1, 2]) world.host(number).before("createMachine", refuse);
    world.scheduler.excluded.length = 0;

    const fault = await faultOf(api.user.create());

    expect(fault).toMatchObject({
      reason: "NO_CAPACITY",
      facts: { hosts_refused: "2", reasons: "DISK_FULL" },
    });
    expect(world.scheduler.excluded).toEqual([[], [1, 2]]);
  });

  test("may be the same host once more when only its hold was gone", async () => {
    for (const number of [1, 2]) {
      world
        .host(number)
        .before("createMachine", () => raise(new Fault("FAILED_PRECONDITION", "HOLD_EXPIRED", "gone")));
    }
    world.scheduler.excluded.length = 0;

    const { machine } = await api.user.create();

    expect(machine?.id).toMatch(/^00001/);
    expect(world.scheduler.excluded).toEqual([[], [1, 2], []]);
  });

  test("is chosen in a new auction when the reservation is gone before it is claimed", async () => {
    world
      .host(1)
      .before("createMachine", () => raise(new Fault("FAILED_PRECONDITION", "HOLD_EXPIRED", "gone")));
    world.scheduler.before("claim", () =>
      raise(new Fault("FAILED_PRECONDITION", "RESERVATION_EXPIRED", "late")),
    );

    await api.user.create();

    expect(world.scheduler.calls.filter((method) => method === "reserve")).toHaveLength(2);
  });
});

test("nothing is held by hosts once all creates have ended", async () => {
  world.host(1).before("createMachine", () => raise(new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "full")));
  await Promise.all([api.user.create(), api.user.create()]);

  expect((await world.leftovers()).holds).toEqual(NOTHING_LEFT.holds);
});

function raise(fault: Fault): never {
  throw fault;
}
