import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { roundTrip } from "./config.fixture.ts";
import { configFromJson, configToJson } from "./convert-config.ts";
import { ignoredMembers } from "./convert-ignored.ts";
import { otherProblems } from "./convert-problems.ts";

/** Text as a configuration may have it: Unicode without NUL. */
const text = (maxLength: number) =>
  fc.string({ unit: "binary", maxLength }).map((value) => value.replaceAll("\0", "").toWellFormed());
const names = fc.oneof(
  fc.constantFrom("constructor", "toString", "hasOwnProperty", "valueOf", "length", "env", "a"),
  text(8).filter((name) => name !== "__proto__"),
);
const unknown = fc
  .letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 3 },
      fc.oneof(text(20), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean()),
      fc.constant(null),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(names, tie("json"), { maxKeys: 3, noNullPrototype: true }),
    ),
  }))
  .json.map((value): unknown => JSON.parse(JSON.stringify(value)));
/** Members that no schema knows. */
const strangers = fc.dictionary(
  names.map((name) => `x_${name}`),
  unknown,
  { maxKeys: 3, noNullPrototype: true },
);
const environment = fc.dictionary(
  fc.constantFrom("A", "B", "PATH", "constructor", "toString"),
  text(20).map((value) => `value:${value}`),
  { noNullPrototype: true },
);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const words = optional(
  fc.array(
    text(10).filter((word) => word !== ""),
    { maxLength: 3 },
  ),
);
const program = { exec: words, entrypoint: words, cmd: words, user: optional(fc.constantFrom("app", "0")) };
const timeout = optional(fc.constantFrom("5s", "90s", "1m30s", "300ms", 7_000_000_000, 0, "0s"));
function extended<T extends object>(members: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.tuple(members, strangers).map(([known, more]) => ({ ...more, ...known }));
}
const headers = fc.dictionary(
  fc.constantFrom("via", "x-a", "constructor"),
  fc.constantFrom("a", false, null, ["b"], ["b", "c"], []),
  { noNullPrototype: true },
);
const port = {
  port: fc.constantFrom(0, 80, "443"),
  start_port: fc.constantFrom(undefined, 0, 90),
  end_port: fc.constantFrom(undefined, 0, 91),
  handlers: words,
  force_https: optional(fc.boolean()),
  http_options: optional(
    extended(
      fc.record({
        h2_backend: optional(fc.boolean()),
        idle_timeout: fc.constantFrom(undefined, 0, 5, "90s", 1.5),
        response: optional(extended(fc.record({ headers: optional(headers) }))),
      }),
    ),
  ),
  tls_options: optional(extended(fc.record({ alpn: words }))),
};
const check = {
  ...{ interval: timeout, timeout, grace_period: timeout, path: fc.constantFrom(undefined, "", "/up") },
  headers: optional(fc.array(extended(fc.record({ name: fc.constantFrom("", "x"), values: words })))),
  ...{ status: fc.constantFrom(undefined, 0, 204), tls_skip_verify: optional(fc.boolean()) },
};
const configs = extended(
  fc.record({
    image: fc.constantFrom("nginx", "127.0.0.1:5000/app:tag@sha256:0"),
    guest: optional(
      extended(fc.record({ cpus: fc.constantFrom(0, 1, 2, "4"), memory_mb: fc.constantFrom(0, 512) })),
    ),
    env: optional(environment),
    init: optional(extended(fc.record({ ...program, tty: optional(fc.boolean()) }))),
    processes: optional(
      fc.array(extended(fc.record({ ...program, env: optional(environment) })), { maxLength: 1 }),
    ),
    services: optional(
      fc.array(
        extended(
          fc.record({
            internal_port: fc.constantFrom(80, 81, 443),
            protocol: fc.constantFrom(undefined, null, "", "tcp", "udp"),
            autostop: fc.constantFrom(undefined, "off", "stop", "suspend", true, false),
            ports: optional(fc.array(extended(fc.record(port)), { maxLength: 3 })),
            checks: optional(fc.array(extended(fc.record(check)), { maxLength: 2 })),
            autostart: optional(fc.boolean()),
            min_machines_running: fc.constantFrom(undefined, 0, 2),
            concurrency: optional(
              extended(
                fc.record({ type: fc.constantFrom("", "requests"), soft_limit: fc.constantFrom(0, 5) }),
              ),
            ),
            idle_timeout: timeout,
          }),
        ),
        { maxLength: 3 },
      ),
    ),
    files: optional(
      fc.array(
        extended(
          fc.record({
            guest_path: fc.constantFrom("/a", "/b"),
            raw_value: fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("base64")),
            mode: fc.constantFrom(undefined, 0, 0o600),
          }),
        ),
        { maxLength: 3 },
      ),
    ),
    stop_config: optional(
      extended(fc.record({ timeout, signal: fc.constantFrom(undefined, "", "SIGINT", 15) })),
    ),
    restart: optional(
      extended(
        fc.record({ policy: fc.constantFrom(undefined, "no", "always"), max_retries: fc.constantFrom(0, 3) }),
      ),
    ),
    dns: optional(
      extended(fc.record({ options: fc.array(extended(fc.record({ name: fc.constantFrom("a", "b") }))) })),
    ),
    auto_destroy: optional(fc.boolean()),
    metadata: optional(environment),
    checks: optional(fc.dictionary(names, extended(fc.record(check)), { maxKeys: 2, noNullPrototype: true })),
    snapshot: fc.constantFrom(undefined, null, "", "off", "ready"),
    max_lifetime: timeout,
    max_busy: timeout,
  }),
);

