import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Violations } from "../../../lib/faults/violations.ts";
import { type ConfigInput, validateConfig } from "./validate-config.ts";

const FINE: ConfigInput = { image: "nginx", env: {}, services: [], metadata: {} };
const INIT = { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "" };
const anyImage = () => undefined;

function validate(change: Partial<ConfigInput>) {
  const violations = new Violations();
  const config = validateConfig({ ...FINE, ...change }, anyImage, violations);
  return { config, fields: violations.all.map((problem) => problem.field), problems: violations.all };
}

describe("a configuration", () => {
  it("gets its defaults", () => {
    const { config, fields } = validate({});

    expect(fields).toEqual([]);
    expect(config).toEqual({
      image: "nginx",
      guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
      env: {},
      services: [],
      stop: { signal: "", timeoutMs: 5_000 },
      metadata: {},
    });
  });

  test.each([
    [
      { cpuKind: "", cpus: 4, memoryMb: 0 },
      { cpuKind: "shared", cpus: 4, memoryMb: 1_024 },
    ],
    [
      { cpuKind: "performance", cpus: 2, memoryMb: 0 },
      { cpuKind: "performance", cpus: 2, memoryMb: 4_096 },
    ],
    [
      { cpuKind: "shared", cpus: 1, memoryMb: 2_048 },
      { cpuKind: "shared", cpus: 1, memoryMb: 2_048 },
    ],
    [
      { cpuKind: "performance", cpus: 16, memoryMb: 131_072 },
      { cpuKind: "performance", cpus: 16, memoryMb: 131_072 },
    ],
  ])("with the size %j is as large as %j", (guest, expected) => {
    const { config, fields } = validate({ guest });

    expect(fields).toEqual([]);
    expect(config.guest).toEqual(expected);
  });

  test.each([
    [{ cpuKind: "gpu", cpus: 1, memoryMb: 256 }, ["config.guest.cpu_kind"]],
    [{ cpuKind: "shared", cpus: 17, memoryMb: 0 }, ["config.guest.cpus"]],
    [{ cpuKind: "shared", cpus: -1, memoryMb: 256 }, ["config.guest.cpus"]],
    [{ cpuKind: "shared", cpus: 1, memoryMb: 300 }, ["config.guest.memory_mb"]],
    [{ cpuKind: "shared", cpus: 1, memoryMb: 2_304 }, ["config.guest.memory_mb"]],
    [{ cpuKind: "shared", cpus: 2, memoryMb: 256 }, ["config.guest.memory_mb"]],
    [{ cpuKind: "performance", cpus: 1, memoryMb: 1_024 }, ["config.guest.memory_mb"]],
    [{ cpuKind: "shared", cpus: 1, memoryMb: -256 }, ["config.guest.memory_mb"]],
    [
      { cpuKind: "gpu", cpus: 99, memoryMb: 7 },
      ["config.guest.cpu_kind", "config.guest.cpus", "config.guest.memory_mb"],
    ],
  ])("with the size %j is refused", (guest, fields) => {
    expect(validate({ guest }).fields).toEqual(fields);
  });

  test.each<[string, Partial<ConfigInput>, string[]]>([
    ["no image", { image: "" }, ["config.image"]],
    [
      "a variable's name",
      { env: { "1A": "", "": "", "A-B": "", OK_1: "" } },
      ["config.env[1A]", "config.env[]", "config.env[A-B]"],
    ],
    ["a NUL in a variable", { env: { A: "\0" } }, ["config.env[A]"]],
    ["half a character in a variable", { env: { A: "\ud800" } }, ["config.env[A]"]],
    [
      "an equals sign in a variable's name",
      { env: { "A=B": "", "=": "" } },
      ["config.env[A=B]", "config.env[=]"],
    ],
    ["too many variables", { env: many(257) }, ["config.env"]],
    [
      "far too many variables, without a word on each",
      { env: wrongNames(100_000) },
      ["config.env", "config.env"],
    ],
    ["too large variables", { env: { A: "x".repeat(65_536) } }, ["config.env"]],
    ["a NUL in a command", { init: { ...INIT, cmd: ["a\0"] } }, ["config.init.cmd"]],
    [
      "an empty program",
      { init: { ...INIT, exec: [""], entrypoint: ["", "x"] } },
      ["config.init.exec", "config.init.entrypoint"],
    ],
    ["a relative folder", { init: { ...INIT, workingDir: "srv" } }, ["config.init.working_dir"]],
    ["a user", { init: { ...INIT, user: "a b" } }, ["config.init.user"]],
    ["a user with a number that none has", { init: { ...INIT, user: "4294967295" } }, ["config.init.user"]],
    [
      "a group with a number that none has",
      { init: { ...INIT, user: "a:99999999999" } },
      ["config.init.user"],
    ],
    ["a negative user", { init: { ...INIT, user: "-1" } }, ["config.init.user"]],
    ["half a character in a command", { init: { ...INIT, cmd: ["\udfff"] } }, ["config.init.cmd"]],
    ["a folder with a NUL", { init: { ...INIT, workingDir: "/a\0" } }, ["config.init.working_dir"]],
    ["too long a command", { init: { ...INIT, cmd: ["x".repeat(65_536)] } }, ["config.init"]],
    ["a protocol", { services: [{ protocol: "sctp", internalPort: 1 }] }, ["config.services[0].protocol"]],
    ["a port", { services: [{ protocol: "", internalPort: 65_536 }] }, ["config.services[0].internal_port"]],
    [
      "a port twice",
      { services: [port(80), { protocol: "udp", internalPort: 80 }, { ...port(80), protocol: "" }] },
      ["config.services[2]"],
    ],
    ["too many ports", { services: Array.from({ length: 17 }, (_, i) => port(i + 1)) }, ["config.services"]],
    ["a signal", { stop: { signal: "SIGFOO" } }, ["config.stop_config.signal"]],
    ["a grace", { stop: { signal: "", timeoutMs: 300_001 } }, ["config.stop_config.timeout"]],
    ["a negative grace", { stop: { signal: "", timeoutMs: -1 } }, ["config.stop_config.timeout"]],
    ["too many labels", { metadata: many(65) }, ["config.metadata"]],
    [
      "a label's key",
      { metadata: { "": "x", [`k${"x".repeat(128)}`]: "" } },
      ["config.metadata[]", `config.metadata[k${"x".repeat(39)}...]`],
    ],
    ["a line in a label's key", { metadata: { "a\nb": "" } }, ["config.metadata[a?b]"]],
    ["a NUL in a label", { metadata: { a: "\0" } }, ["config.metadata[a]"]],
    ["a label's value", { metadata: { a: "x".repeat(2_049) } }, ["config.metadata[a]"]],
    [
      "a restart policy and too many restarts, at once",
      { restart: { policy: "sometimes", maxRetries: 1_001 } },
      ["config.restart.policy", "config.restart.max_retries"],
    ],
    [
      "a negative number of restarts",
      { restart: { policy: "", maxRetries: -1 } },
      ["config.restart.max_retries"],
    ],
    ["a schedule", { schedule: "yearly" }, ["config.schedule"]],
    ["too many files", { files: Array.from({ length: 65 }, (_, i) => file(`/f${i}`)) }, ["config.files"]],
    ["a file twice", { files: [file("/a"), file("/b"), file("/a")] }, ["config.files[2].guest_path"]],
    ["a file inside another", { files: [file("/a/b/c"), file("/a")] }, ["config.files[0].guest_path"]],
    ["no path", { files: [file("")] }, ["config.files[0].guest_path"]],
    ["bits that are no permissions", { files: [file("/a", 0o10000)] }, ["config.files[0].mode"]],
    [
      "a resolver",
      {
        dns: {
          nameservers: ["1.1.1.1", "one", "::1", "8.8.8.8"],
          searches: ["a b", "internal"],
          options: ["ndots:2", "a\nnameserver 6.6.6.6"],
          hostname: "-",
        },
      },
      [
        "config.dns.nameservers",
        "config.dns.nameservers[1]",
        "config.dns.searches[0]",
        "config.dns.options[1]",
        "config.dns.hostname",
      ],
    ],
    ["a NUL in what a client keeps", { extra: { a: [{ b: "\0" }] } }, ["config.extra"]],
    ["a NUL in a member's name", { extra: { "a\0": 1 } }, ["config.extra"]],
    ["a number that JSON cannot have", { extra: { a: Number.NaN } }, ["config.extra"]],
    ["a value that is absent", { extra: { a: undefined } }, ["config.extra"]],
    ["what is nested too deep", { extra: nested(21) }, ["config.extra"]],
    ["a member that replaces the prototype", { extra: { a: Object.create({ b: 1 }) } }, ["config.extra"]],
  ])("is refused for %s", (_, change, fields) => {
    expect(validate(change).fields).toEqual(fields);
  });

  test.each([
    ...["", "relative", "/", "//a", "/a//b", "/a/", "/a/../b", "/..", "/a/./b", "/a\n", "/\ud800"],
    ...[`/${"x".repeat(256)}`, "/x".repeat(2_048)],
  ])("with a file at %j is refused", (guestPath) => {
    expect(validate({ files: [file(guestPath)] }).fields).toEqual(["config.files[0].guest_path"]);
  });

  it("keeps how it is restarted, its files, its resolver and what a client keeps with it", () => {
    const kept = {
      autoDestroy: true,
      schedule: "daily",
      files: [file("/etc/app/..conf", 0o4755), file("/etc/app.d/é")],
      dns: {
        nameservers: ["1.1.1.1", "fdaa::3"],
        searches: ["internal", "_tcp.example.com.", "."],
        options: ["ndots:2", "edns0"],
        hostname: "Web-1.internal",
      },
      extra: { services: [{ autostop: false, ports: [null, 1.5, "x"] }], empty: {}, none: [] },
    };

    const { config, fields } = validate({ ...kept, restart: { policy: "", maxRetries: 1_000 } });

    expect(fields).toEqual([]);
    expect(config).toMatchObject({ ...kept, restart: { policy: "no", maxRetries: 1_000 } });
    expect(validate({ extra: nested(20) }).fields).toEqual([]);
  });

  test.each(["name", "1000", "name:group", "1000:1000", "www-data", "_apt"])("may run as %s", (user) => {
    expect(validate({ init: { ...INIT, user } }).fields).toEqual([]);
  });

  test.each(["SIGTERM", "SIGWINCH", "SIGRTMIN+3", "SIGKILL"])(
    "may be stopped with %s, at once or after 5 min",
    (signal) => {
      expect(validate({ stop: { signal, timeoutMs: 0 } }).fields).toEqual([]);
      expect(validate({ stop: { signal, timeoutMs: 300_000 } }).config.stop).toEqual({
        signal,
        timeoutMs: 300_000,
      });
    },
  );

  it("that is accepted has memory and CPUs within their bounds", () => {
    const guest = fc.record({
      cpuKind: fc.constantFrom("", "shared", "performance"),
      cpus: fc.integer({ min: 0, max: 20 }),
      memoryMb: fc.integer({ min: 0, max: 600 }).map((n) => n * 256),
    });
    fc.assert(
      fc.property(guest, (size) => {
        const { config, fields } = validate({ guest: size });
        fc.pre(fields.length === 0);
        const perCpu = config.guest.memoryMb / config.guest.cpus;
        const [least, most] = config.guest.cpuKind === "shared" ? [256, 2_048] : [2_048, 8_192];
        expect(perCpu).toBeGreaterThanOrEqual(least ?? 0);
        expect(perCpu).toBeLessThanOrEqual(most ?? 0);
        expect(config.guest.cpus).toBeLessThanOrEqual(16);
      }),
    );
  });
});

function many(n: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: n }, (_, i) => [`K${i}`, ""]));
}

function wrongNames(n: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: n }, (_, i) => [`1K${i}`, ""]));
}

function file(guestPath: string, mode = 0) {
  return { guestPath, content: "", mode };
}

/** An object with so many objects in each other. */
function nested(depth: number): Record<string, unknown> {
  return depth === 1 ? {} : { a: nested(depth - 1) };
}

function port(internalPort: number) {
  return { protocol: "tcp", internalPort };
}
