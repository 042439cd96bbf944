import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ExecMachineRequest,
  type ExecMachineResponse,
  ExecServiceClient,
  ExecStart,
  ListProcessesRequest,
  RunCommandRequest,
} from "../../../src/gen/windhover/machines/v1/exec.ts";
import { openDuplex } from "../../../src/lib/grpc/calls/duplex.ts";
import { call, connect } from "../../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../../support/clients.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";

const APP = "tools";
const LIMIT = { timeoutMs: 60_000 };

let fleet: TestFleet;
let clients: Clients;
let execs: InstanceType<typeof ExecServiceClient>;
let machine: Machine;

beforeAll(async () => {
  fleet = await startFleet({ hosts: 1, vmm: "real" });
  clients = clientsOf(fleet.api, fleet.token);
  execs = connect(ExecServiceClient, fleet.api, { token: () => fleet.token });
  const busybox = { path: "bin/busybox", mode: 0o755, content: readFileSync("/bin/busybox") };
  const content = buildImage({ layers: [[busybox]], config: { Cmd: ["/bin/busybox", "sleep", "1000"] } });
  await pushImage(`http://${fleet.registry}`, "tools/busybox", "1", content);
  await clients.createApp(APP);
  machine = await clients.create({ app: APP, config: configOf(`${fleet.registry}/tools/busybox:1`) });
}, 300_000);
afterAll(async () => {
  execs?.close();
  clients?.close();
  await fleet?.close();
});

const run = (command: readonly string[], more: Partial<RunCommandRequest> = {}) => {
  const request = RunCommandRequest.fromPartial({ machineId: machine.id, command: [...command], ...more });
  return call(execs, execs.runCommand, request, LIMIT);
};
const sh = (script: string, more: Partial<RunCommandRequest> = {}) =>
  run(["/bin/busybox", "sh", "-c", script], more);

test("a command runs beside the program and its output, error output and exit code come back", async () => {
  const result = await sh("echo hi; echo no >&2; exit 7");

  expect(result).toMatchObject({ exitCode: 7, signal: "", stdoutTruncated: false });
  expect([result.stdout.toString(), result.stderr.toString()]).toEqual(["hi\n", "no\n"]);
});

test("standard input, variables, user and directory reach the command", async () => {
  const env = new Map([["COLOR", "blue"]]);
  const more = { stdin: Buffer.from("words\n"), env, user: "7:8", workingDir: "/bin" };

  const result = await sh('cat; echo "$COLOR"; /bin/busybox id -u; /bin/busybox id -g; pwd', more);

  expect(result.stdout.toString()).toBe("words\nblue\n7\n8\n/bin\n");
});

test("output beyond 1 MiB is cut, and the command goes on", async () => {
  const result = await sh("/bin/busybox head -c 1500000 /dev/zero; echo end >&2");

  expect([result.stdout.length, result.stdoutTruncated, result.exitCode]).toEqual([1_048_576, true, 0]);
  expect([result.stderr.toString(), result.stderrTruncated]).toEqual(["end\n", false]);
});

test("a command that takes too long is killed, and the caller is told so", async () => {
  const timeout = { seconds: 1n, nanos: 0 };

  const failed = await run(["/bin/busybox", "sleep", "1234"], { timeout }).catch((err: unknown) => err);

  expect(failed).toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "EXEC_TIMEOUT" });
  const commands = async () => (await processes()).map(({ command }) => command);
  await expect.poll(commands).not.toContain("/bin/busybox sleep 1234");
});

test("a stream has a terminal, what is typed, each size, and the exit code at last", async () => {
  const start = ExecStart.fromPartial({
    command: ["/bin/busybox", "sh"],
    terminal: { rows: 30, columns: 100 },
    stdin: true,
  });
  const duplex = openDuplex<ExecMachineRequest, ExecMachineResponse>(execs, execs.execMachine, LIMIT);
  const tell = (message: ExecMachineRequest["message"], machineId = "") =>
    duplex.write({ machineId, message });
  const type = (text: string) => tell({ $case: "stdin", value: Buffer.from(text) });
  let screen = "";
  let exit: unknown;
  await tell({ $case: "start", value: start }, machine.id);
  await type("/bin/busybox stty size\n");
  for await (const { message } of duplex.messages) {
    if (message?.$case === "stdout") screen += message.value.toString();
    if (message?.$case === "exit") exit = message.value;
    if (screen.includes("30 100\r\n")) {
      screen = "";
      await tell({ $case: "resize", value: { rows: 50, columns: 120 } });
      await type("/bin/busybox stty size; exit 4\n");
    }
  }

  expect(screen).toContain("50 120\r\n");
  expect(exit).toEqual({ exitCode: 4, signal: "" });
});

test("a command is killed when its client goes", async () => {
  const duplex = openDuplex<ExecMachineRequest, ExecMachineResponse>(execs, execs.execMachine, LIMIT);
  const start = ExecStart.fromPartial({ command: ["/bin/busybox", "sleep", "4321"] });
  await duplex.write({ machineId: machine.id, message: { $case: "start", value: start } });
  const commands = async () => (await processes()).map(({ command }) => command);
  await expect.poll(commands).toContain("/bin/busybox sleep 4321");

  duplex.cancel();

  await expect.poll(commands).not.toContain("/bin/busybox sleep 4321");
});

test("the machine's processes are listed", async () => {
  expect(await processes()).toMatchObject([
    { pid: 1, parentPid: 0, command: "/bin/busybox sleep 1000", directory: "/" },
  ]);
});

async function processes() {
  const request = ListProcessesRequest.fromPartial({ machineId: machine.id });
  return (await call(execs, execs.listProcesses, request, LIMIT)).processes;
}
