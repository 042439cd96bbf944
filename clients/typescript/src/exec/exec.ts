import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { Caller, CallOptions, OpenDuplex } from "../calls/caller.ts";
import { WindhoverError } from "../calls/errors.ts";
import {
  type ExecMachineRequest,
  type ExecMachineResponse,
  ExecServiceClient,
  type Process,
  type TerminalSize,
} from "../gen/windhover/machines/v1/exec.ts";
import type { Guarded } from "../machines/requests.ts";
import { DEFAULTS, within } from "../machines/timeouts.ts";
import { duration, durationOrNone } from "../values/duration.ts";
import { bytesOf } from "../values/files.ts";
import { type ExecExit, ExecProcess } from "./exec-process.ts";

/** Options of a command. Absent ones are as for the main process. */
export interface ExecEnvironment extends Guarded {
  /** Added to the main process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDir?: string;
  /** The command is killed after it. `run`: 1 s to 1 h, default 60 s. `start`: up to 24 h, default none. */
  readonly timeoutMs?: number | undefined;
}

/** Options of `exec.run`. */
export interface RunOptions extends ExecEnvironment {
  /** Standard input, at most 256 KiB. */
  readonly stdin?: string | Uint8Array;
}

/** Options of `exec.start`. */
export interface ExecOptions extends ExecEnvironment {
  /** Leaves standard input open. Otherwise it is empty. */
  readonly stdin?: boolean;
  /** Gives the command a terminal of this size; all its output is then `stdout`. */
  readonly terminal?: TerminalSize;
}

/** The end of a command, and its output. */
export interface RunResult extends ExecExit {
  /** The first MiB as text. */
  readonly stdout: string;
  /** The first MiB as text. */
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderrBytes: Uint8Array;
  /** Whether there was more. */
  readonly stdoutTruncated: boolean;
  /** Whether there was more. */
  readonly stderrTruncated: boolean;
}

/** For the answer to arrive after the command's own time. */
const MARGIN_MS = 5_000;

/** Runs commands inside started machines. */
export class Exec {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Runs a command to its end. One that fails does not fail the call: see `exitCode`. */
  async run(machineId: string, command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { stdin = "", timeoutMs = 60_000, leaseNonce = "", signal } = options;
    const { env = {}, user = "", workingDir = "" } = options;
    const message = {
      ...{ machineId, leaseNonce, user, workingDir },
      command: [...command],
      stdin: bytesOf(stdin),
      timeout: duration(timeoutMs),
      env: { ...env },
    };
    const scope = { timeoutMs: timeoutMs + MARGIN_MS, signal, retry: "ifNotDone" } as const;
    const method = (client: ExecServiceClient) => client.runCommand;
    const response = await this.#caller.unary(ExecServiceClient, method, message, scope);
    const { stdout, stderr, ...rest } = response;
    return {
      ...rest,
      ...{ stdout: textOf(stdout), stderr: textOf(stderr) },
      stdoutBytes: stdout,
      stderrBytes: stderr,
    };
  }

  /**
   * Starts a command and returns when it runs. Its streams hold it back when they are not read, as
   * those of a local child process do. It is killed when `signal` aborts or the connection is lost.
   */
  async start(
    machineId: string,
    command: readonly string[],
    options: ExecOptions = {},
  ): Promise<ExecProcess> {
    const { stdin = false, terminal, timeoutMs, leaseNonce = "", signal } = options;
    const { env = {}, user = "", workingDir = "" } = options;
    const start = {
      ...{ terminal, stdin, leaseNonce, user, workingDir },
      command: [...command],
      timeout: durationOrNone(timeoutMs),
      env: { ...env },
    };
    const first: ExecMachineRequest = { machineId, message: { $case: "start", value: start } };
    const scope = { timeoutMs: DEFAULTS.startMs, signal, retry: "ifNotDone" } as const;
    const ownMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs + MARGIN_MS;
    const method = (client: ExecServiceClient) => client.execMachine;
    return await this.#caller.attempts(scope, async (endpoint, startBy) => {
      const open = await this.#caller.duplex(endpoint, ExecServiceClient, method, ownMs, signal);
      return await started(open, first, startBy, signal);
    });
  }

  /** Lists the processes of a machine, with the sockets they listen on. */
  async processes(machineId: string, options: CallOptions = {}): Promise<readonly Process[]> {
    const scope = { ...within(DEFAULTS.callMs, options), retry: "always" } as const;
    const method = (client: ExecServiceClient) => client.listProcesses;
    return (await this.#caller.unary(ExecServiceClient, method, { machineId }, scope)).processes;
  }
}

/** Sends the first request, and waits until the command runs. */
async function started(
  open: OpenDuplex<ExecMachineRequest, ExecMachineResponse>,
  first: ExecMachineRequest,
  startBy: number,
  signal: AbortSignal | undefined,
): Promise<ExecProcess> {
  const { stream } = open;
  let isOverdue = false;
  const timer = setTimeout(
    () => {
      isOverdue = true;
      stream.cancel();
    },
    Math.max(0, startBy - Date.now()),
  );
  const cancel = () => stream.cancel();
  signal?.addEventListener("abort", cancel);
  stream.once("close", () => signal?.removeEventListener("abort", cancel));
  if (signal?.aborted) cancel();
  try {
    const message = await firstMessage(stream, first);
    if (message?.message?.$case !== "started") throw new Error("the stream began with another message");
    return new ExecProcess(open, message.message.value.pid);
  } catch (err) {
    if (!isOverdue) throw err;
    throw new WindhoverError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the command did not start in time", {
      cause: err,
    });
  } finally {
    clearTimeout(timer);
  }
}

function firstMessage(
  stream: ClientDuplexStream<ExecMachineRequest, ExecMachineResponse>,
  first: ExecMachineRequest,
): Promise<ExecMachineResponse | undefined> {
  return new Promise((resolve, reject) => {
    stream.on("error", reject);
    stream.once("end", () => resolve(undefined));
    stream.once("data", (message: ExecMachineResponse) => {
      // Nothing may be lost until the process's streams are there.
      stream.pause();
      resolve(message);
    });
    stream.write(first);
  });
}

function textOf(bytes: Uint8Array): string {
  // Without the option a byte order mark would be left out.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}
