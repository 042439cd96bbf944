import type { ServerDuplexStream } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import type { ExecMachineRequest, ExecMachineResponse } from "../gen/windhover/machines/v1/exec.ts";
import { apiError, clientOf, ID, serveApi } from "./api.fixture.ts";

type Executing = ServerDuplexStream<ExecMachineRequest, Partial<ExecMachineResponse>>;

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

  test("returns the text that a command wrote as it is, with its byte order mark", async () => {
    const stdout = Buffer.from("\ufeffa");
    const api = await serveApi({
      runCommand: (_call: unknown, done: (err: null, response: object) => void) =>
        done(null, { exitCode: 0, signal: "", stdout, stderr: Buffer.alloc(0) }),
    });

    const done = await clientOf(api).exec.run(ID, ["cat", "a"]);

    expect([done.stdout, done.stdoutBytes]).toEqual(["\ufeffa", stdout]);
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

async function read(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
