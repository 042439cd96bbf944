import { expect, test } from "vitest";
import { checkExtra } from "../../../machines/config/validate-extra.ts";
import { faultOf } from "./config.fixture.ts";
import { configFromJson } from "./convert-config.ts";

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
