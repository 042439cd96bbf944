import { describe, expect, test } from "vitest";
import { FULL, faultOf } from "./config.fixture.ts";
import { configFromJson } from "./convert-config.ts";
import { deadEnds, ignoredMembers } from "./convert-ignored.ts";
import { otherProblems } from "./convert-problems.ts";

/** Names what is wrong by its form, and then what else is. */
function fieldsOf(json: unknown): { readonly form: string[]; readonly others: string[] } {
  const { violations } = faultOf(json);
  const others = otherProblems(json, violations);
  return { form: violations.map(({ field }) => field), others: others.map(({ field }) => field) };
}

describe("wrong values are named beside wrong types", () => {
  test("of all members", () => {
    const json = {
      image: "UPPER CASE",
      env: { A: 5, "not a name": "x" },
      schedule: "daily",
      restart: { policy: "always", max_retries: 5_000 },
      init: { working_dir: "relative", tty: "maybe" },
      files: [{ raw_value: "aGk=", mode: 1 }, { guest_path: "/a/../b" }],
      metadata: { ok: "1", "": "2" },
    };
    expect(fieldsOf(json)).toEqual({
      form: ["config.env.A", "config.init.tty"],
      others: [
        ...["config.image", "config.env[not a name]", "config.init.working_dir", "config.metadata[]"],
        ...["config.restart.max_retries", "config.files[0].guest_path", "config.files[1].guest_path"],
      ],
    });
  });

  test("and not what follows from a member that was left out", () => {
    expect(fieldsOf({ image: 5, guest: { cpus: "many", memory_mb: 100 } })).toEqual({
      form: ["config.image", "config.guest.cpus"],
      others: [],
    });
    const services = [{ internal_port: "x" }, { internal_port: 80, concurrency: { type: "bytes" } }];
    expect(fieldsOf({ image: "a", services }).others).toEqual(["config.services[1].concurrency.type"]);
    expect(fieldsOf({ image: "a", files: [5, {}], env: { "": "" } }).others).toEqual(["config.env[]"]);
  });

  test("both members that a file lacks", () => {
    expect(fieldsOf({ image: "a", files: [{}] })).toEqual({
      form: ["config.files[0].raw_value"],
      others: ["config.files[0].guest_path"],
    });
  });

  test("but not of what is refused before its schema reads it", () => {
    const nested = JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`);
    const proto = JSON.parse('{"__proto__":1}');
    for (const hostile of [nested, proto, Array(10_000).fill(1), "a\0"])
      expect(otherProblems({ image: "UPPER", hostile }, [])).toEqual([]);
    expect(otherProblems({ image: "UPPER" }, [])).toHaveLength(1);
  });

  test.each([[[]], ["text"], [{ guest: [1] }], [{ services: [{ ports: [{ port: {} }] }] }]])(
    "whatever comes: %j",
    (json) => {
      expect(() => otherProblems(json, [])).not.toThrow();
    },
  );
});

describe("members that are not acted on are named", () => {
  const ignored = (json: object) => ignoredMembers(configFromJson({ image: "a", ...json }));

  test("those that are not built yet, and those that nobody knows", () => {
    expect(
      ignored({
        auto_stop_machines: "stop",
        guest: { cpus: 1, kernel_args: ["quiet"] },
        init: { swap_size_mb: 512, user: "x" },
        metrics: { port: 9091, path: "/metrics" },
        rootfs: { persist: "always" },
        services: [
          { internal_port: 80 },
          {
            internal_port: 90,
            colour: "red",
            ports: [{ port: 443, handlers: ["http"], http_options: { compress: true } }],
          },
        ],
        processes: [{ cmd: ["y"], env: { A: "1" }, env_from: [{ env_var: "B", field_ref: "id" }] }],
      }).toSorted(),
    ).toEqual([
      "config.auto_stop_machines",
      "config.guest.kernel_args",
      "config.init.swap_size_mb",
      "config.metrics",
      "config.processes[0].env_from",
      "config.rootfs",
      "config.services[1].colour",
      "config.services[1].ports[0].http_options.compress",
    ]);
  });

  test("and nothing that is acted on, or that asks for nothing", () => {
    expect(
      ignored({
        init: { swap_size_mb: 0, kernel_args: [], exec: ["a"] },
        stop_config: { timeout: "90s" },
        rootfs: { persist: "never", size_gb: 0 },
        dns: { skip_registration: true, nameservers: ["1.1.1.1"] },
        disable_machine_autostart: false,
        metrics: {},
        standbys: [],
        size: "shared-cpu-1x",
        services: [
          {
            ...{ internal_port: 80, autostop: "stop", concurrency: { type: "requests", soft_limit: 5 } },
            checks: [{ type: "http", port: 80, interval: "60s", headers: [{ name: "a", values: ["b"] }] }],
            ports: [
              { port: 80, handlers: ["http"], http_options: { response: { headers: { a: ["b", "c"] } } } },
            ],
          },
        ],
        processes: [{ cmd: ["y"], env: { A: "1" }, ignore_app_secrets: true }],
      }),
    ).toEqual([]);
  });

  test.each([
    [[{ internal_port: 80, autostop: "stop" }], 1],
    [[{ internal_port: 80 }, { internal_port: 81, autostop: "suspend", autostart: false }], 1],
    [[{ internal_port: 80, autostop: "stop", autostart: true }], 0],
    [
      [
        { internal_port: 80, autostop: true },
        { internal_port: 81, autostart: true },
      ],
      0,
    ],
    [[{ internal_port: 80, autostop: "off" }], 0],
    [[], 0],
  ])("services that stop a machine which no request starts again are told: %j", (services, count) => {
    expect(deadEnds(configFromJson({ image: "a", services }))).toHaveLength(count);
  });

  test("at most so many, and shortened", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}${"x".repeat(300)}`, true]));

    const names = ignored(many);

    expect(names.length).toBeLessThan(40);
    expect(Math.max(...names.map((name) => name.length))).toBeLessThan(200);
  });

  test("in a configuration with members of every kind", () => {
    expect(ignored(FULL).every((name) => /^config\.[\w.[\]]+$/.test(name))).toBe(true);
  });
});
