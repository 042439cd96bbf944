import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AuditServiceClient, ReadAuditRequest } from "../../src/gen/windhover/admin/v1/audit.ts";
import {
  type ExecMachineRequest,
  type ExecMachineResponse,
  ExecServiceClient,
  ExecStart,
  RunCommandRequest,
} from "../../src/gen/windhover/machines/v1/exec.ts";
import { HostStatus } from "../../src/gen/windhover/machines/v1/machine.ts";
import { mintToken } from "../../src/lib/auth/auth.ts";
import { openDuplex } from "../../src/lib/grpc/calls/duplex.ts";
import { call, connect, openStream } from "../../src/lib/grpc/client.ts";
import { configOf } from "../support/clients.ts";
import { faultOf } from "../support/fault-of.ts";
import { openWorld, type World } from "./world/world.ts";

const LIMIT = { timeoutMs: 60_000 };
const SOON = { timeout: 60_000, interval: 100 };
const MIB = 1_048_576;

let world: World;
let execs: InstanceType<typeof ExecServiceClient>;
let machineId: string;
beforeAll(async () => {
  world = await openWorld(1);
  execs = connect(ExecServiceClient, world.fleet.api, { token: () => world.fleet.token });
});
afterAll(async () => {
  execs?.close();
  await world?.close();
});
beforeEach(async () => {
  machineId = (await world.clients.create({ app: world.app, config: configOf(world.image) })).id;
});

const run = (command: readonly string[], more: Partial<RunCommandRequest> = {}, client = execs) => {
  const request = RunCommandRequest.fromPartial({ machineId, command: [...command], ...more });
  return call(client, client.runCommand, request, LIMIT);
};

async function open(command: readonly string[], more: Partial<Omit<ExecStart, "command">> = {}) {
  const duplex = openDuplex<ExecMachineRequest, ExecMachineResponse>(execs, execs.execMachine, LIMIT);
  const value = ExecStart.fromPartial({ ...more, command: [...command] });
  await duplex.write({ machineId, message: { $case: "start", value } });
  return {
    ...duplex,
    send: (message: ExecMachineRequest["message"]) => duplex.write({ machineId: "", message }),
  };
}

async function processes(): Promise<readonly string[]> {
  const response = await call(execs, execs.listProcesses, { machineId }, LIMIT);
  return response.processes.map(({ command }) => command);
}

describe("RunCommand", () => {
  test("collects the beginning of both outputs, and says when there was more", async () => {
    const stdin = Buffer.alloc(200_000, "x");

    const echoed = await run(["cat"], { stdin });
    const flood = await run(["flood", String(MIB + 5)]);
    const failed = await run(["err", "no"]);

    expect(echoed.stdout.equals(stdin)).toBe(true);
    expect([flood.stdout.length, flood.stdoutTruncated, flood.stderrTruncated]).toEqual([MIB, true, false]);
    expect([failed.stdout.length, failed.stderr.toString()]).toEqual([0, "no\n"]);
  });

  test("returns the exit code of a command that fails", async () => {
    expect(await run(["exit", "7"])).toMatchObject({ exitCode: 7, signal: "" });
  });

  test("names all that is wrong with a request by the request's own fields", async () => {
    const wrong = { stdin: Buffer.alloc(300_000), timeout: { seconds: 7_200n, nanos: 0 } };

    const early = await faultOf(run([], wrong));
    const late = await faultOf(run(["a\0b"], { workingDir: "srv" }));

    expect(early.violations.map(({ field }) => field)).toEqual(["command", "stdin", "timeout"]);
    expect(late.violations.map(({ field }) => field)).toEqual(["command[0]", "working_dir"]);
  });

  test("kills a command at its timeout", async () => {
    const failed = await faultOf(run(["sleep", "1000"], { timeout: { seconds: 1n, nanos: 0 } }));

    expect(failed).toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "EXEC_TIMEOUT" });
    await expect.poll(processes).toEqual(["main"]);
  });

  test("is not for another organisation's machine, nor for a token that only reads", async () => {
    const minted = (org: string, scope: "machines:read" | "machines:write") =>
      mintToken(world.fleet.signingKey, { subject: "test", org, scopes: [scope] }, 600);
    const foreign = await minted("other", "machines:write");
    const less = await minted("personal", "machines:read");
    const other = connect(ExecServiceClient, world.fleet.api, { token: () => foreign });
    const reader = connect(ExecServiceClient, world.fleet.api, { token: () => less });

    expect(await faultOf(run(["true"], {}, other))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(run(["true"], {}, reader))).toMatchObject({ reason: "SCOPE_MISSING" });
    for (const client of [other, reader]) client.close();
  });
});

describe("ExecMachine", () => {
  test("passes everything on, and is one entry of the audit log", async () => {
    const word = randomUUID();
    const stream = await open(["cat"], { stdin: true });
    await stream.send({ $case: "stdin", value: Buffer.from(`${word}\n`) });
    await stream.send({ $case: "stdinEnd", value: true });
    let stdout = "";
    let exit: unknown;
    for await (const { message } of stream.messages) {
      if (message?.$case === "stdout") stdout += message.value.toString();
      if (message?.$case === "exit") exit = message.value;
    }

    expect([stdout, exit]).toEqual([`${word}\n`, { exitCode: 0, signal: "" }]);
    await expect.poll(() => audited("machines:exec"), SOON).toEqual(["OK"]);
  });

  test("lets a fast command wait for a slow reader", async () => {
    const stream = await open(["flood", String(12 * MIB)]);
    const messages = stream.messages[Symbol.asyncIterator]();
    await messages.next();
    expect(await run(["echo", "quick"])).toMatchObject({ exitCode: 0 });

    let bytes = 0;
    for (let next = await messages.next(); next.done !== true; next = await messages.next())
      if (next.value.message?.$case === "stdout") bytes += next.value.message.value.length;

    expect(bytes).toBe(12 * MIB);
  });

  test("ends with EXEC_INTERRUPTED when the host's daemon is killed, and the machine goes on", async () => {
    const stream = await open(["sleep", "1000"]);
    const ended = faultOf(
      (async () => {
        for await (const _ of stream.messages);
      })(),
    );
    await expect.poll(processes).toContain("sleep 1000");

    await world.fleet.kill("hostd-1");

    expect(await ended).toMatchObject({ code: "UNAVAILABLE", reason: "EXEC_INTERRUPTED" });
    await world.fleet.start("hostd-1");
    await expect.poll(async () => (await run(["true"]).catch(() => undefined))?.exitCode, SOON).toBe(0);
    expect(await processes()).toEqual(["main"]);
    // The scheduler may hear of the host later than the api, and the next machine has no other.
    await world.fleet.awaitHosts();
    // The api calls it on another connection than commands have.
    const read = () => world.clients.get(machineId).catch(() => undefined);
    await expect.poll(read, SOON).toMatchObject({ hostStatus: HostStatus.OK });
  });
});

async function audited(action: string): Promise<readonly string[]> {
  const client = connect(AuditServiceClient, world.fleet.api, { token: () => world.fleet.token });
  try {
    const request = ReadAuditRequest.fromPartial({ object: machineId });
    const codes: string[] = [];
    for await (const { entries } of openStream(client, client.readAudit, request, LIMIT))
      codes.push(...entries.filter((entry) => entry.action === action).map(({ code }) => code));
    return codes;
  } finally {
    client.close();
  }
}
