import type {
  ExecMachineRequest,
  ExecMachineResponse,
  RunCommandRequest,
} from "../../../../src/gen/windhover/machines/v1/exec.ts";
import { bidiStream, type CallContext, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import type { FakeState } from "./fake-state.ts";

/** Runs the scripted program. */
export function execService(api: FakeState) {
  return {
    runCommand: unary(async (req: RunCommandRequest, ctx) => {
      api.answer("runCommand", req, ctx, () => api.machine(req.machineId));
      const given = (async function* () {
        yield req.stdin;
      })();
      const written = { stdout: "", stderr: "", exit: 0 };
      for await (const { stdout = "", stderr = "", exit = written.exit } of api.program(req.command, given)) {
        written.stdout += stdout;
        written.stderr += stderr;
        written.exit = exit;
      }
      return {
        exitCode: written.exit,
        signal: "",
        stdout: Buffer.from(written.stdout),
        stderr: Buffer.from(written.stderr),
        stdoutTruncated: false,
        stderrTruncated: false,
      };
    }),
    execMachine: bidiStream(async function* (
      requests: AsyncIterable<ExecMachineRequest>,
      ctx: CallContext,
    ): AsyncGenerator<ExecMachineResponse> {
      const all = requests[Symbol.asyncIterator]();
      const { value } = await all.next();
      const request = value as ExecMachineRequest;
      api.answer("execMachine", request, ctx, () => api.machine(request.machineId));
      if (request.message?.$case !== "start") throw new Error("the first message has no start");
      const { command, terminal, stdin } = request.message.value;
      if (terminal) api.sizes.push(terminal);
      yield { message: { $case: "started", value: { pid: 7 } } };
      for await (const { stdout, stderr, exit } of api.program(
        command,
        stdin ? input(api, all) : nothing(),
      )) {
        if (stdout !== undefined) yield { message: { $case: "stdout", value: Buffer.from(stdout) } };
        if (stderr !== undefined) yield { message: { $case: "stderr", value: Buffer.from(stderr) } };
        if (exit !== undefined) yield { message: { $case: "exit", value: { exitCode: exit, signal: "" } } };
      }
    }),
    listProcesses: unary((req: { machineId: string }, ctx) =>
      api.answer("listProcesses", req, ctx, () => ({ processes: api.processes })),
    ),
  };
}

/** Reads standard input up to its end, and notes what comes beside it. */
async function* input(api: FakeState, all: AsyncIterator<ExecMachineRequest>): AsyncGenerator<Buffer> {
  for (;;) {
    const { value, done } = await all.next();
    if (done) return;
    const message = (value as ExecMachineRequest).message;
    if (message?.$case === "stdin") yield message.value;
    else if (message?.$case === "resize") api.sizes.push(message.value);
    else if (message?.$case === "signal") api.signals.push(message.value);
    else if (message?.$case === "stdinEnd") return;
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}
