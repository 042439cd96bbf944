import { describe, expect, test } from "vitest";
import {
  HostStatus,
  Lease,
  Machine,
  MachineEvent,
  MachineState,
} from "../../../gen/windhover/machines/v1/machine.ts";
import { eventToJson } from "./convert-event.ts";
import {
  leaseToJson,
  machineToJson,
  orgMachineToJson,
  orgPageToJson,
  versionToJson,
  waitToJson,
} from "./convert-machine.ts";

const ID = "00001a2b3c4d5e";
const VERSION = "01KBAAAAAAAAAAAAAAAAAAAAAA";
const NOW = new Date("2026-11-29T12:00:00.250Z");
const LEASE = Lease.fromPartial({
  nonce: "ab".repeat(16),
  owner: "me@example.com",
  description: "deploy",
  expireTime: NOW,
  instanceId: VERSION,
});
const MACHINE = Machine.fromPartial({
  id: ID,
  name: "web-1",
  app: "shop",
  state: MachineState.STARTED,
  region: "ord",
  instanceId: VERSION,
  config: { image: "nginx", metadata: new Map([["a", "b"]]), env: new Map([["SECRET", "x"]]) },
  imageRef: { registry: "docker.io", repository: "library/nginx", tag: "latest", digest: "sha256:0" },
  createTime: NOW,
  updateTime: NOW,
  hostStatus: HostStatus.OK,
  events: [{ id: "01E", type: "launch", status: MachineState.CREATED, source: "user", time: NOW }],
});

describe("a machine", () => {
  test("has all that clients read", () => {
    expect(machineToJson(MACHINE)).toEqual({
      id: ID,
      name: "web-1",
      state: "started",
      region: "ord",
      instance_id: VERSION,
      version: VERSION,
      private_ip: "fdaa::a7b:0:1a2:b3c4:d5e2",
      config: {
        image: "nginx",
        guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
        init: {},
        restart: { policy: "no" },
        env: { SECRET: "x" },
        metadata: { a: "b" },
      },
      image_ref: {
        registry: "docker.io",
        repository: "library/nginx",
        tag: "latest",
        digest: "sha256:0",
        labels: {},
      },
      host_status: "ok",
      cordoned: false,
      created_at: NOW.toISOString(),
      updated_at: NOW.toISOString(),
      events: [{ id: "01E", type: "launch", status: "created", source: "user", timestamp: NOW.getTime() }],
      checks: [],
      ready: false,
    });
  });

  test("has its checks and whether it is ready", () => {
    const check = { name: "alive", status: "critical", output: "503", updateTime: NOW, readiness: true };

    expect(machineToJson({ ...MACHINE, ready: true, checks: [check] })).toMatchObject({
      ready: true,
      checks: [{ name: "alive", status: "critical", output: "503", updated_at: NOW.toISOString() }],
    });
  });

  test("has no null, even when little is known of it", () => {
    const json = JSON.stringify(machineToJson(Machine.create()));

    expect(json).not.toContain("null");
    expect(JSON.parse(json)).toMatchObject({
      ...{ state: "unknown", config: { guest: {}, init: {} }, image_ref: { labels: {} } },
      ...{ events: [], checks: [] },
    });
  });

  test("has no configuration, checks, events, host status and nonce in a summary", () => {
    const summary = machineToJson({ ...MACHINE, lease: LEASE }, { summary: true });

    for (const name of ["config", "checks", "events", "host_status", "nonce"]) {
      expect(summary).not.toHaveProperty(name);
    }
    expect(summary).toMatchObject({ id: ID, state: "started", private_ip: expect.any(String) });
  });

  test("has an incomplete configuration when its host cannot be reached", () => {
    const json = machineToJson({ ...MACHINE, hostStatus: HostStatus.UNREACHABLE });

    expect(json).toMatchObject({ host_status: "unreachable", incomplete_config: { image: "nginx" } });
    expect(json).not.toHaveProperty("config");
  });

  test("is ok when nothing is known to be wrong", () => {
    expect(machineToJson({ ...MACHINE, hostStatus: HostStatus.UNKNOWN })).toMatchObject({
      host_status: "ok",
      config: {},
    });
  });

  test("has the nonce of its lease where the contract gives it, and the lease without it when asked", () => {
    expect(machineToJson({ ...MACHINE, lease: LEASE })).toMatchObject({ nonce: LEASE.nonce });
    expect(machineToJson({ ...MACHINE, lease: { ...LEASE, nonce: "" } }, { lease: true })).toMatchObject({
      lease: { owner: "me@example.com", version: VERSION, description: "deploy" },
    });
    expect(
      JSON.stringify(machineToJson({ ...MACHINE, lease: LEASE }, { lease: true, summary: true })),
    ).not.toContain(LEASE.nonce);
    expect(machineToJson(MACHINE, { lease: true })).not.toHaveProperty("lease");
  });

  test("of an organisation has what Fly publishes, and no environment", () => {
    expect(orgMachineToJson(MACHINE)).toEqual({
      id: ID,
      name: "web-1",
      app_name: "shop",
      state: "started",
      region: "ord",
      instance_id: VERSION,
      version: VERSION,
      private_ip: "fdaa::a7b:0:1a2:b3c4:d5e2",
      created_at: NOW.toISOString(),
      updated_at: NOW.toISOString(),
      config: {
        image: "nginx",
        guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
        metadata: { a: "b" },
      },
    });
    expect(orgMachineToJson(MACHINE, true)).not.toHaveProperty("config");
  });

  test("of a last page comes before those that changed later, whatever the database knows yet", () => {
    const changed = (id: string, ms: number) => ({ ...MACHINE, id, updateTime: new Date(ms) });
    const machines = [changed("stopped-now", 3_000), changed("first", 1_000), changed("second", 2_000)];
    const idsOf = (nextPageToken: string) => {
      const page = orgPageToJson({ machines, nextPageToken, unansweredRegions: ["gru"] });
      return { ...page, machines: (page["machines"] as { id: string }[]).map(({ id }) => id) };
    };

    expect(idsOf("")).toEqual({
      machines: ["first", "second", "stopped-now"],
      last_machine_id: "stopped-now",
      last_updated_at: "1970-01-01T00:00:03.000Z",
      error_regions: ["gru"],
    });
    expect(idsOf("more")).toMatchObject({
      machines: ["stopped-now", "first", "second"],
      last_machine_id: "second",
      next_cursor: "more",
    });
    expect(orgPageToJson({ machines: [], nextPageToken: "", unansweredRegions: [] })).toEqual({
      machines: [],
      error_regions: [],
    });
  });
});

