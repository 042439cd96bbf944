import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Fault, invalid } from "../../../src/lib/faults/fault.ts";
import { useCli } from "./support.ts";

const ID = "0000a1b2c3d4e5";
const cli = useCli();

describe("what was typed wrong: exit code 2, and nothing is sent", () => {
  const cases: [string, string[], RegExp][] = [
    ["no app", ["m", "run", "nginx"], /Which app\?.*\nHelp: hover machine run --help\n$/s],
    ["no image", ["m", "run", "-a", "web"], /Which image\?/],
    [
      "no command",
      ["m", "exec", ID],
      /missing required argument 'command'\n+.*Help: hover machine exec --help/s,
    ],
    ["no machine", ["m", "start"], /missing required argument 'machine'\n+Help: hover machine start --help/],
    ["an unknown command", ["m", "strat"], /unknown command 'strat'\n\(Did you mean start\?\)/],
    ["an unknown flag", ["m", "run", "nginx", "-a", "w", "-g", "x"], /unknown option '-g'\n.*go after --/s],
    [
      "a flag of the program that hover has too",
      ["m", "run", "busybox", "-a", "w", "-c", "echo hi"],
      /echo hi cannot be read.*go after --/s,
    ],
    ["a value that is none", ["m", "run", "nginx", "-a", "w", "-e", "PATH"], /NAME=VALUE.*go after --/s],
    [
      "an app behind the program's first word",
      ["m", "run", "nginx", "echo", "-a", "w"],
      /Which app\?.*\(-a stands behind .*go after --/s,
    ],
    ["a variable without a value", ["m", "run", "nginx", "-a", "w", "-e", "X"], /Write NAME=VALUE, not "X"/],
    ["an unknown state", ["m", "wait", ID, "--state", "up"], /There is no state "up"; states are creating/],
    ["a quota of nothing", ["org", "set-quota", "acme"], /--machines N, --memory 64gb, --images 2tb, --rate/],
  ];
  test.each(cases)("%s", async (_name, args, message) => {
    const ended = await cli.home.within(...args);

    expect([ended.code, ended.out]).toEqual([2, ""]);
    expect(ended.err).toMatch(message);
    expect(cli.api.requests).toEqual([]);
  });

  test("a configuration file with several mistakes names them all", async () => {
    const file = join(cli.home.dir, "bad.json");
    writeFileSync(
      file,
      JSON.stringify({
        image: 7,
        guest: { memory: 512 },
        services: [{ port: 80 }],
        stop_config: { timeout: "soon" },
      }),
    );

    const ended = await cli.home.within("m", "run", "-a", "web", "-c", file);

    expect(ended.code).toBe(2);
    for (const problem of [
      "image: must be a text",
      "guest.memory: is not known",
      "services[0].port: is not known",
      "stop_config.timeout: must be a length of time",
    ]) {
      expect(ended.err).toContain(problem);
    }
  });
});

describe("errors of the api", () => {
  test("name every field with its flag, and exit with 1", async () => {
    const violations = [
      { field: "config.guest.memory_mb", description: "must be a multiple of 256" },
      { field: 'config.env["9x"]', description: "must begin with a letter" },
    ];
    cli.api.failures.set("createMachine", invalid(violations));

    const ended = await cli.home.within("m", "run", "nginx", "-a", "web");

    expect(ended.code).toBe(1);
    expect(ended.err).toBe(
      "Error: 2 fields are not valid (INVALID_FIELDS)\n" +
        "  - config.guest.memory_mb (--vm-memory): must be a multiple of 256\n" +
        '  - config.env["9x"] (-e): must begin with a letter\n',
    );
  });

  test.each([
    ["NO_CAPACITY", ["m", "run", "nginx", "-a", "web"], "createMachine", "hover host list"],
    ["APP_NOT_FOUND", ["m", "run", "nginx", "-a", "web"], "createMachine", "hover app create web"],
    ["MACHINE_NAME_TAKEN", ["m", "run", "nginx", "-a", "web"], "createMachine", "hover machine list -a web"],
    ["DATABASE_UNAVAILABLE", ["m", "ls"], "listMachines", "hover doctor"],
    ["STATE_UNREACHABLE", ["m", "wait", ID], "waitMachine", `hover machine status ${ID}`],
  ])("%s comes with the next command", async (reason, args, method, next) => {
    cli.api.failures.set(method, new Fault("FAILED_PRECONDITION", reason, "no"));

    const ended = await cli.home.within(...args);

    expect([ended.code, ended.err]).toEqual([1, `Error: no (${reason})\nNext: ${next}\n`]);
  });

  test("with --json are one object on standard error", async () => {
    const fault = new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room", {
      largest_memory_mb: "512",
    });
    cli.api.failures.set("createMachine", fault);

    const ended = await cli.home.within("m", "run", "nginx", "-a", "web", "--json");

    expect([ended.code, ended.out]).toEqual([1, ""]);
    expect(JSON.parse(ended.err)).toEqual({
      error: {
        code: "RESOURCE_EXHAUSTED",
        reason: "NO_CAPACITY",
        message: "no host has room",
        facts: { largest_memory_mb: "512" },
        violations: [],
        next: ["hover host list"],
      },
    });
  });

  test("an unreachable API is reported at once, with its address and where that came from", {
    timeout: 55_000,
  }, async () => {
    // Not after the minute for which it looks for an api that has gone in the middle: this test has
    // less.
    const ended = await cli.home.within("m", "run", "nginx", "-a", "web", "--api", "127.0.0.1:1");

    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(
      /127\.0\.0\.1:1 cannot be reached \(PEER_UNAVAILABLE\)\n.*came from --api\nNext: npm run up/,
    );
  });

  test("a missing and a wrong token say where they were looked for", async () => {
    const empty = await cli.home.hoverWith({ WINDHOVER_DIR: join(cli.home.dir, "nowhere") }, "m", "ls");
    const wrong = await cli.home.hoverWith({ WINDHOVER_TOKEN: "nonsense" }, "m", "ls");

    expect(empty.err).toContain(
      `WINDHOVER_TOKEN (nothing there), ${join(cli.home.dir, "nowhere/token")} (nothing there)`,
    );
    expect(wrong.err).toMatch(/\(TOKEN_INVALID\)\n {2}the token was looked for in WINDHOVER_TOKEN \(used\)/);
    expect([empty.code, wrong.code]).toEqual([1, 1]);
  });
});
