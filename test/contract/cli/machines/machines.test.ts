import { describe, expect, test } from "vitest";
import { HostStatus, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { line } from "../fakes/fake-api.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const cli = useCli();

describe("hover machine list and status", () => {
  test("doubts the state of a machine whose host does not answer, and of no other", async () => {
    cli.api.add({ id: "0000a000000001", state: MachineState.STARTED, hostStatus: HostStatus.UNREACHABLE });
    cli.api.add({ id: "0000a000000002", state: MachineState.STARTED, hostStatus: HostStatus.UNKNOWN });
    cli.api.add({ id: "0000a000000003", state: MachineState.DESTROYED, hostStatus: HostStatus.UNREACHABLE });

    const table = await cli.home.hover("m", "ls");
    const json = await cli.home.hover("m", "ls", "--json");

    expect(table.out).toMatch(/0000a000000001 .* started\? /);
    expect(table.out).toMatch(/0000a000000002 .* started /);
    expect(table.out).toMatch(/0000a000000003 .* destroyed /);
    expect(table.err).toBe(
      "?  the machine's host does not answer; the state is the last one stored.\nNext: hover host list\n",
    );
    expect(JSON.parse(json.out)).toMatchObject([
      { state: "started", host_status: "unreachable" },
      { state: "started", host_status: "unknown" },
      { state: "destroyed" },
    ]);
    expect((await cli.home.hover("m", "ls", "-q")).err).toBe("");
  });

  test("lists all pages as a table, as ids and as JSON", async () => {
    for (const end of ["1", "2", "3", "4", "5"]) cli.api.add({ id: `0000a00000000${end}` });

    const [table, quiet, json] = [
      await cli.home.hover("m", "ls"),
      await cli.home.hover("m", "ls", "-q"),
      await cli.home.hover("m", "ls", "-j"),
    ];

    const lines = table.out.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^ID +NAME +STATE +READY +APP +REGION +HOST +IMAGE +ADDRESS +CREATED$/);
    expect(lines[5]).toMatch(/^0000a000000005 {2}m-05 {2}stopped {2}- +web .* 1h ago$/);
    expect(quiet.out).toBe([1, 2, 3, 4, 5].map((i) => `0000a00000000${i}\n`).join(""));
    expect(JSON.parse(json.out)).toHaveLength(5);
  });

  test("a machine's JSON has every field, numbers as numbers, states as words, keys of env as they are", async () => {
    cli.api.add({ id: ID, createTime: new Date(1e12) });

    const { out } = await cli.home.hover("m", "status", ID, "--json");

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
        services: [
          {
            ...{ protocol: "tcp", internal_port: 8080, ports: [], checks: [], concurrency: null },
            ...{ autostart: null, autostop: "", min_machines_running: 0 },
            ...{ idle_timeout: null, wake_timeout: null },
          },
        ],
        stop_config: { signal: "SIGTERM", timeout: "2.5s" },
        metadata: {},
        restart: null,
        auto_destroy: false,
        schedule: "",
        files: [],
        dns: null,
        extra: null,
        ...{ checks: {}, snapshot: "", max_lifetime: null, max_busy: null },
      },
      image_ref: null,
      create_time: "2001-09-09T01:46:40.000Z",
      update_time: null,
      events: [],
      service_addresses: [],
      host_status: "ok",
      last_start_path: null,
      last_start_trace_id: null,
      create_trace_id: null,
      image_bytes: 0,
      instance_id: "",
      lease: null,
      cordoned: false,
      restart_count: 0,
      next_start_time: null,
      ...{ ready: false, checks: [], busy_until_time: null, lifetime_end_time: null },
    });
  });

  test("a state newer than this program is shown as such", async () => {
    cli.api.add({ id: ID, state: 42 as MachineState });

    const { code, out } = await cli.home.hover("m", "ls");

    expect(code).toBe(0);
    expect(out).toContain("unknown_42");
  });

  test("a reader that closes the pipe is no error", async () => {
    for (let i = 0; i < 2_000; i++) cli.api.add({ id: i.toString(16).padStart(14, "0") });
    const running = cli.home.start({}, "m", "ls", "-q");
    running.child.stdout?.once("data", () => running.child.stdout?.destroy());

    const ended = await running.ended;

    expect([ended.code, ended.err]).toEqual([0, ""]);
  });

  test("control characters from elsewhere do not reach the screen", async () => {
    cli.api.add({ id: ID, name: "evil\x1b[2Jname\x07" });

    const { out } = await cli.home.hover("m", "ls");

    expect(out).toContain("evilname");
    expect(out).not.toContain("\x1b");
  });
});