describe("an event", () => {
  const EXIT = MachineEvent.fromPartial({
    id: "01X",
    type: "exit",
    status: MachineState.STOPPED,
    source: "hostd",
    time: NOW,
    restartCount: 2,
    exit: { exitCode: 137, signal: "SIGKILL", oomKilled: true, exitTime: NOW, restarting: true },
  });

  test("of an exit has the whole exit event, signals as numbers", () => {
    expect(eventToJson(EXIT)).toEqual({
      id: "01X",
      type: "exit",
      status: "stopped",
      source: "flyd",
      timestamp: NOW.getTime(),
      request: {
        exit_event: {
          requested_stop: false,
          restarting: true,
          guest_exit_code: 137,
          guest_signal: 9,
          guest_error: "",
          exit_code: 137,
          signal: 9,
          error: "",
          oom_killed: true,
          exited_at: NOW.toISOString(),
        },
        restart_count: 2,
      },
    });
  });

  test("of an exit of which little is known has the whole exit event too", () => {
    const exit = { ...EXIT, exit: undefined };

    expect(eventToJson(exit)).toMatchObject({
      request: { exit_event: { exit_code: -1, signal: -1, exited_at: NOW.toISOString() } },
    });
  });

  test("of a start has a request, one of a launch has none", () => {
    expect(eventToJson({ ...EXIT, type: "start", exit: undefined })).toMatchObject({
      type: "start",
      request: { restart_count: 2 },
    });
    expect(eventToJson({ ...EXIT, type: "launch", exit: undefined })).not.toHaveProperty("request");
  });

  test("of a failure is an exit with an error", () => {
    const failure = { ...EXIT, type: "failure", exit: undefined, message: "no such program", source: "api" };

    expect(eventToJson(failure)).toMatchObject({
      type: "exit",
      source: "flyd",
      request: { exit_event: { error: "no such program" } },
    });
  });
});

test("a lease is in its envelope and beside it, and its end is in whole seconds", () => {
  const data = {
    nonce: LEASE.nonce,
    expires_at: Math.floor(NOW.getTime() / 1_000),
    owner: "me@example.com",
    description: "deploy",
    version: VERSION,
  };

  expect(leaseToJson(LEASE)).toEqual({ status: "success", data, ...data });
});

test("a wait tells state and version", () => {
  expect(waitToJson({ machine: MACHINE, eventId: "01E" })).toEqual({
    ...{ ok: true, event_id: "01E", state: "started", version: VERSION },
  });
});

test("a version has the configuration as its user wrote it", () => {
  expect(versionToJson({ instanceId: VERSION, config: MACHINE.config, createTime: NOW })).toMatchObject({
    version: VERSION,
    user_config: { image: "nginx", guest: {}, init: {} },
  });
});

test("events of checks and readiness are left out of a machine", () => {
  const types = ["check", "ready", "start", "launch"];
  const events = types.map((type) => MachineEvent.fromPartial({ type }));

  const { events: shown } = machineToJson(Machine.fromPartial({ events }));

  expect(shown).toMatchObject([{ type: "start" }, { type: "launch" }]);
});
