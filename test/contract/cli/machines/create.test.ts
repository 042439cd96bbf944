import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MachineEvent, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { CreateMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { mapToProto } from "../../../../src/lib/grpc/messages/maps.ts";
import { step } from "../fakes/fake-api.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const cli = useCli();

describe("hover machine run", () => {
  const RUN = ["m", "run"];
  test.each([
    [
      [...RUN, "nginx", "-a", "x", "echo", "-n", "hi"],
      ["echo", "-n", "hi"],
    ],
    [
      [...RUN, "-a", "x", "nginx", "ls", "--version", "-V", "--help"],
      ["ls", "--version", "-V", "--help"],
    ],
    [
      [...RUN, "-a", "x", "nginx", "--", "-n", "hi"],
      ["-n", "hi"],
    ],
    [
      ["machine", "create", "nginx", "-a", "x", "echo", "--json", "-c", "f"],
      ["echo", "--json", "-c", "f"],
    ],
    [
      [...RUN, "-a", "x", "nginx", "sh", "-c", "echo $0", "--", "-a"],
      ["sh", "-c", "echo $0", "--", "-a"],
    ],
  ])("leaves what follows the image to the program: hover %j", async (args, cmd) => {
    const ended = await cli.home.hover(...args);

    expect([ended.code, ended.err]).toEqual([0, expect.not.stringContaining("Error")]);
    const request = cli.api.requests[0]?.request;
    expect(request).toMatchObject({ app: "x", name: "", config: { image: "nginx", init: { cmd } } });
  });

  test("keeps __proto__ and its like as names, from flags and from a file", async () => {
    const file = join(cli.home.dir, "names.json");
    writeFileSync(file, '{"env":{"__proto__":"a","constructor":"b"},"metadata":{"__proto__":"c"}}');
    const ended = await cli.home.hover(
      ...["m", "run", "nginx", "-a", "web", "-c", file],
      ...["-e", "toString=d", "-e", "hasOwnProperty=e", "-m", "constructor=f"],
      ...["--host-label", "__proto__=g"],
    );

    expect([ended.code, ended.err]).toEqual([0, expect.not.stringContaining("Error")]);
    const request = cli.api.requests[0]?.request as CreateMachineRequest;
    expect(Object.fromEntries(request.config?.env ?? [])).toEqual(
      JSON.parse('{"__proto__":"a","constructor":"b","toString":"d","hasOwnProperty":"e"}'),
    );
    expect([...(request.config?.metadata ?? [])]).toEqual([
      ["__proto__", "c"],
      ["constructor", "f"],
    ]);
    expect([...(request.placement?.hostLabels ?? [])]).toEqual([["__proto__", "g"]]);

    const both = await cli.home.hover("m", "run", "nginx", "-a", "web", "-e", "__proto__=1", "-e", "A=2");
    expect(both.code).toBe(0);
    const second = cli.api.requests[1]?.request as CreateMachineRequest;
    expect([...(second.config?.env ?? [])]).toEqual([
      ["__proto__", "1"],
      ["A", "2"],
    ]);
  });

  test("takes its own flags behind the image, before the first word of the program", async () => {
    const ended = await cli.home.hover("m", "run", "nginx", "-a", "x", "--json", "sleep", "1");

    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.out)).toMatchObject({ repeated: false });
  });

  test("creates what image, command and flags describe, and says what to do next", async () => {
    const ended = await cli.home.hover(
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
    expect(cli.sent<CreateMachineRequest>("createMachine")).toMatchObject({
      app: "web",
      name: "front",
      skipLaunch: false,
      requestId: expect.stringMatching(/^hover-[0-9a-f-]{36}$/),
      config: {
        image: "nginx",
        env: mapToProto({ A: "1", B: "x=y" }),
        guest: { cpuKind: "performance", cpus: 2, memoryMb: 1024 },
        init: { entrypoint: ["/bin/sh", "-c", "a b"], cmd: ["serve", "--port", "8080"], user: "www" },
        services: [
          { protocol: "tcp", internalPort: 8080 },
          { protocol: "udp", internalPort: 53 },
        ],
        stopConfig: { signal: "SIGTERM", timeout: { seconds: 1n, nanos: 500_000_000 } },
        metadata: mapToProto({ team: "blue" }),
      },
    });
  });

  test("shows steps that failed or took long, on standard error", async () => {
    cli.api.steps = [
      step("resolve", "running"),
      step("resolve", "done"),
      step("prepare", "failed", "layer 2 is cut short"),
    ];
    cli.api.endsCreatesWhenWatched = true;

    const ended = await cli.home.hover("m", "run", "nginx", "-a", "web");

    expect(ended.err).toContain("preparing the image failed after");
    expect(ended.err).not.toContain("resolving");
  });

  test("goes on with the same request id when the api is replaced in the middle", async () => {
    cli.api.createMs = 60_000;
    cli.api.steps = [step("resolve", "running")];
    const running = cli.home.start({}, "m", "run", "nginx", "-a", "web", "--json");
    await expect.poll(() => cli.api.requests.length).toBe(1);
    await expect.poll(() => cli.api.requests.length === 1 && running.child.exitCode === null).toBe(true);
    await cli.api.stop();
    cli.api.createMs = 0;
    await cli.api.start();

    const ended = await running.ended;

    expect([ended.code, ended.err]).toEqual([0, ""]);
    expect(JSON.parse(ended.out)).toMatchObject({ id: ID, machine: { state: "started" } });
    const ids = cli.api.requests.map((r) => (r.request as CreateMachineRequest).requestId);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });

  test("interrupted, says that the create goes on and how to wait for it", async () => {
    cli.api.createMs = 60_000;
    const running = cli.home.start({}, "m", "run", "nginx", "-a", "web");
    await expect.poll(() => cli.api.requests.length).toBe(1);

    running.child.kill("SIGINT");
    const ended = await running.ended;

    expect([ended.code, ended.out]).toEqual([130, ""]);
    expect(ended.err).toContain(
      "Interrupted; the create itself goes on. To see it: hover machine list -a web",
    );
    expect(ended.err).toContain(`--request-id ${cli.sent<CreateMachineRequest>("createMachine").requestId}`);
  });

  test("takes a whole configuration from a file, and flags win over it", async () => {
    const file = join(cli.home.dir, "machine.json");
    const config = {
      image: "redis:7",
      env: { A: "file", B: "file" },
      guest: { memory_mb: 512 },
      stop_config: { timeout: "2s" },
    };
    writeFileSync(file, JSON.stringify(config));

    const ended = await cli.home.hoverWith(
      { WINDHOVER_APP: "web" },
      "machine",
      "create",
      "-c",
      file,
      "-e",
      "A=flag",
    );

    expect(ended.code).toBe(0);
    expect(cli.sent<CreateMachineRequest>("createMachine")).toMatchObject({
      skipLaunch: true,
      config: {
        image: "redis:7",
        env: mapToProto({ A: "flag", B: "file" }),
        guest: { memoryMb: 512 },
        stopConfig: { timeout: { seconds: 2n, nanos: 0 } },
      },
    });
  });

  test("what status prints as config can be given to --config", async () => {
    cli.api.add({ id: OTHER });
    const status = await cli.home.hover("m", "status", OTHER, "--json");
    const file = join(cli.home.dir, "again.json");
    writeFileSync(file, JSON.stringify(JSON.parse(status.out).config));

    await cli.home.hover("m", "create", "-a", "web", "-c", file);

    expect(cli.sent<CreateMachineRequest>("createMachine").config).toEqual(
      cli.api.machines.get(OTHER)?.config,
    );
  });

  test("a program that ends at once with a failure is a failure", async () => {
    cli.api.add({ id: OTHER });
    const exit = {
      exitCode: 3,
      signal: "",
      oomKilled: false,
      requestedStop: false,
      exitTime: undefined,
      restarting: false,
    };
    const event = { ...MachineEvent.create(), type: "exit", status: MachineState.STOPPED, exit };
    cli.api.failures.set(
      "startMachine",
      new Fault("FAILED_PRECONDITION", "EXEC_FAILED", "/bin/nope: no such file"),
    );

    const start = await cli.home.hover("m", "start", OTHER);
    cli.api.add({ id: OTHER, state: MachineState.STOPPED, events: [event] });
    const status = await cli.home.hover("m", "status", OTHER);

    expect([start.code, start.out]).toEqual([1, ""]);
    expect(start.err).toBe(
      `Error: /bin/nope: no such file (EXEC_FAILED)\nNext: hover machine logs ${OTHER}\n`,
    );
    expect(status.out).toMatch(/exit\s+stopped\s+.*exit code 3/);
  });
});
