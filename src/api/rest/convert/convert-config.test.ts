import { describe, expect, test } from "vitest";
import { MachineConfig } from "../../../gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { checkExtra } from "../../machines/config/validate-extra.ts";
import { configFromJson, configToJson } from "./convert-config.ts";

/** Sends a configuration over the wire, as the gateway's call does, and reads it again. */
function roundTrip(json: unknown): unknown {
  const sent = MachineConfig.encode(configFromJson(json)).finish();
  return JSON.parse(JSON.stringify(configToJson(MachineConfig.decode(sent))));
}

function faultOf(json: unknown): Fault {
  try {
    configFromJson(json);
  } catch (err) {
    if (err instanceof Fault) return err;
    throw err;
  }
  throw new Error("the configuration was taken");
}

const FULL = {
  image: "registry.fly.io/app:v1",
  guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512, kernel_args: ["quiet"] },
  env: { A: "1", EMPTY: "" },
  init: { cmd: ["sleep", "inf"], tty: true, swap_size_mb: 512 },
  services: [
    {
      protocol: "tcp",
      internal_port: 8080,
      ports: [
        {
          ...{ port: 443, handlers: ["tls", "http"] },
          http_options: { compress: true, response: { headers: { via: false, "x-a": ["b"], "x-b": null } } },
        },
      ],
      autostop: "suspend",
      autostart: true,
      min_machines_running: 0,
      concurrency: { type: "requests", soft_limit: 10, hard_limit: 20 },
      checks: [{ type: "tcp", port: 8080, interval: "15s", timeout: "90s" }],
      x_service: [1, null, { deep: "kept" }],
    },
    { protocol: "udp", internal_port: 53 },
  ],
  checks: { alive: { type: "http", port: 8080, path: "/", interval: "1m30s", kind: "readiness" } },
  restart: { policy: "always", max_retries: 3, gpu_bid_price: 0.5 },
  auto_destroy: true,
  schedule: "daily",
  stop_config: { signal: "SIGTERM", timeout: "90s" },
  files: [{ guest_path: "/etc/a", raw_value: "aGk=", mode: 384, x_file: "kept" }],
  metadata: { fly_process_group: "web" },
  dns: {
    nameservers: ["1.1.1.1"],
    options: [{ name: "ndots", value: "2" }, { name: "rotate" }],
    skip_registration: true,
  },
  metrics: { port: 9091, path: "/metrics" },
  statics: [{ guest_path: "/public", url_prefix: "/" }],
  standbys: [],
  rootfs: { persist: "always" },
  auto_unknown: { a: [{ b: null }], constructor: "kept", toString: 1 },
};

test("a configuration comes back as it was sent", () => {
  expect(roundTrip(FULL)).toEqual(FULL);
});

test("what Windhover does not act on is kept, and nothing that it acts on is kept twice", () => {
  const { extra } = configFromJson(FULL);

  const kept = JSON.stringify(extra);
  expect(Object.keys(extra ?? {}).sort()).toEqual(
    [
      ...["guest", "init", "services", "checks", "restart", "files", "stop_config", "dns", "metrics"],
      ...["statics", "standbys", "rootfs", "auto_unknown"],
    ].sort(),
  );
  expect(kept).not.toContain("aGk=");
  expect(kept).not.toContain('"A"');
});

test("guest, init and restart are always there", () => {
  expect(roundTrip({ image: "nginx" })).toEqual({
    image: "nginx",
    guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
    init: {},
    restart: { policy: "on-failure" },
  });
});

test("a policy that is absent over gRPC is no", () => {
  const json = configToJson({ ...MachineConfig.create(), image: "nginx" });

  expect(json["restart"]).toEqual({ policy: "no" });
  expect(roundTrip(json)).toEqual(json);
});

test("a service that gRPC added has no members of another one", () => {
  const config = configFromJson(FULL);
  const more = {
    ...config,
    services: [...config.services.slice(0, 1), { protocol: "tcp", internalPort: 1 }, ...config.services],
  };

  const { services } = configToJson(more) as { services: unknown[] };

  expect(services).toHaveLength(4);
  expect(services[1]).toEqual({ protocol: "tcp", internal_port: 1 });
});

