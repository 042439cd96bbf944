import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  AcquireLeaseRequest,
  type ExecMachineRequest as HostRequest,
  type ExecMachineResponse as HostResponse,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import {
  type ExecMachineRequest,
  type ExecMachineResponse,
  ExecStart,
} from "../../../../src/gen/windhover/machines/v1/exec.ts";
import { openDuplex } from "../../../../src/lib/grpc/calls/duplex.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";

const LIMIT = { timeoutMs: 30_000 };
const SECOND = { seconds: 1n, nanos: 0 };
const TTL = { seconds: 60n, nanos: 0 };

let host: TestHost;
let id: string;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
beforeEach(async () => {
  ({ id } = await host.created());
  await host.start(id);
});
afterEach(() => expectCleanAfterRemoval(host));

type Message = ExecMachineRequest["message"];
type Start = Omit<Partial<ExecStart>, "command"> & { readonly command?: readonly string[] };

/** Opens a stream without a first request. */
function openStream() {
  const duplex = openDuplex<HostRequest, HostResponse>(host.client, host.client.execMachine, LIMIT);
  const send = (message: Message, machineId = "", org = "") =>
    duplex.write({ org, request: { machineId, message } });
  return { ...duplex, send };
}

async function open(command: readonly string[], more: Start = {}, machineId = id, org = "") {
  const stream = openStream();
  const start = ExecStart.fromPartial({ ...more, command: [...command] });
  await stream.send({ $case: "start", value: start }, machineId, org);
  return stream;
}

/** Reads a stream to its end. */
async function outcome({ messages }: { messages: AsyncIterable<HostResponse> }) {
  const got = { stdout: "", stderr: "", exit: undefined as unknown, kinds: [] as string[] };
  for await (const { response } of messages) add(got, response?.message);
  return got;
}

function add(
  got: { stdout: string; stderr: string; exit: unknown; kinds: string[] },
  message: ExecMachineResponse["message"],
) {
  if (got.kinds.at(-1) !== message?.$case) got.kinds.push(message?.$case ?? "");
  if (message?.$case === "stdout") got.stdout += message.value.toString();
  if (message?.$case === "stderr") got.stderr += message.value.toString();
  if (message?.$case === "exit") got.exit = message.value;
}

const run = async (...given: Parameters<typeof open>) => outcome(await open(...given));

describe("a command", () => {
  test("says that it runs, what it writes, and how it ended", async () => {
    const result = await run(["echo", "hi", "there"]);

    expect(result).toEqual({
      stdout: "hi there\n",
      stderr: "",
      exit: { exitCode: 0, signal: "" },
      kinds: ["started", "stdout", "exit"],
    });
  });

  test("has error output and an exit code of its own", async () => {
    expect(await run(["err", "no"])).toMatchObject({ stdout: "", stderr: "no\n" });
    expect(await run(["exit", "7"])).toMatchObject({ exit: { exitCode: 7, signal: "" } });
  });

  test("has the variables, user and directory that were asked for", async () => {
    expect(await run(["env"], { env: new Map([["A", "1"]]) })).toMatchObject({ stdout: "A=1\n" });
    expect(await run(["whoami"], { user: "web" })).toMatchObject({ stdout: "web\n" });
    expect(await run(["pwd"], { workingDir: "/srv" })).toMatchObject({ stdout: "/srv\n" });
  });

  test.each([
    [
      "its client says so",
      async (stream: Awaited<ReturnType<typeof open>>) => stream.send({ $case: "stdinEnd", value: true }),
    ],
    ["its client sends no more", async (stream: Awaited<ReturnType<typeof open>>) => stream.end()],
  ])("reads its input until %s", async (_, end) => {
    const stream = await open(["cat"], { stdin: true });
    await stream.send({ $case: "stdin", value: Buffer.from("some words") });
    await end(stream);

    expect(await outcome(stream)).toMatchObject({ stdout: "some words", exit: { exitCode: 0 } });
  });

  test("is told of each size of its terminal", async () => {
    const stream = await open(["sizes"], { terminal: { rows: 24, columns: 80 } });
    let screen = "";
    for await (const { response } of stream.messages) {
      if (response?.message?.$case !== "stdout") continue;
      screen += response.message.value.toString();
      if (screen === "24 80\n") await stream.send({ $case: "resize", value: { rows: 50, columns: 120 } });
      if (screen === "24 80\n50 120\n") break;
    }

    expect(screen).toBe("24 80\n50 120\n");
  });

  test("ends by a signal that its client sends", async () => {
    const stream = await open(["sleep", "1000"]);
    await stream.send({ $case: "signal", value: "SIGTERM" });

    expect(await outcome(stream)).toMatchObject({ exit: { exitCode: 143, signal: "SIGTERM" } });
  });

  test("gets a signal although it has not taken the input before it", async () => {
    const stream = await open(["sleep", "1000"], { stdin: true });
    for (let i = 0; i < 3; i++) await stream.send({ $case: "stdin", value: Buffer.alloc(60_000) });
    await stream.send({ $case: "signal", value: "SIGINT" });

    expect(await outcome(stream)).toMatchObject({ exit: { exitCode: 130, signal: "SIGINT" } });
  });

  test("waits while its client does not read, and others do not", async () => {
    const slow = await open(["flood", "20000000"]);
    const messages = slow.messages[Symbol.asyncIterator]();
    await messages.next();

    expect(await run(["echo", "quick"])).toMatchObject({ stdout: "quick\n" });

    let bytes = 0;
    for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
      const { message } = next.value.response ?? {};
      if (message?.$case === "stdout") bytes += message.value.length;
    }
    expect(bytes).toBe(20_000_000);
  });
});

