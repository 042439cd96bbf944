import { describe, expect, test } from "vitest";
import { ServiceConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { faultOf, roundTrip } from "./config.fixture.ts";
import { configFromJson, configToJson } from "./convert-config.ts";

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
    expect(config.services).toEqual([
      ServiceConfig.fromPartial({ internalPort: 8080, ports: [{ port: 80 }] }),
    ]);
    expect(config.autoDestroy).toBe(true);
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