test("what gRPC changed is told as it is now, whatever REST sent before", () => {
  const config = configFromJson(FULL);
  const changed = { ...config, stopConfig: { signal: "SIGINT", timeout: { seconds: 3n, nanos: 0 } } };

  expect(configToJson(changed)["stop_config"]).toEqual({ signal: "SIGINT", timeout: "3s" });
  const reset = { ...config, stopConfig: { signal: "", timeout: undefined } };
  expect(configToJson(reset)["stop_config"]).toEqual({ timeout: "5s" });
});

describe("what encoders send", () => {
  test("null, empty text, zero and empty lists mean nothing", () => {
    const empty = {
      image: "nginx",
      guest: { cpu_kind: "", cpus: 0, memory_mb: 0, gpu_kind: null },
      env: null,
      init: null,
      services: null,
      mounts: [],
      containers: null,
      volumes: [],
      processes: [],
      metadata: [],
      restart: {},
      schedule: "",
      stop_config: { timeout: 0, signal: "" },
      checks: [],
      size: "",
      auto_destroy: null,
      dns: null,
    };

    const config = configFromJson(empty);

    expect(config).toMatchObject({
      ...{ image: "nginx", guest: undefined, init: undefined, services: [], files: [] },
      ...{ stopConfig: undefined, dns: undefined, schedule: "", autoDestroy: false },
    });
    expect(JSON.stringify(configToJson(config))).not.toContain("null");
  });

  test("numbers may be text, booleans too", () => {
    const config = configFromJson({
      image: "nginx",
      guest: { cpus: "2", memory_mb: "1024" },
      services: [{ internal_port: "8080", ports: [{ port: "80" }] }],
      auto_destroy: "true",
      init: { tty: "false" },
    });

    expect(config.guest).toMatchObject({ cpus: 2, memoryMb: 1024 });
    expect(config.services).toEqual([{ protocol: "", internalPort: 8080 }]);
    expect(config.autoDestroy).toBe(true);
    expect(config.extra).toMatchObject({ services: [{ ports: [{ port: 80 }] }] });
  });

  test("null of a published member is gone, null of an unknown one stays", () => {
    const json = roundTrip({
      image: "nginx",
      services: [{ internal_port: 80, force_instance_key: null, x_null: null }],
    }) as { services: object[] };

    expect(json.services[0]).toEqual({ internal_port: 80, x_null: null });
  });

  test.each([
    [true, true],
    [false, false],
    ["stop", true],
    ["off", false],
    ["suspend", "suspend"],
  ])("autostop %j is given back as %j", (sent, given) => {
    const config = { image: "nginx", services: [{ internal_port: 80, autostop: sent }] };

    expect(roundTrip(config)).toMatchObject({ services: [{ autostop: given }] });
  });

  test.each([
    [30_000_000_000, "30s"],
    ["30s", "30s"],
    ["90s", "90s"],
    [300_000_000, "300ms"],
    ["5s", "5s"],
    // As a client sends it that is generated from Fly's OpenAPI document.
    [{ "time.Duration": 30_000_000_000 }, "30s"],
  ])("a stop timeout of %j is given back as %j", (sent, given) => {
    expect(roundTrip({ image: "nginx", stop_config: { timeout: sent } })).toMatchObject({
      stop_config: { timeout: given },
    });
  });

  test.each([{}, { "time.Duration": null }, null, "", 0])("a duration of %j is none", (timeout) => {
    const config = { image: "nginx", stop_config: { timeout }, checks: { a: { interval: timeout } } };

    expect(configFromJson(config).stopConfig).toBeUndefined();
  });

  test.each([
    [15, "SIGTERM"],
    ["15", "SIGTERM"],
    ["term", "SIGTERM"],
    ["SIGUSR1", "SIGUSR1"],
  ])("the signal %j is %s", (sent, given) => {
    expect(configFromJson({ image: "nginx", stop_config: { signal: sent } }).stopConfig?.signal).toBe(given);
  });

  test.each([
    [1, "never"],
    ["restart", "restart"],
    ["none", undefined],
    [0, undefined],
  ])("a root file system that persists %j is given back as %j", (persist, given) => {
    const config = { image: "nginx", rootfs: { persist }, guest: { persist_rootfs: persist } };

    expect(configFromJson(config).extra?.["rootfs"]).toEqual(given ? { persist: given } : {});
    expect(faultOf({ ...config, rootfs: { persist: 7 } }).violations[0]?.field).toBe("config.rootfs.persist");
  });

  test("a file is base64 of any kind, and its mode is a number or text", () => {
    const { files } = configFromJson({
      image: "nginx",
      files: [
        { guest_path: "/a", raw_value: "_-8", mode: "0600" },
        { guest_path: "/b", raw_value: "" },
      ],
    });

    expect(files).toEqual([
      { guestPath: "/a", content: Buffer.from([0xff, 0xef]), mode: 0o600 },
      { guestPath: "/b", content: Buffer.alloc(0), mode: 0 },
    ]);
  });
});

