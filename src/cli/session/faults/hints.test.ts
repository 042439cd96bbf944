import { describe, expect, test } from "vitest";
import { Fault } from "../../../lib/faults/fault.ts";
import { reportError } from "../report.ts";
import type { Settings } from "../settings.ts";
import { paint } from "../terminal.ts";
import { flagOf, nextSteps, remarks } from "./hints.ts";

const settings: Settings = {
  root: "/src/windhover",
  guestDir: "",
  dir: "/data",
  api: { value: "127.0.0.1:7070", from: "the default" },
  traces: { value: "127.0.0.1:4318", from: "the default" },
  console: { value: "http://127.0.0.1:7090", from: "the default" },
  registry: { value: "127.0.0.1:5000", from: "the default" },
  rest: { value: "http://127.0.0.1:7080", from: "the default" },
  tokenPlaces: [
    { place: "WINDHOVER_TOKEN", token: undefined },
    { place: "/data/token", token: "x" },
  ],
};

describe("the next command", () => {
  test.each([
    ["APP_NOT_FOUND", { app: "web" }, ["hover app create web"]],
    ["MACHINE_RUNNING", { machine: "0000a1b2c3d4e5" }, ["hover machine destroy --force 0000a1b2c3d4e5"]],
    ["NO_CAPACITY", {}, ["hover host list"]],
    ["NO_HOSTS", {}, ["hover doctor"]],
    ["DISK_FULL", {}, ["hover doctor"]],
    ["PEER_UNAVAILABLE", {}, ["hover doctor"]],
    ["AUTO_DESTROY", { machine: "0000a1b2c3d4e5" }, ["hover machine clone 0000a1b2c3d4e5"]],
    ["REPLACED", { machine: "0000a1b2c3d4e5" }, ["hover machine versions 0000a1b2c3d4e5"]],
    ["RECEIVER_UNAVAILABLE", {}, ["hover doctor"]],
    ["DATABASE_TIMEOUT", {}, ["hover doctor"]],
    ["KEY_UNKNOWN", {}, ["hover key list"]],
    ["TOO_MANY_EXECS", { machine: "0000a1b2c3d4e5" }, ["hover machine ps 0000a1b2c3d4e5"]],
    ["SOMETHING_NEW", {}, []],
  ])("after %s", (reason, subject, next) => {
    expect(nextSteps(fault(reason), subject, settings)).toEqual(next);
  });

  test("brings the fleet up when it is the API that does not answer", () => {
    const unreachable = fault("PEER_UNAVAILABLE", { address: "127.0.0.1:7070" });

    expect(nextSteps(unreachable, {}, settings)).toEqual([
      "npm run up   (in /src/windhover)",
      "hover doctor",
    ]);
    expect(remarks(unreachable, settings)).toEqual(["the API's address came from the default"]);
  });

  test("tells a key that signs from the key of an acquire", () => {
    const [signs, acquires] = (["FAILED_PRECONDITION", "ABORTED"] as const).map((code) =>
      nextSteps(new Fault(code, "KEY_IN_USE", "it is in use"), {}, settings),
    );

    expect(signs).toEqual(["hover key list"]);
    expect(acquires).toEqual([expect.stringContaining("same command again")]);
  });

  test.each([
    [{ machine: "ID", of: "start" }, "hover machine start ID"],
    [{ machine: "ID", of: "create" }, "hover trace ID"],
    [{ trace: "0af7651916cd43dd8448eb211c80319c" }, "hover machine list"],
  ])("leads to a trace that there is: %j", (facts, next) => {
    expect(nextSteps(fault("TRACE_NOT_FOUND", facts), {}, settings)).toEqual([next]);
  });

  test("names the subject of the fault when the command does not know it", () => {
    expect(nextSteps(fault("APP_NOT_FOUND", { app: "shop" }), {}, settings)).toEqual([
      "hover app create shop",
    ]);
  });
});

test("a refused token is reported with its place", () => {
  expect(remarks(fault("TOKEN_EXPIRED"), settings)).toEqual([
    "the token was looked for in WINDHOVER_TOKEN (nothing there), /data/token (used)",
  ]);
});

test.each([
  ["config.guest.memory_mb", "--vm-memory"],
  ['config.env["A"]', "-e"],
  ["config.services[3].internal_port", "-p"],
  ["config.init.exec", undefined],
  ["page_size", undefined],
])("the field %s is set by %s", (field, flag) => {
  expect(flagOf(field)).toBe(flag);
});

test("a bug of this program is reported with its place", () => {
  const { exitCode, lines } = reportError(new TypeError("x is not a function"), {}, settings, paint(false));

  expect(exitCode).toBe(1);
  expect(lines[0]).toMatch(/^Error: hover itself failed: TypeError: x is not a function .*\(HOVER_BUG\)$/);
});

function fault(reason: string, facts: Record<string, string> = {}): Fault {
  return new Fault("FAILED_PRECONDITION", reason, "no", facts);
}
