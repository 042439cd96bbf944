import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Host } from "../../src/gen/windhover/admin/v1/hosts.ts";
import { MachineEvent, MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import type { CreateMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { Fault, invalid } from "../../src/lib/fault.ts";
import { FakeApi, line, step } from "./cli-fake-api.ts";
import { type Home, makeHome } from "./cli-support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const api = new FakeApi();
let home: Home;

beforeAll(async () => {
  await api.start();
  home = await makeHome({ api: api.address });
});
beforeEach(() => api.reset());
afterAll(async () => {
  home.remove();
  await api.stop();
});

describe("hover machine run", () => {
  test("creates what image, command and flags describe, and says what to do next", async () => {
    const ended = await home.hover(
      ...[
        "m",
        "run",
        "nginx",
        "-a",
        "web",
        "-n",
        "front",
        "-e",
        "A=1",
        "-e",
        "B=x=y",
        "-p",
        "8080",
        "-p",
        "53/udp",
      ],
      ...[
        "-m",
        "team=blue",
        "--vm-memory",
        "1gb",
        "--vm-cpus",
        "2",
        "--vm-cpu-kind",
        "performance",
        "--user",
        "www",
      ],
      ...[
        "--entrypoint",
        "/bin/sh -c 'a b'",
        "-s",
        "term",
        "--timeout",
        "1500ms",
        "--",
        "serve",
        "--port",
        "8080",
      ],
    );

    expect(ended.code).toBe(0);
    expect(ended.out).toMatch(/^0000a1b2c3d4e5 started in .*\(warm\)\n {2}name {6}front\n/);
    expect(ended.out).toContain("127.0.0.1:20001 → 8080/tcp");
    expect(ended.err).toContain("hover machine stop 0000a1b2c3d4e5");
    expect(sent<CreateMachineRequest>("createMachine")).toMatchObject({
      app: "web",
      name: "front",
      skipLaunch: false,
      requestId: expect.stringMatching(/^hover-[0-9a-f-]{36}$/),
      config: {
        image: "nginx",
        env: { A: "1", B: "x=y" },
        guest: { cpuKind: "performance", cpus: 2, memoryMb: 1024 },
        init: { entrypoint: ["/bin/sh", "-c", "a b"], cmd: ["serve", "--port", "8080"], user: "www" },
        services: [
          { protocol: "tcp", internalPort: 8080 },
          { protocol: "udp", internalPort: 53 },
        ],
        stopConfig: { signal: "SIGTERM", timeout: { seconds: 1n, nanos: 500_000_000 } },
        metadata: { team: "blue" },
      },
    });
  });

  test("shows steps that failed or took long, on standard error", async () => {
    api.steps = [
      step("resolve", "running"),
      step("resolve", "done"),
      step("prepare", "failed", "layer 2 is cut short"),
    ];
    api.createMs = 300;

    const ended = await home.hover("m", "run", "nginx", "-a", "web");

    expect(ended.err).toContain("making the image local failed after");
    expect(ended.err).not.toContain("resolving");
  });

  test("goes on with the same request id when the api is replaced in the middle", async () => {
    api.createMs = 60_000;
    api.steps = [step("resolve", "running")];
    const running = home.start({}, "m", "run", "nginx", "-a", "web", "--json");
    await expect.poll(() => api.requests.length, { timeout: 10_000 }).toBe(1);
    await expect.poll(() => api.requests.length === 1 && running.child.exitCode === null).toBe(true);
    await api.stop();
    api.createMs = 0;
    await api.start();

    const ended = await running.ended;

    expect([ended.code, ended.err]).toEqual([0, ""]);
    expect(JSON.parse(ended.out)).toMatchObject({ id: ID, machine: { state: "started" } });
    const ids = api.requests.map((r) => (r.request as CreateMachineRequest).requestId);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });

  test("interrupted, says that the create goes on and how to wait for it", async () => {
    api.createMs = 60_000;
    const running = home.start({}, "m", "run", "nginx", "-a", "web");
    await expect.poll(() => api.requests.length, { timeout: 10_000 }).toBe(1);

    running.child.kill("SIGINT");
    const ended = await running.ended;

    expect([ended.code, ended.out]).toEqual([130, ""]);
    expect(ended.err).toContain(
      "Interrupted; the create itself goes on. To see it: hover machine list -a web",
    );
    expect(ended.err).toContain(`--request-id ${sent<CreateMachineRequest>("createMachine").requestId}`);
  });

  test("takes a whole configuration from a file, and flags win over it", async () => {
    const file = join(home.dir, "machine.json");
    const config = {
      image: "redis:7",
      env: { A: "file", B: "file" },
      guest: { memory_mb: 512 },
      stop_config: { timeout: "2s" },
    };
    writeFileSync(file, JSON.stringify(config));

    const ended = await home.hoverWith(
      { WINDHOVER_APP: "web" },
      "machine",
      "create",
      "-c",
      file,
      "-e",
      "A=flag",
    );

    expect(ended.code).toBe(0);
    expect(sent<CreateMachineRequest>("createMachine")).toMatchObject({
      skipLaunch: true,
      config: {
        image: "redis:7",
        env: { A: "flag", B: "file" },
        guest: { memoryMb: 512 },
        stopConfig: { timeout: { seconds: 2n, nanos: 0 } },
      },
    });
  });

  test("what status prints as config can be given to --config", async () => {
    api.add({ id: OTHER });
    const status = await home.hover("m", "status", OTHER, "--json");
    const file = join(home.dir, "again.json");
    writeFileSync(file, JSON.stringify(JSON.parse(status.out).config));

    await home.hover("m", "create", "-a", "web", "-c", file);

    expect(sent<CreateMachineRequest>("createMachine").config).toEqual(api.machines.get(OTHER)?.config);
  });

  test("a program that ends at once with a failure is a failure", async () => {
    api.add({ id: OTHER });
    const exit = { exitCode: 3, signal: "", oomKilled: false, requestedStop: false, exitTime: undefined };
    const event = { ...MachineEvent.create(), type: "exit", status: MachineState.STOPPED, exit };
    api.failures.set(
      "startMachine",
      new Fault("FAILED_PRECONDITION", "EXEC_FAILED", "/bin/nope: no such file"),
    );

    const start = await home.hover("m", "start", OTHER);
    api.add({ id: OTHER, state: MachineState.STOPPED, events: [event] });
    const status = await home.hover("m", "status", OTHER);

    expect([start.code, start.out]).toEqual([1, ""]);
    expect(start.err).toBe(
      `Error: /bin/nope: no such file (EXEC_FAILED)\nNext: hover machine logs ${OTHER}\n`,
    );
    expect(status.out).toMatch(/exit\s+stopped\s+.*exit code 3/);
  });
});

describe("what was typed wrong: exit code 2, and nothing is sent", () => {
  const cases: [string, string[], RegExp][] = [
    ["no app", ["m", "run", "nginx"], /Which app\?.*\nHelp: hover machine run --help\n$/s],
    ["no image", ["m", "run", "-a", "web"], /Which image\?/],
    ["no machine", ["m", "start"], /missing required argument 'machine'\n+Help: hover machine start --help/],
    ["an unknown command", ["m", "strat"], /unknown command 'strat'\n\(Did you mean start\?\)/],
    ["an unknown flag", ["m", "run", "nginx", "-a", "w", "-g", "x"], /unknown option '-g'\n.*go after --/s],
    [
      "a port outside",
      ["m", "run", "nginx", "-a", "w", "-p", "80:8080"],
      /write the guest's port only, -p 8080/,
    ],
    ["a variable without a value", ["m", "run", "nginx", "-a", "w", "-e", "X"], /Write NAME=VALUE, not "X"/],
    ["an unknown state", ["m", "wait", ID, "--state", "up"], /There is no state "up"; states are creating/],
    ["a quota of nothing", ["org", "set-quota", "acme"], /--machines N, --memory 64gb, or both/],
  ];
  test.each(cases)("%s", async (_name, args, message) => {
    const ended = await home.hover(...args);

    expect([ended.code, ended.out]).toEqual([2, ""]);
    expect(ended.err).toMatch(message);
    expect(api.requests).toEqual([]);
  });

  test("a configuration file with several mistakes names them all", async () => {
    const file = join(home.dir, "bad.json");
    writeFileSync(
      file,
      JSON.stringify({
        image: 7,
        guest: { memory: 512 },
        services: [{ port: 80 }],
        stop_config: { timeout: "soon" },
      }),
    );

    const ended = await home.hover("m", "run", "-a", "web", "-c", file);

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
    api.failures.set("createMachine", invalid(violations));

    const ended = await home.hover("m", "run", "nginx", "-a", "web");

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
    api.failures.set(method, new Fault("FAILED_PRECONDITION", reason, "no"));

    const ended = await home.hover(...args);

    expect([ended.code, ended.err]).toEqual([1, `Error: no (${reason})\nNext: ${next}\n`]);
  });

  test("with --json are one object on standard error", async () => {
    const fault = new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room", {
      largest_memory_mb: "512",
    });
    api.failures.set("createMachine", fault);

    const ended = await home.hover("m", "run", "nginx", "-a", "web", "--json");

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

  test("an api that is not there is said to be so at once, with the address and where it came from", async () => {
    const begun = performance.now();
    const ended = await home.hover("m", "run", "nginx", "-a", "web", "--api", "127.0.0.1:1");

    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(
      /127\.0\.0\.1:1 cannot be reached \(PEER_UNAVAILABLE\)\n.*came from --api\nNext: npm run up/,
    );
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test("a missing and a wrong token say where they were looked for", async () => {
    const empty = await home.hoverWith({ WINDHOVER_DIR: join(home.dir, "nowhere") }, "m", "ls");
    const wrong = await home.hoverWith({ WINDHOVER_TOKEN: "nonsense" }, "m", "ls");

    expect(empty.err).toContain(
      `WINDHOVER_TOKEN (nothing there), ${join(home.dir, "nowhere/token")} (nothing there)`,
    );
    expect(wrong.err).toMatch(/\(TOKEN_INVALID\)\n {2}the token was looked for in WINDHOVER_TOKEN \(used\)/);
    expect([empty.code, wrong.code]).toEqual([1, 1]);
  });
});

describe("hover machine list and status", () => {
  test("lists all pages as a table, as ids and as JSON", async () => {
    for (const end of ["1", "2", "3", "4", "5"]) api.add({ id: `0000a00000000${end}` });

    const [table, quiet, json] = [
      await home.hover("m", "ls"),
      await home.hover("m", "ls", "-q"),
      await home.hover("m", "ls", "-j"),
    ];

    const lines = table.out.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^ID +NAME +STATE +APP +REGION +HOST +IMAGE +ADDRESS +CREATED$/);
    expect(lines[5]).toMatch(/^0000a000000005 {2}m-05 {2}stopped {2}web .* 1h ago$/);
    expect(quiet.out).toBe([1, 2, 3, 4, 5].map((i) => `0000a00000000${i}\n`).join(""));
    expect(JSON.parse(json.out)).toHaveLength(5);
  });

  test("a machine's JSON has every field, numbers as numbers, states as words, keys of env as they are", async () => {
    api.add({ id: ID, createTime: new Date(1e12) });

    const { out } = await home.hover("m", "status", ID, "--json");

    expect(JSON.parse(out)).toEqual({
      id: ID,
      name: "m-e5",
      state: "stopped",
      generation: 7,
      app: "web",
      org: "acme",
      region: "ord",
      host: "ord-1",
      config: {
        image: "127.0.0.1:5000/hello:1",
        guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
        env: { MixedCase_KEY: "v" },
        init: null,
        services: [{ protocol: "tcp", internal_port: 8080 }],
        stop_config: { signal: "SIGTERM", timeout: "2.5s" },
        metadata: {},
      },
      image_ref: null,
      create_time: "2001-09-09T01:46:40.000Z",
      update_time: null,
      events: [],
      service_addresses: [],
      host_status: "ok",
      last_start_way: null,
      last_start_trace_id: null,
      create_trace_id: null,
    });
  });

  test("a state newer than this program is shown as such", async () => {
    api.add({ id: ID, state: 42 as MachineState });

    const { code, out } = await home.hover("m", "ls");

    expect(code).toBe(0);
    expect(out).toContain("unknown_42");
  });

  test("a reader that has had enough is no error", async () => {
    for (let i = 0; i < 2_000; i++) api.add({ id: i.toString(16).padStart(14, "0") });
    const running = home.start({}, "m", "ls", "-q");
    running.child.stdout?.once("data", () => running.child.stdout?.destroy());

    const ended = await running.ended;

    expect([ended.code, ended.err]).toEqual([0, ""]);
  });

  test("control characters from elsewhere do not reach the screen", async () => {
    api.add({ id: ID, name: "evil\x1b[2Jname\x07" });

    const { out } = await home.hover("m", "ls");

    expect(out).toContain("evilname");
    expect(out).not.toContain("\x1b");
  });
});

describe("hover machine start, stop, destroy", () => {
  test("start tells way and time; a second start says that it was started", async () => {
    api.add({ id: ID });

    const first = await home.hover("m", "start", ID);
    const second = await home.hover("m", "start", ID);

    expect(first.out).toMatch(/^0000a1b2c3d4e5 started in [\d.]+ m?s \(warm\)\n$/);
    expect(second.out).toBe(`${ID} was started already\n`);
    expect([first.code, second.code]).toEqual([0, 0]);
  });

  test("a call carries the trace that the result names", async () => {
    api.add({ id: ID });

    const { out } = await home.hover("m", "start", ID, "--json");

    const [result] = JSON.parse(out);
    expect(result).toMatchObject({
      id: ID,
      previous_state: "stopped",
      already_started: false,
      way: "warm",
      machine: { state: "started" },
    });
    expect(api.requests[0]?.traceparent).toMatch(new RegExp(`^00-${result.trace_id}-[0-9a-f]{16}-01$`));
  });

  test("one failure of several keeps none of the others from being done", async () => {
    api.add({ id: ID });
    api.add({ id: OTHER });

    const text = await home.hover("m", "start", ID, "0000ffffffffff", OTHER);
    const json = await home.hover("m", "stop", ID, "0000ffffffffff", OTHER, "-j");

    expect(text.code).toBe(1);
    expect(text.out.match(/started in/g)).toHaveLength(2);
    expect(text.err).toMatch(
      /^0000ffffffffff: Error: there is no machine 0000ffffffffff \(MACHINE_NOT_FOUND\)/,
    );
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject([
      { id: ID, machine: { state: "stopped" }, already_stopped: false },
      { id: "0000ffffffffff", error: { reason: "MACHINE_NOT_FOUND" } },
      { id: OTHER, machine: { state: "stopped" } },
    ]);
  });

  test("machines may be given by name; a name that fits several is refused", async () => {
    api.add({ id: ID, name: "front" });
    api.add({ id: OTHER, name: "twin" });
    api.add({ id: "0000a1b2c3d4e7", name: "twin", app: "shop" });

    const front = await home.hover("m", "stop", "front");
    const twin = await home.hover("m", "stop", "twin");
    const chosen = await home.hover("m", "stop", "twin", "-a", "shop");

    expect(front.out).toMatch(/^0000a1b2c3d4e5 /);
    expect([twin.code, chosen.code]).toEqual([1, 0]);
    expect(twin.err).toMatch(
      /Several machines are called twin.*0000a1b2c3d4e6 {2}app web\n {2}0000a1b2c3d4e7 {2}app shop/s,
    );
  });

  test("destroy needs force for a running machine, and says so", async () => {
    api.add({ id: ID, state: MachineState.STARTED });

    const refused = await home.hover("m", "rm", ID);
    const forced = await home.hover("m", "rm", "-f", ID);

    expect(refused.err).toContain(`Next: hover machine destroy --force ${ID}`);
    expect([refused.code, forced.code, forced.out]).toEqual([1, 0, `${ID} destroyed\n`]);
  });

  test("stop sends signal and grace", async () => {
    api.add({ id: ID, state: MachineState.STARTED });

    const { out } = await home.hover("m", "stop", ID, "-s", "kill", "--timeout", "3");

    expect(out).toMatch(/stopped in .*: exit code 0, as asked/);
    expect(sent("stopMachine")).toMatchObject({ signal: "SIGKILL", timeout: { seconds: 3n } });
  });
});

describe("hover machine logs", () => {
  test("puts each stream where it belongs, tail and JSON included", async () => {
    api.add({ id: ID });
    api.logs.push(line(1, "one"), line(2, "oops", "stderr"), line(3, "three"));

    const all = await home.hover("m", "logs", ID);
    const tail = await home.hover("m", "logs", ID, "-n", "1", "--json");

    expect([all.code, all.out, all.err]).toEqual([0, "one\nthree\n", "oops\n"]);
    expect(JSON.parse(tail.out)).toEqual({
      time: "2023-11-14T22:13:20.003Z",
      stream: "stdout",
      text: "three",
      sequence: 3,
    });
  });

  test("follow ends with Ctrl-C, quietly", async () => {
    api.add({ id: ID });
    api.logs.push(line(1, "one"));
    const running = home.start({}, "m", "logs", "-f", ID);
    await expect.poll(running.out, { timeout: 10_000 }).toBe("one\n");

    running.child.kill("SIGINT");

    expect(await running.ended).toEqual({ code: 130, out: "one\n", err: "" });
  });
});

describe("operators", () => {
  test("organisations: created, shown, put past due, given a quota that keeps its other half", async () => {
    await home.hover("org", "create", "acme", "--machines", "5");
    await home.hover("org", "set-standing", "acme", "past-due");
    await home.hover("org", "set-quota", "acme", "--memory", "1gb");

    const { out } = await home.hover("org", "show", "acme", "--json");
    const list = await home.hover("org", "list");

    expect(JSON.parse(out)).toEqual({
      slug: "acme",
      name: "acme",
      standing: "past_due",
      quota: { machines: 5, memory_mb: 1024 },
      machines_used: 2,
      memory_mb_used: 512,
      create_time: "2001-09-09T01:46:40.000Z",
    });
    expect(list.out).toMatch(/acme +acme +past_due +2 of 5 +512 MB of 1 GB/);
  });

  test("a token goes to standard output alone", async () => {
    const ended = await home.hover(
      "token",
      "create",
      "-o",
      "acme",
      "-s",
      "machines:read,admin",
      "--ttl",
      "2h",
    );

    expect(ended.out).toBe("token-of-acme\n");
    expect(ended.err).toMatch(/ends in (?:1|2)h/);
    expect(sent("createToken")).toEqual({
      org: "acme",
      scopes: ["machines:read", "admin"],
      ttlSeconds: 7200n,
    });
  });

  test("hosts show what is taken, held and what their isolation is worth", async () => {
    api.hosts = [host()];

    const table = await home.hover("host", "list");
    const json = await home.hover("host", "ls", "--json");

    expect(table.out).toMatch(
      /ord-1 +ord +ord-a +yes +2 of 8 +512 MB of 4 GB +1 GB of 10 GB +1 CPU, 256 MB +1 started, 2 stopped +qemu 7\.2 emulation +development/,
    );
    expect(table.err).toContain("nothing keeps those apart");
    expect(JSON.parse(json.out)[0]).toMatchObject({
      number: 1,
      attached: true,
      capacity: { memory_mb: 4096 },
      machines: { started: 1 },
    });
  });

  test("apps: created, listed, and not destroyed with machines in them unless forced", async () => {
    await home.hover("app", "create", "web");
    api.apps.set("web", { name: "web", org: "acme", createTime: undefined, machineCount: 3 });

    const list = await home.hover("apps", "ls", "-q");
    const refused = await home.hover("app", "destroy", "web");
    const forced = await home.hover("app", "rm", "web", "--force", "-j");

    expect(list.out).toBe("web\n");
    expect([refused.code, refused.err]).toEqual([
      1,
      "Error: the app has machines (APP_NOT_EMPTY)\nNext: hover app destroy web --force\n",
    ]);
    expect(JSON.parse(forced.out)).toEqual({ name: "web", machines_destroyed: 3 });
  });
});

test("help is on standard output with exit code 0, for every command", async () => {
  const commands = [
    [],
    ["machine"],
    ["app"],
    ["org"],
    ["token"],
    ["host"],
    ["trace"],
    ["doctor"],
    ["m", "run"],
    ["m", "logs"],
  ];
  for (const command of commands) {
    const { code, out, err } = await home.hover(...command, "--help");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^Usage: hover/);
  }
});

function sent<T = unknown>(method: string): T {
  const found = api.requests.findLast((request) => request.method === method);
  // Requests are kept as they came.
  return found?.request as T;
}

function host(): Host {
  const amount = (cpus: number, memory: bigint, disk: bigint) => ({ cpus, memoryMb: memory, diskMb: disk });
  return {
    ...{ number: 1, name: "ord-1", region: "ord", zone: "ord-a", address: "127.0.0.1:7100", attached: true },
    ...{ attachTime: new Date(), lastSeenTime: new Date(), vmm: "qemu 7.2", acceleration: "emulation" },
    ...{ isolation: "development", vmmReason: "no /dev/kvm", statusMessage: "" },
    capacity: amount(8, 4096n, 10_240n),
    held: amount(1, 256n, 0n),
    allocated: amount(2, 512n, 1_024n),
    running: amount(1, 256n, 0n),
    machines: { started: 1, stopped: 2 },
  };
}