describe("hover machine start, stop, destroy", () => {
  test("start shows its path and time; a second start says that it was started", async () => {
    cli.api.add({ id: ID });

    const first = await cli.home.hover("m", "start", ID);
    const second = await cli.home.hover("m", "start", ID);

    expect(first.out).toMatch(/^0000a1b2c3d4e5 started in [\d.]+ m?s \(warm\)\n$/);
    expect(second.out).toBe(`${ID} was started already\n`);
    expect([first.code, second.code]).toEqual([0, 0]);
  });

  test("a call carries the trace that the result names", async () => {
    cli.api.add({ id: ID });

    const { out } = await cli.home.hover("m", "start", ID, "--json");

    const [result] = JSON.parse(out);
    expect(result).toMatchObject({
      id: ID,
      previous_state: "stopped",
      already_started: false,
      start_path: "warm",
      machine: { state: "started" },
    });
    expect(cli.api.requests[0]?.traceparent).toMatch(new RegExp(`^00-${result.trace_id}-[0-9a-f]{16}-01$`));
  });

  test("one failure of several keeps none of the others from being done", async () => {
    cli.api.add({ id: ID });
    cli.api.add({ id: OTHER });

    const text = await cli.home.hover("m", "start", ID, "0000ffffffffff", OTHER);
    const json = await cli.home.hover("m", "stop", ID, "0000ffffffffff", OTHER, "-j");

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
    cli.api.add({ id: ID, name: "front" });
    cli.api.add({ id: OTHER, name: "twin" });
    cli.api.add({ id: "0000a1b2c3d4e7", name: "twin", app: "shop" });

    const front = await cli.home.hover("m", "stop", "front");
    const twin = await cli.home.hover("m", "stop", "twin");
    const chosen = await cli.home.hover("m", "stop", "twin", "-a", "shop");

    expect(front.out).toMatch(/^0000a1b2c3d4e5 /);
    expect([twin.code, chosen.code]).toEqual([1, 0]);
    expect(twin.err).toMatch(
      /Several machines are called twin.*0000a1b2c3d4e6 {2}app web\n {2}0000a1b2c3d4e7 {2}app shop/s,
    );
  });

  test("a machine of another app than that of -a is refused, also by its id", async () => {
    cli.api.add({ id: ID });

    const other = await cli.home.hover("m", "start", ID, "-a", "shop");
    const own = await cli.home.hover("m", "start", ID, "-a", "web");

    expect([other.code, own.code]).toEqual([1, 0]);
    expect(other.err).toContain(`no machine of the app shop has the id ${ID} (MACHINE_NOT_FOUND)`);
    expect(cli.api.requests.filter(({ method }) => method === "startMachine")).toHaveLength(1);
  });

  test("-a keeps nobody from a start whose token is for starts alone", async () => {
    cli.api.add({ id: ID });
    cli.api.failures.set("getMachine", new Fault("PERMISSION_DENIED", "TOKEN_RESTRICTED", "only starts", {}));

    const { code } = await cli.home.hover("m", "start", ID, "-a", "web");

    expect([code, cli.api.machine(ID).state]).toEqual([0, MachineState.STARTED]);
  });

  test("destroy needs force for a running machine, and says so", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });

    const refused = await cli.home.hover("m", "rm", ID);
    const forced = await cli.home.hover("m", "rm", "-f", ID);

    expect(refused.err).toContain(`Next: hover machine destroy --force ${ID}`);
    expect([refused.code, forced.code, forced.out]).toEqual([1, 0, `${ID} destroyed\n`]);
  });

  test("stop sends signal and grace", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });

    const { out } = await cli.home.hover("m", "stop", ID, "-s", "kill", "--timeout", "3");

    expect(out).toMatch(/stopped in .*: exit code 0, as requested/);
    expect(cli.sent("stopMachine")).toMatchObject({ signal: "SIGKILL", timeout: { seconds: 3n } });
  });
});

test("hover machine wait and logs -f go on by themselves while the API restarts", async () => {
  cli.api.add({ id: ID });
  cli.api.waitsHang = true;
  cli.api.logs.push(line(1, "one"), line(2, "two"));
  const waiting = cli.home.start({}, "m", "wait", ID);
  const reading = cli.home.start({}, "m", "logs", "-f", "-n", "1", ID);
  await expect.poll(() => cli.sent("waitMachine")).toBeDefined();
  await expect.poll(() => reading.out()).toBe("two\n");

  await cli.api.stop();
  await expect.poll(() => waiting.err()).toContain("The API does not answer");
  cli.api.waitsHang = false;
  cli.api.logs.push(line(3, "three"));
  await cli.api.start();

  expect((await waiting.ended).code).toBe(0);
  await expect.poll(() => reading.out()).toBe("two\nthree\n");
  reading.child.kill("SIGINT");
  await reading.ended;
});

test("hover machine wait without an API fails at once", async () => {
  await cli.api.stop();

  const { code, err } = await cli.home.hover("m", "wait", ID);

  await cli.api.start();
  expect(code).toBe(1);
  expect(err).toContain("PEER_UNAVAILABLE");
  expect(err).not.toContain("waiting until");
});

describe("hover machine logs", () => {
  test("puts each stream where it belongs, tail and JSON included", async () => {
    cli.api.add({ id: ID });
    cli.api.logs.push(line(1, "one"), line(2, "oops", "stderr"), line(3, "three"));

    const all = await cli.home.hover("m", "logs", ID);
    const tail = await cli.home.hover("m", "logs", ID, "-n", "1", "--since", "10m", "--json");
    const { since } = cli.sent<{ since: Date }>("streamLogs");
    expect(Date.now() - since.getTime()).toBeGreaterThanOrEqual(600_000);

    expect([all.code, all.out, all.err]).toEqual([0, "one\nthree\n", "oops\n"]);
    expect(JSON.parse(tail.out)).toEqual({
      time: "2023-11-14T22:13:20.003Z",
      stream: "stdout",
      text: "three",
      sequence: 3,
    });
  });

  test("follow ends with Ctrl-C, quietly", async () => {
    cli.api.add({ id: ID });
    cli.api.logs.push(line(1, "one"));
    const running = cli.home.start({}, "m", "logs", "-f", ID);
    await expect.poll(running.out).toBe("one\n");

    running.child.kill("SIGINT");

    expect(await running.ended).toEqual({ code: 130, out: "one\n", err: "" });
  });
});
