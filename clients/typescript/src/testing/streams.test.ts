import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ExecMachineRequest, ExecMachineResponse } from "../gen/windhover/machines/v1/exec.ts";
import type {
  StreamLogsRequest,
  StreamLogsResponse,
  WatchMachinesRequest,
  WatchMachinesResponse,
} from "../gen/windhover/machines/v1/machines.ts";
import { Windhover } from "../index.ts";
import { apiError, type Done, machineIn, type ScriptedApi, serveApi } from "./api.fixture.ts";

const closing: (() => void)[] = [];
const ID = "0000a1b2c3d4e5";

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function clientOf(api: ScriptedApi): Windhover {
  const windhover = new Windhover({ endpoints: [api.address], token: "t" });
  closing.push(() => windhover.close(), api.kill);
  return windhover;
}

type Watching = ServerWritableStream<WatchMachinesRequest, Partial<WatchMachinesResponse>>;
type Logging = ServerWritableStream<StreamLogsRequest, Partial<StreamLogsResponse>>;
type Executing = ServerDuplexStream<ExecMachineRequest, Partial<ExecMachineResponse>>;

test.each([
  ["is lost", (call: Watching) => call.emit("error", apiError("UNAVAILABLE", "SERVER_DRAINING"))],
  ["ends", (call: Watching) => call.end()],
])("a watch goes on by position when its stream %s", async (_how, stop) => {
  const asked: string[] = [];
  const api = await serveApi({
    watchMachines: (call: Watching) => {
      asked.push(call.request.afterPosition);
      const at = asked.length;
      const changes = [machineIn("starting"), machineIn("started")].map((machine) => ({
        machine,
        event: undefined,
      }));
      call.write({ changes, position: `p${at}` });
      stop(call);
    },
  });
  const positions: string[] = [];

  for await (const { position } of clientOf(api).machines.watch({ app: "web", after: "p0" })) {
    if (positions.push(position) === 5) break;
  }

  // Within a batch, the position before it: no change is left out.
  expect(positions).toEqual(["p0", "p1", "p1", "p2", "p2"]);
  expect(asked).toEqual(["p0", "p1", "p2"]);
});

test("a watch whose position is too old fails, and is not begun anew", async () => {
  const api = await serveApi({
    watchMachines: (call: Watching) =>
      call.emit("error", apiError("FAILED_PRECONDITION", "POSITION_TOO_OLD")),
  });

  const first = clientOf(api).machines.watch({ after: "old" }).next();

  await expect(first).rejects.toMatchObject({ reason: "POSITION_TOO_OLD" });
});

test("leaving the loop ends the watch at the api", async () => {
  const ended = Promise.withResolvers<void>();
  const api = await serveApi({
    watchMachines: (call: Watching) => {
      call.on("cancelled", () => ended.resolve());
      call.write({ changes: [{ machine: machineIn("started"), event: undefined }], position: "p" });
    },
  });

  for await (const { machine } of clientOf(api).machines.watch()) {
    expect(machine.state).toBe("started");
    break;
  }

  await ended.promise;
});

test("logs go on after the last line, and the tail counts once", async () => {
  const asked: (readonly [bigint, number | undefined])[] = [];
  const api = await serveApi({
    streamLogs: (call: Logging) => {
      const { afterSequence, tail } = call.request;
      asked.push([afterSequence, tail]);
      const sequence = afterSequence + 1n;
      const entries = [{ sequence, text: `line ${sequence}`, stream: "stdout", time: undefined }];
      call.write({ entries, position: sequence });
      if (asked.length < 3) call.emit("error", apiError("UNAVAILABLE", "HOST_UNREACHABLE"));
      else call.end();
    },
  });
  const lines: string[] = [];

  for await (const { text } of clientOf(api).machines.logs(ID, { follow: true, tail: 5 })) lines.push(text);

  expect(lines).toEqual(["line 1", "line 2", "line 3"]);
  expect(asked).toEqual([
    [0n, 5],
    [1n, undefined],
    [2n, undefined],
  ]);
});

test("a stream by which nothing has come for long goes on when it is lost", async () => {
  let laterMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + laterMs);
  closing.push(() => clock.mockRestore());
  let asked = 0;
  const api = await serveApi({
    streamLogs: (call: Logging) => {
      const { afterSequence } = call.request;
      asked += 1;
      laterMs += 600_000;
      if (asked < 4) return void call.emit("error", apiError("UNAVAILABLE", "SERVER_DRAINING"));
      const sequence = afterSequence + 1n;
      call.write({
        entries: [{ sequence, text: "a line", stream: "stdout", time: undefined }],
        position: sequence,
      });
      call.end();
    },
  });
  const lines: string[] = [];

  for await (const { text } of clientOf(api).machines.logs(ID, { follow: true })) lines.push(text);

  expect(lines).toEqual(["a line"]);
});