describe("presets", () => {
  test.each([
    ["shared-cpu-1x", { cpuKind: "shared", cpus: 1, memoryMb: 256 }],
    ["shared-cpu-8x", { cpuKind: "shared", cpus: 8, memoryMb: 2048 }],
    ["performance-2x", { cpuKind: "performance", cpus: 2, memoryMb: 4096 }],
  ])("%s is a guest", (size, guest) => {
    expect(configFromJson({ image: "nginx", size }).guest).toEqual(guest);
  });

  test("a preset excludes another guest, and its own comes back with it", () => {
    const json = roundTrip({ image: "nginx", size: "shared-cpu-2x" });

    expect(json).toMatchObject({ guest: { cpus: 2, memory_mb: 512 } });
    // Its reader may change the guest and send it back.
    expect(json).not.toHaveProperty("size");
    expect(roundTrip(json)).toEqual(json);
    expect(faultOf({ image: "nginx", size: "shared-cpu-2x", guest: { cpus: 1 } }).violations).toEqual([
      expect.objectContaining({ field: "config.size" }),
    ]);
    expect(faultOf({ image: "nginx", size: "huge" }).violations[0]?.field).toBe("config.size");
  });
});

describe("one process", () => {
  const config = {
    image: "nginx",
    env: { A: "top", B: "top" },
    init: { cmd: ["top"], swap_size_mb: 5, tty: true },
    processes: [
      {
        cmd: ["run", "it"],
        user: "app",
        env: { B: "secret", C: "secret2" },
        env_from: [{ env_var: "ID", field_ref: "id" }],
      },
    ],
  };

  test("is what the machine runs", () => {
    const { init, env } = configFromJson(config);

    expect(init).toMatchObject({ cmd: ["run", "it"], user: "app", tty: true });
    expect(Object.fromEntries(env)).toEqual({ A: "top", B: "secret", C: "secret2" });
  });

  test("comes back as it was sent, and keeps no value of its environment twice", () => {
    expect(JSON.stringify(configFromJson(config).extra)).not.toContain("secret");
    expect(roundTrip(config)).toMatchObject(config);
  });

  test("several are not built yet", () => {
    const fault = faultOf({ image: "nginx", processes: [{ cmd: ["a"] }, { cmd: ["b"] }] });

    expect(fault).toMatchObject({ code: "UNIMPLEMENTED", reason: "NOT_BUILT_YET" });
    expect(fault.message).toContain("config.processes");
  });
});

test.each([
  ["mounts", { mounts: [{ volume: "vol_1", path: "/data" }] }],
  ["volumes", { volumes: [{ name: "tmp" }] }],
  ["containers", { containers: [{ name: "a", image: "nginx" }] }],
  ["guest.gpu_kind", { guest: { gpu_kind: "l40s" } }],
  ["size", { size: "a100-40gb" }],
  ["files[0].secret_name", { files: [{ guest_path: "/a", secret_name: "s" }] }],
  ["processes[0].secrets", { processes: [{ secrets: [{ env_var: "A", name: "s" }] }] }],
])("%s is refused as not built yet", (field, members) => {
  expect(faultOf({ image: "nginx", ...members })).toMatchObject({
    code: "UNIMPLEMENTED",
    facts: { fields: `config.${field}` },
  });
});

