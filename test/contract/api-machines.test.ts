import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostStatus, MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { ListMachinesRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call, openStream } from "../../src/lib/client.ts";
import { Fault } from "../../src/lib/fault.ts";
import { DIGEST, faultOf, NOTHING_LEFT, type TestApi, World } from "./api-fixture.ts";

const LIMIT = { timeoutMs: 10_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(() => {
  for (const host of world.scheduler.hosts) host.calls.length = 0;
  world.scheduler.calls.length = 0;
});

describe("create", () => {
  test("places the machine, prepares it, records it and starts it", async () => {
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
    expect(world.host(1).calls).toEqual(["createMachine", "prepareMachine", "startMachine"]);
    expect(world.scheduler.calls).toEqual(["reserve", "release"]);
    expect(world.host(2).holds.size).toBe(0);
    const [row] = await world.sql("select id, state, recorded from machines where name = 'first'");
    expect(row).toEqual({ id: machine?.id, state: "started", recorded: true });
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
          services: [{ internalPort: 0 }],
          env: { "1X": "" },
        },
      }),
    );

    expect(fault).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    expect(fault.violations.map((violation) => violation.field).sort()).toEqual([
      "app",
      "config.env[1X]",
      "config.guest.memory_mb",
      "config.image",
      "config.services[0].internal_port",
      "name",
      "request_id",
    ]);
    expect(world.scheduler.calls).toEqual([]);
  });

  test.each([
    ["a config is missing", { config: undefined }, "INVALID_ARGUMENT", "INVALID_FIELDS"],
    ["the app is unknown", { app: "nobodys" }, "NOT_FOUND", "APP_NOT_FOUND"],
    ["the region is another", { region: "fra" }, "INVALID_ARGUMENT", "REGION_UNKNOWN"],
    ["the name is taken", { name: "first" }, "ALREADY_EXISTS", "MACHINE_NAME_TAKEN"],
  ] as const)("is refused before any host is asked when %s", async (_, request, code, reason) => {
    const before = await world.leftovers();

    const fault = await faultOf(api.user.create(request));

    expect(fault).toMatchObject({ code, reason });
    expect(world.scheduler.calls).toEqual([]);
    expect(await world.leftovers()).toEqual(before);
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
    expect(await world.leftovers()).toEqual(before);
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

describe("a machine that exists", () => {
  let id: string;

  beforeAll(async () => {
    id = (await api.user.create({ name: "life" })).machine?.id ?? "";
  });

  test("is started, and starting it again says so", async () => {
    const first = await api.user.start(id);
    const second = await api.user.start(id);

    expect(first).toMatchObject({ alreadyStarted: false, previousState: MachineState.CREATED, way: "warm" });
    expect(first.machine?.state).toBe(MachineState.STARTED);
    expect(second.alreadyStarted).toBe(true);
  });

  test("is seen as its host sees it", async () => {
    const machine = await api.user.get(id);

    expect(machine).toMatchObject({ id, state: MachineState.STARTED, hostStatus: HostStatus.OK });
    expect(machine?.events[0]?.type).toBe("start");
  });

  test("is waited for", async () => {
    const { machines } = api.user;
    const wait = (states: MachineState[]) =>
      call(machines, machines.waitMachine, { machineId: id, states, timeout: undefined }, LIMIT);

    expect((await wait([])).machine?.state).toBe(MachineState.STARTED);
    expect(await faultOf(wait([MachineState.CREATED]))).toMatchObject({ reason: "STATE_UNREACHABLE" });
    expect(await faultOf(wait([0]))).toMatchObject({ reason: "INVALID_FIELDS" });
  });

  test("streams its logs, and following ends with the client", async () => {
    const { machines } = api.user;
    const request = { machineId: id, follow: true, tail: undefined, afterSequence: 0n };
    const lines: string[] = [];

    for await (const { entries } of openStream(machines, machines.streamLogs, request, LIMIT)) {
      lines.push(...entries.map((entry) => entry.text));
      break;
    }

    expect(lines).toEqual(["hello"]);
  });

  test("is not destroyed while it runs, unless forced, and destroying it again is fine", async () => {
    const { machines } = api.user;
    const destroy = (force: boolean) =>
      call(machines, machines.destroyMachine, { machineId: id, force }, LIMIT);

    expect(await faultOf(destroy(false))).toMatchObject({ reason: "MACHINE_RUNNING" });
    expect((await destroy(true)).machine?.state).toBe(MachineState.DESTROYED);

    await world.sql(
      "update machines set state = 'destroyed', snapshot = snapshot || '{\"state\":\"destroyed\"}' where id = $1",
      [id],
    );
    expect((await destroy(false)).machine?.state).toBe(MachineState.DESTROYED);
    expect((await api.user.get(id))?.state).toBe(MachineState.DESTROYED);
    expect(await faultOf(api.user.start(id))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
  });

  test("is stopped, and stopping it again says so", async () => {
    const { machines } = api.user;
    const other = (await api.user.create({ skipLaunch: false })).machine?.id ?? "";
    const stop = (signal = "") =>
      call(machines, machines.stopMachine, { machineId: other, signal, timeout: undefined }, LIMIT);

    expect(await faultOf(stop("SIGFOO"))).toMatchObject({ reason: "INVALID_FIELDS" });
    expect(await stop()).toMatchObject({ alreadyStopped: false, machine: { state: MachineState.STOPPED } });
    expect(await stop("SIGTERM")).toMatchObject({ alreadyStopped: true });
  });
});

describe("faults of the host", () => {
  test.each([
    "INVALID_STATE",
    "INSUFFICIENT_CAPACITY",
    "EXEC_FAILED",
    "START_FAILED",
    "START_TIMEOUT",
    "START_QUEUE_FULL",
  ])("%s reaches the caller of a start as it is", async (reason) => {
    const { machine } = await api.user.create();
    world.host(1).before("startMachine", () => {
      throw new Fault(
        "RESOURCE_EXHAUSTED",
        reason,
        "the host said so",
        { free: "1" },
        { retryAfterMs: 7_000 },
      );
    });

    const fault = await faultOf(api.user.start(machine?.id ?? ""));

    expect(fault).toMatchObject({
      reason,
      message: "the host said so",
      facts: { free: "1" },
      retryAfterMs: 7_000,
    });
  });

  test.each([
    ["00009abcdef123", "HOST_UNKNOWN", "NOT_FOUND"],
    ["00001abcdef123", "MACHINE_NOT_FOUND", "NOT_FOUND"],
    ["nonsense", "INVALID_FIELDS", "INVALID_ARGUMENT"],
    ["", "INVALID_FIELDS", "INVALID_ARGUMENT"],
  ])("starting %j is %s", async (id, reason, code) => {
    expect(await faultOf(api.user.start(id))).toMatchObject({ reason, code });
  });
});

describe("who may do what", () => {
  test("another organisation's machines and apps do not exist", async () => {
    const { machine } = await api.user.create({ name: "private" });
    const other = await api.as("other", ["machines:read", "machines:write"]);
    await world.sql(
      "insert into organizations (slug, name, quota_machines, quota_memory_mb) values ('other', 'Other', 1, 1024) on conflict do nothing",
    );

    expect(await faultOf(other.start(machine?.id ?? ""))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(other.get(machine?.id ?? ""))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(other.create())).toMatchObject({ reason: "APP_NOT_FOUND" });
    const list = ListMachinesRequest.fromPartial({ app: "web" });
    const listing = call(other.machines, other.machines.listMachines, list, LIMIT);
    expect(await faultOf(listing)).toMatchObject({ reason: "APP_NOT_FOUND" });
    other.close();
  });

  test("reading takes one scope, writing another", async () => {
    const reader = await api.as("personal", ["machines:read"]);
    const { machine } = await api.user.create();

    expect(await faultOf(reader.create())).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "SCOPE_MISSING",
    });
    expect(await faultOf(reader.start(machine?.id ?? ""))).toMatchObject({ reason: "SCOPE_MISSING" });
    expect((await reader.get(machine?.id ?? ""))?.id).toBe(machine?.id);
    reader.close();
  });
});

test("a wait is told that its api shuts down", async () => {
  const going = await world.api();
  const { machine } = await going.user.create();
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  world.host(1).before("waitMachine", async () => {
    entered.resolve();
    await leave.promise;
  });
  const { machines } = going.user;
  const request = { machineId: machine?.id ?? "", states: [], timeout: undefined };
  const waiting = faultOf(call(machines, machines.waitMachine, request, LIMIT));
  await entered.promise;

  const closed = going.close();

  expect(await waiting).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
  leave.resolve();
  await closed;
});

test("nothing is held by hosts once all creates have ended", async () => {
  expect((await world.leftovers()).holds).toEqual(NOTHING_LEFT.holds);
});

function raise(fault: Fault): never {
  throw fault;
}
