import { describe, expect, test } from "vitest";
import type * as z from "zod";
import {
  address,
  ConfigError,
  describeVariables,
  duration,
  flag,
  integer,
  list,
  oneOf,
  parsed,
  readEnv,
  showConfig,
  text,
} from "./config.ts";

const VARIABLES = {
  LISTEN: address().prefault("127.0.0.1:7001").describe("Where to serve."),
  DATABASE_URL: text().describe("Where the database is."),
  GRACE: duration("0s", "1m").prefault("20s").describe("How long calls may take."),
  RETRIES: integer(0, 5).prefault(3).describe("Attempts."),
  VMM: oneOf(["auto", "qemu", "sim"]).prefault("auto").describe("What runs VMs."),
  PEERS: list(address()).prefault("").describe("The others."),
  NAME: text().optional().meta({ defaultText: "the host name" }).describe("For people."),
  KEY: text().optional().meta({ secret: true }).describe("A secret."),
};

test("what is unset or empty takes its default", () => {
  const values = readEnv({ DATABASE_URL: "postgres:///x", LISTEN: "", RETRIES: "5" }, VARIABLES);

  expect(values).toEqual({
    LISTEN: "127.0.0.1:7001",
    DATABASE_URL: "postgres:///x",
    GRACE: 20_000,
    RETRIES: 5,
    VMM: "auto",
    PEERS: [],
    NAME: undefined,
    KEY: undefined,
  });
  expect(Object.isFrozen(values)).toBe(true);
});

test("everything that is wrong is said at once, each with its variable", () => {
  const env = { LISTEN: "7001", GRACE: "20", RETRIES: "6", VMM: "xen", PEERS: "a:1,b" };

  const error = caught(() => readEnv(env, VARIABLES));

  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems).toEqual([
    'LISTEN must be host:port or unix:/path, not "7001"',
    "DATABASE_URL must be set",
    'GRACE must be a duration such as 300ms, 5s or 2m, not "20"',
    'RETRIES must be a whole number from 0 to 5, not "6"',
    'VMM must be one of auto, qemu, sim, not "xen"',
    'PEERS must be host:port or unix:/path, not "b"',
  ]);
});

test("the effective values are shown, secrets and passwords in URLs are not", () => {
  const env = { DATABASE_URL: "postgres://me:hunter2@db/x", PEERS: "a:1, b:2", KEY: "hunter3" };

  expect(showConfig(VARIABLES, env, { NAME: "box" })).toBe(
    [
      "LISTEN=127.0.0.1:7001",
      "DATABASE_URL=postgres://me:********@db/x",
      "GRACE=20s",
      "RETRIES=3",
      "VMM=auto",
      "PEERS=a:1, b:2",
      "NAME=box",
      "KEY=********",
    ].join("\n"),
  );
});

test("the reference has what each variable takes, its default, and what it is for", () => {
  const [listen, url, grace, retries, vmm, peers, name, key] = describeVariables(VARIABLES);

  expect(listen).toEqual({
    name: "LISTEN",
    kind: "host:port or unix:/path",
    default: "127.0.0.1:7001",
    defaultText: undefined,
    isRequired: false,
    isSecret: false,
    description: "Where to serve.",
  });
  expect(url).toMatchObject({ kind: "text", default: undefined, isRequired: true });
  expect(grace).toMatchObject({ kind: "duration, 0s to 1m", default: "20s" });
  expect(retries).toMatchObject({ kind: "0 to 5", default: "3" });
  expect(vmm).toMatchObject({ kind: "one of auto, qemu, sim", default: "auto" });
  expect(peers).toMatchObject({ kind: "list: host:port or unix:/path, ...", default: "" });
  expect(name).toMatchObject({ defaultText: "the host name", isRequired: false });
  expect(key).toMatchObject({ default: undefined, isRequired: false, isSecret: true });
});

describe("schemas", () => {
  test.each<[z.ZodType, string, unknown]>([
    [duration(), "300ms", 300],
    [duration(), "1.5s", 1_500],
    [duration(), "2m", 120_000],
    [duration(), "1h", 3_600_000],
    [duration(), "7d", 604_800_000],
    [integer(-5, 5), "-5", -5],
    [address(), "unix:/run/x.sock", "unix:/run/x.sock"],
    [address(), "[::1]:0", "[::1]:0"],
    [address(), "host.example:65535", "host.example:65535"],
    [flag(), "yes", true],
    [flag(), "0", false],
    [list(text()), "a, b,,c ", ["a", "b", "c"]],
    [list(oneOf(["a", "b"])), "b,a", ["b", "a"]],
    [parsed((raw) => raw.length), "four", 4],
  ])("%# takes %s", (schema, raw, value) => {
    expect(readEnv({ X: raw }, { X: schema })).toEqual({ X: value });
  });

  test.each<[z.ZodType, string]>([
    [integer(0, 9), "1.5"],
    [integer(0, 9), "0x1"],
    [integer(0, 9), " 1"],
    [integer(0, Number.MAX_SAFE_INTEGER), "9007199254740993"],
    [address(), "host:65536"],
    [address(), "::1:80"],
    [address(), "user@host:80"],
    [address(), "unix:"],
    [duration(), "-1s"],
    [duration("1s", "1m"), "61s"],
    [flag(), "maybe"],
    [list(address()), "a:1,b"],
  ])("%# refuses %s", (schema, raw) => {
    expect(() => readEnv({ X: raw }, { X: schema })).toThrow(ConfigError);
  });
});

function caught(fn: () => unknown): unknown {
  try {
    fn();
  } catch (err) {
    return err;
  }
  throw new Error("expected an error");
}
