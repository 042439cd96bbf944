import { describe, expect, test } from "vitest";
import {
  address,
  ConfigError,
  duration,
  flag,
  integer,
  list,
  oneOf,
  optional,
  type Reader,
  readEnv,
  secret,
  showConfig,
  text,
} from "./config.ts";

const SPEC = {
  LISTEN: address("127.0.0.1:7001"),
  DATABASE_URL: text(),
  GRACE: duration("20s"),
  RETRIES: integer(0, 5, 3),
  VMM: oneOf(["auto", "qemu", "sim"], "auto"),
  PEERS: list(address(), []),
  KEY: optional(secret(text())),
};

test("what is unset or empty takes its default, in the reader's own unit", () => {
  const config = readEnv({ DATABASE_URL: "postgres:///x", LISTEN: "", RETRIES: "5" }, SPEC);

  expect(config).toEqual({
    LISTEN: "127.0.0.1:7001",
    DATABASE_URL: "postgres:///x",
    GRACE: 20_000,
    RETRIES: 5,
    VMM: "auto",
    PEERS: [],
    KEY: undefined,
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test("everything that is wrong is said at once, each with its variable", () => {
  const env = { LISTEN: "7001", GRACE: "20", RETRIES: "6", VMM: "xen", PEERS: "a:1,b" };

  const error = caught(() => readEnv(env, SPEC));

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
  const config = readEnv(
    { DATABASE_URL: "postgres://me:hunter2@db/x", PEERS: "a:1, b:2", KEY: "hunter3" },
    SPEC,
  );

  expect(showConfig(SPEC, config)).toBe(
    [
      "LISTEN=127.0.0.1:7001",
      "DATABASE_URL=postgres://me:********@db/x",
      "GRACE=20000",
      "RETRIES=3",
      "VMM=auto",
      "PEERS=a:1,b:2",
      "KEY=********",
    ].join("\n"),
  );
});

describe("readers", () => {
  test.each<[Reader<unknown>, string, unknown]>([
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
    [list(), "a, b,,c ", ["a", "b", "c"]],
    [list(integer(0, 9)), "1,2", [1, 2]],
  ])("%# takes %s", (reader, raw, value) => {
    expect(readEnv({ X: raw }, { X: reader })).toEqual({ X: value });
  });

  test.each<[Reader<unknown>, string]>([
    [integer(0, 9), "1.5"],
    [integer(0, 9), "0x1"],
    [integer(0, 9), " 1"],
    [integer(0, Number.MAX_SAFE_INTEGER), "9007199254740993"],
    [address(), "host:65536"],
    [address(), "::1:80"],
    [address(), "user@host:80"],
    [address(), "unix:"],
    [duration(), "-1s"],
    [flag(), "maybe"],
  ])("%# refuses %s", (reader, raw) => {
    expect(() => readEnv({ X: raw }, { X: reader })).toThrow(ConfigError);
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