test("a stream is given up when it cannot be opened for long", async () => {
  let laterMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + laterMs);
  closing.push(() => clock.mockRestore());
  let asked = 0;
  const api = await serveApi({
    streamLogs: (call: Logging) => {
      asked += 1;
      laterMs += 35_000;
      call.emit("error", apiError("UNAVAILABLE", "HOST_UNREACHABLE"));
    },
  });

  const first = clientOf(api).machines.logs(ID, { follow: true }).next();

  await expect(first).rejects.toMatchObject({ reason: "HOST_UNREACHABLE" });
  expect(asked).toBe(3);
});

describe("exec", () => {
  test("streams input and output, and tells of sizes, signals and the end", async () => {
    const heard: unknown[] = [];
    const api = await serveApi({
      execMachine: (call: Executing) => {
        call.on("data", ({ machineId, message }: ExecMachineRequest) => {
          heard.push(message?.$case === "stdin" ? message.value.toString() : (message?.$case ?? ""));
          if (message?.$case === "start") {
            heard.push([machineId, message.value.command, message.value.terminal]);
            call.write({ message: { $case: "started", value: { pid: 7 } } });
          } else if (message?.$case === "stdin") {
            call.write({ message: { $case: "stdout", value: message.value } });
            call.write({ message: { $case: "stderr", value: Buffer.from("!") } });
          } else if (message?.$case === "stdinEnd") {
            call.write({ message: { $case: "exit", value: { exitCode: 130, signal: "SIGINT" } } });
            call.end();
          }
        });
      },
    });

    const terminal = { rows: 24, columns: 80 };
    const child = await clientOf(api).exec.start(ID, ["sh"], { stdin: true, terminal });
    child.resize(50, 100);
    child.signal("SIGINT");
    child.stdin.end("hello");
    const [stdout, stderr, exit] = await Promise.all([read(child.stdout), read(child.stderr), child.exit]);

    expect([child.pid, stdout, stderr, exit]).toEqual([7, "hello", "!", { exitCode: 130, signal: "SIGINT" }]);
    expect(heard).toEqual(["start", [ID, ["sh"], terminal], "resize", "signal", "hello", "stdinEnd"]);
  });

  test("holds the command back while nobody reads what it writes", async () => {
    let written = 0;
    const piece = Buffer.alloc(64 * 1024);
    const total = 64;
    const api = await serveApi({
      execMachine: (call: Executing) => {
        const go = () => {
          while (written < total) {
            written += 1;
            if (!call.write({ message: { $case: "stdout", value: piece } }))
              return void call.once("drain", go);
          }
          call.write({ message: { $case: "exit", value: { exitCode: 0, signal: "" } } });
          call.end();
        };
        call.once("data", () => {
          call.write({ message: { $case: "started", value: { pid: 1 } } });
          go();
        });
      },
    });

    const child = await clientOf(api).exec.start(ID, ["yes"]);
    await expect.poll(() => written).toBeGreaterThan(2);
    const before = written;
    let bytes = 0;
    for await (const chunk of child.stdout) bytes += chunk.length;

    expect(before).toBeLessThan(total);
    expect(bytes).toBe(total * piece.length);
    expect(await child.exit).toMatchObject({ exitCode: 0 });
  });

  test("is not held back by output that is left, and ends the input that is", async () => {
    const heard: string[] = [];
    const api = await serveApi({
      execMachine: (call: Executing) => {
        call.on("data", ({ message }: ExecMachineRequest) => {
          heard.push(message?.$case ?? "");
          if (message?.$case === "start") {
            call.write({ message: { $case: "started", value: { pid: 1 } } });
            call.write({ message: { $case: "stdout", value: Buffer.from("first") } });
          } else {
            for (let i = 0; i < 32; i++)
              call.write({ message: { $case: "stdout", value: Buffer.alloc(64 * 1024) } });
            call.write({ message: { $case: "exit", value: { exitCode: 0, signal: "" } } });
            call.end();
          }
        });
      },
    });
    const child = await clientOf(api).exec.start(ID, ["yes"], { stdin: true });

    for await (const bytes of child.stdout) {
      expect(Buffer.from(bytes).toString()).toBe("first");
      break;
    }
    child.stdin.destroy();

    expect(await child.exit).toMatchObject({ exitCode: 0 });
    expect(heard).toEqual(["start", "stdinEnd"]);
  });

  test("fails with its reason when the command does not start", async () => {
    const api = await serveApi({
      execMachine: (call: Executing) => call.emit("error", apiError("FAILED_PRECONDITION", "EXEC_FAILED")),
    });

    const start = clientOf(api).exec.start(ID, ["nothing"]);

    await expect(start).rejects.toMatchObject({ reason: "EXEC_FAILED" });
  });

  test("ends with the connection, and tells so everywhere", async () => {
    const api = await serveApi({
      execMachine: (call: Executing) => {
        call.once("data", () => call.write({ message: { $case: "started", value: { pid: 1 } } }));
      },
    });
    const child = await clientOf(api).exec.start(ID, ["sleep"]);

    api.kill();

    await expect(child.exit).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(read(child.stdout)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test.each([
    ["kill", (child: { kill(): void }) => child.kill()],
    ["its signal", (_child: unknown, abort: AbortController) => abort.abort()],
  ])("is cancelled by %s", async (_how, cancel) => {
    const ended = Promise.withResolvers<void>();
    const api = await serveApi({
      execMachine: (call: Executing) => {
        call.on("cancelled", () => ended.resolve());
        call.once("data", () => call.write({ message: { $case: "started", value: { pid: 1 } } }));
      },
    });
    const abort = new AbortController();
    const child = await clientOf(api).exec.start(ID, ["sleep"], { signal: abort.signal });

    cancel(child, abort);

    await expect(child.exit).rejects.toMatchObject({ code: "CANCELLED" });
    await ended.promise;
  });
});

describe("withLease", () => {
  /** Serves leases; from the second call on, as the script says. */
  async function leasing(later: "held" | "lost") {
    const calls: string[] = [];
    const api = await serveApi({
      acquireLease: ({ request: { nonce } }: { request: { nonce: string } }, done: Done) => {
        calls.push(nonce === "" ? "acquire" : "refresh");
        if (calls.length > 1 && later === "lost") done(apiError("ABORTED", "LEASE_HELD"));
        else done(null, { lease: { nonce: "n1" } });
      },
      releaseLease: ({ request: { nonce } }: { request: { nonce: string } }, done: Done) => {
        calls.push(`release ${nonce}`);
        done(null, {});
      },
    });
    return { leases: clientOf(api).leases, calls };
  }

  test("refreshes the lease while the work goes on, and releases it at the end", async () => {
    const { leases, calls } = await leasing("held");

    const result = await leases.withLease(
      ID,
      async ({ leaseNonce, signal }) => {
        await expect.poll(() => calls.length).toBeGreaterThan(1);
        return [leaseNonce, signal.aborted];
      },
      { ttlMs: 3_000 },
    );

    expect(result).toEqual(["n1", false]);
    expect([calls[0], calls[1], calls.at(-1)]).toEqual(["acquire", "refresh", "release n1"]);
  });

  test("aborts the work when the lease is lost", async () => {
    const { leases } = await leasing("lost");

    const reason = await leases.withLease(
      ID,
      async ({ signal }) => {
        await expect.poll(() => signal.aborted).toBe(true);
        return signal.reason;
      },
      { ttlMs: 3_000 },
    );

    expect(reason).toMatchObject({ reason: "LEASE_LOST" });
  });

  test("releases the lease when the work fails", async () => {
    const { leases, calls } = await leasing("held");

    const work = leases.withLease(ID, () => Promise.reject(new Error("no")));

    await expect(work).rejects.toThrow("no");
    expect(calls).toEqual(["acquire", "release n1"]);
  });
});

test("a wait that is longer than the api waits at once is asked again", async () => {
  const asked: number[] = [];
  const api = await serveApi({
    waitMachine: ({ request: { timeout } }: { request: { timeout: { seconds: bigint } } }, done: Done) => {
      asked.push(Number(timeout.seconds));
      if (asked.length === 1) done(apiError("DEADLINE_EXCEEDED", "WAIT_TIMEOUT"));
      else done(null, { machine: machineIn("stopped") });
    },
  });

  const machine = await clientOf(api).machines.wait(ID, { states: ["stopped"], timeoutMs: 600_000 });

  expect([machine.state, ...asked]).toEqual(["stopped", 300, 300]);
});

test("lists and events are read page by page", async () => {
  const page = ({ request: { pageToken } }: { request: { pageToken: string } }, done: Done) => {
    const [at, next] = pageToken === "" ? ["a", "2"] : ["b", ""];
    done(null, {
      machines: [machineIn("stopped", at)],
      events: [{ id: at }],
      versions: [],
      nextPageToken: next,
    });
  };
  const { machines } = clientOf(await serveApi({ listMachines: page, listMachineEvents: page }));
  const ids: string[] = [];

  for await (const { id } of machines.list({ app: "web", states: ["stopped"] })) ids.push(id);
  for await (const { id } of machines.events(ID)) ids.push(id);

  expect(ids).toEqual(["a", "b", "a", "b"]);
});

async function read(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
