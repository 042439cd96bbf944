import { describe, expect, test } from "vitest";
import { MachineConfig, ServiceConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { FULL, faultOf, roundTrip } from "./config.fixture.ts";
import { configFromJson, configToJson } from "./convert-config.ts";

test("a configuration comes back as it was sent", () => {
  expect(roundTrip(FULL)).toEqual(FULL);
});

test("what Windhover does not act on is kept, and nothing that it acts on is kept twice", () => {
  const { extra } = configFromJson(FULL);

  const kept = JSON.stringify(extra);
  expect(Object.keys(extra ?? {}).sort()).toEqual(
    [
      ...["guest", "init", "services", "restart", "files", "stop_config", "dns", "metrics"],
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
    services: [
      ...config.services.slice(0, 1),
      ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 1 }),
      ...config.services,
    ],
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