test("every wrong field is named at once with its path", () => {
  const { violations } = faultOf({
    image: 5,
    guest: { cpu_kind: "fast", cpus: "two", memory_mb: 1.5 },
    env: { A: 1, "b c": true },
    services: [
      { protocol: "sctp", internal_port: 70_000, autostart: "true", ports: [{ handlers: "http" }] },
      7,
    ],
    schedule: "yearly",
    restart: { policy: "spot-price" },
    stop_config: { timeout: "10", signal: "SIGWHAT" },
    files: [{ guest_path: "/a", raw_value: "***" }],
    checks: { alive: { interval: "soon" } },
    init: { cmd: "sleep" },
  });

  expect(Object.fromEntries(violations.map(({ field, description }) => [field, description]))).toEqual({
    "config.image": "must be text",
    "config.guest.cpu_kind": "must be one of shared, performance",
    "config.guest.cpus": "must be a whole number",
    "config.guest.memory_mb": "must be a whole number",
    "config.env.A": "must be text",
    'config.env["b c"]': "must be text",
    "config.services[0].protocol": "must be one of tcp, udp",
    "config.services[0].internal_port": "must be 0 to 65535",
    "config.services[0].autostart": "must be true or false",
    "config.services[0].ports[0].handlers": "must be a list",
    "config.services[1]": "must be an object",
    "config.restart.policy": "spot-price is not supported: there are no spot machines",
    "config.schedule": "must be one of hourly, daily, weekly, monthly",
    "config.stop_config.timeout": 'time: missing unit in duration "10"',
    "config.stop_config.signal": "must be a signal of Linux such as SIGTERM or 15",
    "config.files[0].raw_value": "must be base64",
    "config.checks.alive.interval": 'time: invalid duration "soon"',
    "config.init.cmd": "must be a list",
  });
});

test("a name that JavaScript cannot carry is refused by name", () => {
  const json = JSON.parse('{"image":"nginx","env":{"__proto__":"x"},"a":{"b":[{"__proto__":{}}]}}');

  expect(faultOf(json).violations.map(({ field }) => field)).toEqual([
    "config.env.__proto__",
    "config.a.b[0].__proto__",
  ]);
});

test("text with NUL characters is refused by name", () => {
  const { violations } = faultOf({ image: "nginx", env: { A: "\0" }, x: [{ "\0": 1 }] });

  expect(violations.map(({ field }) => field)).toEqual(["config.env.A", 'config.x[0]["\\u0000"]']);
});

test("numbers that are too large are refused by name, once", () => {
  const json = JSON.parse('{"image":"nginx","guest":{"cpus":1e400},"x":[{"y":-1e400}]}');

  expect(faultOf(json).violations).toEqual([
    { field: "config.guest.cpus", description: "is too large" },
    { field: "config.x[0].y", description: "is too large" },
  ]);
});

test.each([
  ["entries", { services: Array.from({ length: 50_000 }, () => 1) }],
  ["members", { env: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`A${i}`, 1])) }],
])("tens of thousands of %s are refused with one sentence", (_, members) => {
  expect(faultOf({ image: "nginx", ...members }).violations).toEqual([
    { field: "config", description: "must have at most 5000 members and entries in all" },
  ]);
});

test("JSON that is nested too deep is refused by name, and what is less deep is kept", () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);

  for (const levels of [20, 5_000]) {
    const { violations } = faultOf({ image: "nginx", deep: nested(levels) });
    expect(violations).toEqual([
      { field: `config.deep${"[0]".repeat(19)}`, description: "must be nested at most 20 deep" },
    ]);
  }
  const { extra } = configFromJson({ image: "nginx", deep: nested(19) });
  const violations: string[] = [];
  checkExtra(extra ?? {}, (holds, _, description) => holds || violations.push(description));
  expect(violations).toEqual([]);
});
