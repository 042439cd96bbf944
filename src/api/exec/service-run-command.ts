import type {
  ExecMachineRequest,
  RunCommandRequest,
  RunCommandResponse,
} from "../../gen/windhover/machines/v1/exec.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { durationFromProto, durationToProto } from "../../lib/grpc/messages/duration.ts";
import type { HostExec } from "./exec-client.ts";

const MAX_STDIN_BYTES = 256 * 1_024;
const STDIN_CHUNK = 64 * 1_024;
const DEFAULT_TIMEOUT_MS = 60_000;
const MIN_TIMEOUT_MS = 1_000;
const MAX_TIMEOUT_MS = 60 * 60_000;
/** Bytes that are kept of each output stream. */
const MAX_OUTPUT_BYTES = 1_024 * 1_024;
/** In front of the fields of `ExecStart` in the host's violations. */
const PREFIX = "start.";

/** Checks the fields that the host does not check. */
export function checkRun({ command, stdin, timeout }: RunCommandRequest, violations: Violations): void {
  const timeoutMs = durationFromProto(timeout) ?? DEFAULT_TIMEOUT_MS;
  violations.check(command.length > 0, "command", "must name a program");
  violations.check(stdin.length <= MAX_STDIN_BYTES, "stdin", `must have at most ${MAX_STDIN_BYTES} bytes`);
  const isTime = timeoutMs >= MIN_TIMEOUT_MS && timeoutMs <= MAX_TIMEOUT_MS;
  violations.check(isTime, "timeout", "must be 1 s to 1 h");
}

/** Makes the first request of the stream that runs the command. */
function startOf(request: RunCommandRequest): ExecMachineRequest {
  const { machineId, command, env, user, workingDir, leaseNonce } = request;
  const timeout = request.timeout ?? durationToProto(DEFAULT_TIMEOUT_MS);
  const stdin = request.stdin.length > 0;
  const value = { command, terminal: undefined, stdin, timeout, leaseNonce, env, user, workingDir };
  return { machineId, message: { $case: "start", value } };
}

/** Runs a command over a stream and collects what it writes. */
export async function runCommand(exec: HostExec, request: RunCommandRequest): Promise<RunCommandResponse> {
  const start = startOf(request);
  const stdout = new Output();
  const stderr = new Output();
  try {
    // An error of the stream comes with the responses.
    send(exec, start, request.stdin).catch(() => {});
    for await (const { message } of exec.responses) {
      if (message?.$case === "stdout") stdout.add(message.value);
      if (message?.$case === "stderr") stderr.add(message.value);
      if (message?.$case === "exit") {
        const { exitCode, signal } = message.value;
        return {
          ...{ exitCode, signal, stdout: stdout.bytes(), stderr: stderr.bytes() },
          ...{ stdoutTruncated: stdout.isTruncated, stderrTruncated: stderr.isTruncated },
        };
      }
    }
  } catch (err) {
    throw withoutPrefix(err);
  }
  throw new Fault("UNAVAILABLE", "EXEC_INTERRUPTED", "the host did not say how the command ended", {
    machine_id: request.machineId,
  });
}

async function send(exec: HostExec, start: ExecMachineRequest, stdin: Buffer): Promise<void> {
  await exec.send(start);
  for (let at = 0; at < stdin.length; at += STDIN_CHUNK) {
    const value = stdin.subarray(at, at + STDIN_CHUNK);
    await exec.send({ machineId: "", message: { $case: "stdin", value } });
  }
  exec.end();
}

/** The beginning of an output stream, in one buffer: kept as parts, single bytes would take hundreds of times their size. */
class Output {
  #bytes = Buffer.alloc(0);
  #length = 0;
  isTruncated = false;

  add(bytes: Buffer): void {
    const part = bytes.subarray(0, MAX_OUTPUT_BYTES - this.#length);
    if (part.length < bytes.length) this.isTruncated = true;
    this.#reserve(this.#length + part.length);
    part.copy(this.#bytes, this.#length);
    this.#length += part.length;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.min(MAX_OUTPUT_BYTES, Math.max(length, 2 * this.#bytes.length)));
    this.#bytes.copy(grown);
    this.#bytes = grown;
  }
}

/** Removes `start.` from the fields of violations: RunCommand and the REST API have no such message. */
export function withoutPrefix(err: unknown): unknown {
  if (!(err instanceof Fault) || err.violations.length === 0) return err;
  const violations = new Violations();
  for (const { field, description } of err.violations)
    violations.add(field.startsWith(PREFIX) ? field.slice(PREFIX.length) : field, description);
  return violations.fault();
}