describe("whatever a client sends", () => {
  test("a configuration that was given back is given back the same for ever", () => {
    fc.assert(
      fc.property(configs, (sent) => {
        const given = roundTrip(sent);

        expect(roundTrip(given)).toEqual(given);
        expect(MachineConfig.encode(configFromJson(given)).finish().length).toBeGreaterThan(0);
      }),
    );
  });

  test("posting it back changes no field of the machine", () => {
    fc.assert(
      fc.property(configs, (sent) => {
        const config = configFromJson(sent);
        const again = configFromJson(JSON.parse(JSON.stringify(configToJson(config))));

        // The guest is sent back with its defaults, which the api fills in anyway.
        expect({ ...again, guest: config.guest }).toEqual(config);
        expect(configToJson(again)["guest"]).toEqual(configToJson(config)["guest"]);
      }),
    );
  });

  test("no member is lost", () => {
    fc.assert(
      fc.property(configs, (sent) => {
        const lost = missing(JSON.parse(JSON.stringify(sent)), roundTrip(sent), "");

        expect(lost).toEqual([]);
      }),
    );
  });

  test("only members that no schema knows are named as not acted on", () => {
    fc.assert(
      fc.property(configs, (sent) => {
        const named = ignoredMembers(configFromJson(sent));

        expect(named.filter((name) => !name.includes("x_"))).toEqual([]);
      }),
    );
  });

  test("what else is wrong can be told, whatever is of a wrong type", () => {
    const broken = fc
      .tuple(configs, fc.array(fc.tuple(fc.nat(), unknown), { minLength: 1, maxLength: 4 }))
      .map(([config, changes]) => {
        const copy = JSON.parse(JSON.stringify(config)) as object;
        for (const [at, value] of changes) replace(copy, at, value);
        return copy;
      });
    fc.assert(
      fc.property(broken, (sent) => {
        for (const { field } of otherProblems(sent, [])) expect(field).toMatch(/^config/);
      }),
    );
  });

  test("values of the environment and contents of files are not kept twice", () => {
    fc.assert(
      fc.property(configs, (sent) => {
        const config = configFromJson(sent);
        const kept = JSON.stringify({ ...config.extra, env: undefined, metadata: undefined });

        for (const [, value] of config.env) {
          expect(kept).not.toContain(`${JSON.stringify(value).slice(0, -1)}"`);
        }
        expect(kept).not.toContain("raw_value");
      }),
    );
  });
});

/** Replaces a member of a value, at any depth. */
function replace(value: object, at: number, by: unknown): void {
  const entries = Object.entries(value);
  const [name, member] = entries[at % Math.max(1, entries.length)] ?? [];
  if (name === undefined) return;
  if (typeof member === "object" && member !== null && at % 3 > 0) replace(member, Math.floor(at / 3), by);
  else Reflect.set(value, name, by);
}

/** Paths of members that were sent with a meaning and are not given back. */
function missing(sent: unknown, given: unknown, at: string): string[] {
  if (sent === null || sent === undefined || sent === "" || sent === 0) return [];
  if (Array.isArray(sent)) {
    if (sent.length === 0) return [];
    if (!Array.isArray(given) || given.length !== sent.length) return [at];
    return sent.flatMap((each, i) => missing(each, given[i], `${at}[${i}]`));
  }
  if (typeof sent === "object") {
    if (Object.keys(sent).length === 0) return [];
    if (typeof given !== "object" || given === null) return [at];
    return Object.entries(sent).flatMap(([name, each]) =>
      Object.hasOwn(given, name)
        ? missing(each, (given as Record<string, unknown>)[name], `${at}.${name}`)
        : missing(each, undefined, `${at}.${name}`),
    );
  }
  return given === undefined ? [at] : [];
}