describe("a command that ends early", () => {
  const commands = async () => {
    const { processes } = await call(
      host.client,
      host.client.listProcesses,
      { machineId: id, org: "" },
      LIMIT,
    );
    return processes.map(({ command }) => command);
  };

  test("at its timeout is killed, and its client is told so", async () => {
    const failed = faultOf(run(["sleep", "1000"], { timeout: SECOND }));

    expect(await failed).toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "EXEC_TIMEOUT",
      facts: { machine_id: id, timeout_ms: "1000" },
    });
    await expect.poll(commands).toEqual(["main"]);
  });

  test("with its client is killed", async () => {
    const stream = await open(["sleep", "1000"]);
    await expect.poll(commands).toContain("sleep 1000");

    stream.cancel();

    await expect.poll(commands).toEqual(["main"]);
  });

  test("with the machine's process is interrupted", async () => {
    const stream = await open(["sleep", "1000"]);
    await expect.poll(commands).toContain("sleep 1000");

    await host.stop(id);

    expect(await faultOf(outcome(stream))).toMatchObject({ code: "UNAVAILABLE", reason: "EXEC_INTERRUPTED" });
  });
});

describe("a command is refused", () => {
  test("when there is no such program", async () => {
    expect(await faultOf(run(["missing"]))).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "EXEC_FAILED",
    });
  });

  test("when the machine is not started", async () => {
    await host.stop(id);

    expect(await faultOf(run(["true"]))).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "INVALID_STATE",
    });
  });

  test("when there is no such machine, or it is another organisation's", async () => {
    expect(await faultOf(run(["true"], {}, newId()))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(run(["true"], {}, id, "other"))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
  });

  test("while another holds the machine's lease, and not with its nonce", async () => {
    const request = AcquireLeaseRequest.fromPartial({ machineId: id, lease: { ttl: TTL, owner: "ci" } });
    const { lease } = await call(host.client, host.client.acquireLease, request, LIMIT);
    const nonce = lease?.nonce ?? "";

    expect(await faultOf(run(["true"]))).toMatchObject({ code: "ABORTED", reason: "LEASE_HELD" });
    expect(await run(["true"], { leaseNonce: nonce })).toMatchObject({ exit: { exitCode: 0 } });
    await call(host.client, host.client.releaseLease, { machineId: id, org: "", nonce }, LIMIT);
  });

  test("with all that is wrong in its first request", async () => {
    const fault = await faultOf(
      run(["a\0b"], {
        env: new Map([["A=B", ""]]),
        workingDir: "srv",
        terminal: { rows: 0, columns: 2_000 },
        timeout: { seconds: 0n, nanos: 1 },
      }),
    );

    expect(fault).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    expect(fault.violations.map(({ field }) => field)).toEqual([
      ...["start.command[0]", "start.env[A=B]", "start.working_dir"],
      ...["start.terminal.rows", "start.terminal.columns", "start.timeout"],
    ]);
  });

  test.each<[string, Message, string]>([
    ["names another machine", { $case: "stdinEnd", value: true }, "machine_id"],
    [
      "starts another command",
      { $case: "start", value: ExecStart.fromPartial({ command: ["true"] }) },
      "start",
    ],
    ["has input that was not asked for", { $case: "stdin", value: Buffer.from("x") }, "stdin"],
    ["resizes no terminal", { $case: "resize", value: { rows: 1, columns: 1 } }, "resize"],
    ["has no signal of Linux", { $case: "signal", value: "SIGNONE" }, "signal"],
  ])("when a later request %s", async (_, message, field) => {
    const stream = await open(["sleep", "1000"]);
    await stream.send(message, field === "machine_id" ? newId() : "");

    expect((await faultOf(outcome(stream))).violations.map((violation) => violation.field)).toEqual([field]);
  });

  test("without a first request", async () => {
    const stream = openStream();
    stream.end();

    expect((await faultOf(outcome(stream))).violations.map(({ field }) => field)).toEqual([
      "machine_id",
      "start",
    ]);
  });
});

test("the machine's processes are listed, and not while it is stopped", async () => {
  const list = () => call(host.client, host.client.listProcesses, { machineId: id, org: "" }, LIMIT);

  const { processes } = await list();

  expect(processes).toMatchObject([
    { pid: 1, parentPid: 0, command: "main", listenSockets: [{ protocol: "tcp", address: "0.0.0.0:80" }] },
  ]);
  await host.stop(id);
  expect(await faultOf(list())).toMatchObject({ reason: "INVALID_STATE" });
});
