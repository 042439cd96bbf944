import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { Fault } from "../../lib/faults/fault.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { TimeLimit } from "../../lib/runtime/wait.ts";
import type { Limits } from "../flatten/limits.ts";
import { crashed, outOfMemory, outOfTime } from "../squashfs/build-faults.ts";
import { faultOf } from "./failure.ts";
import { FIRST_LAYER_FD, type Job, type Permission, type Planned, type Report } from "./job.ts";
import { MAX_LINE, parseReport } from "./reports.ts";
import { buildCommand, type Sandbox, visibleOutput } from "./sandbox.ts";

export interface BuildRequest {
  /** Path of the squashfs, an empty file. */
  readonly output: string;
  readonly layers: readonly { readonly path: string; readonly size: number; readonly diffId: string }[];
  readonly limits: Limits;
  /** Of the JavaScript process, and of tar2sqfs. */
  readonly memoryBytes: number;
  readonly timeoutMs: number;
}

/** Reports bytes unpacked and layers read since the last call. */
export type OnProgress = (bytes: number, layers: number) => void;

/** The highest there is. */
const OOM_SCORE_ADJ = "1000";
const MAX_STDERR = 8192;
/** Besides layers: those of Node, pipes, the output and libraries while they are loaded. */
const OWN_DESCRIPTORS = 64;
/** Added by bubblewrap and by shells to the number of a signal. */
const SIGNALLED = 128;
const SIGNALS: Readonly<Record<number, string>> = {
  ...{ 1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM" },
};
/** Signals that a service manager sends to all processes of a service to stop it. */
const STOPPED: readonly unknown[] = ["SIGHUP", "SIGINT", "SIGTERM"];

/**
 * The process that builds one image. Ends when it is disposed of. Its methods throw the fault of the image, or what is wrong with
 * the host.
 */
export class BuildProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  readonly #request: BuildRequest;
  readonly #onProgress: OnProgress;
  readonly #planned = Promise.withResolvers<Planned>();
  readonly #done = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #limit: TimeLimit;
  #isStarted = false;
  #line = "";
  #stderr = "";

  /** Starts it. The time limit begins. */
  static async start(request: BuildRequest, sandbox: Sandbox, onProgress: OnProgress, signal: AbortSignal) {
    const files: FileHandle[] = [];
    try {
      for (const { path } of request.layers) files.push(await open(path, "r"));
      return new BuildProcess(request, sandbox, files, onProgress, signal);
    } finally {
      // The process has its own.
      for (const file of files) await file.close();
    }
  }

  private constructor(
    request: BuildRequest,
    sandbox: Sandbox,
    files: readonly FileHandle[],
    onProgress: OnProgress,
    signal: AbortSignal,
  ) {
    this.#request = request;
    this.#onProgress = onProgress;
    this.#limit = new TimeLimit(request.timeoutMs, signal, () => outOfTime(request.timeoutMs));
    for (const { promise } of [this.#planned, this.#done]) promise.catch(() => undefined);
    const { memoryBytes, output } = request;
    const descriptors = OWN_DESCRIPTORS + files.length;
    const { program, args, env } = buildCommand(sandbox, output, { memoryBytes, descriptors });
    this.#child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe", ...files.map((file) => file.fd)],
      env,
      // A group of its own, so that all of it can be killed.
      detached: true,
    });
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) throw new Error("spawned without pipes");
    this.#stdin = stdin;
    preferToKill(this.#child.pid);
    this.#watch(stdout, stderr);
    onAbort(this.#limit.signal, () => this.#fail(this.#limit.signal.reason));
    const layers = request.layers.map(({ size, diffId }, i) => ({ fd: FIRST_LAYER_FD + i, size, diffId }));
    this.#send({ output: visibleOutput(sandbox, output), layers, limits: request.limits, memoryBytes });
  }

  /** Waits until all layers are read. */
  planned(): Promise<Planned> {
    return this.#planned.promise;
  }

  /** Lets it write the squashfs, and waits for it. */
  write(permission: Permission): Promise<void> {
    this.#send(permission);
    return this.#done.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#limit[Symbol.dispose]();
    this.#kill();
    await this.#ended.promise;
  }

  #watch(stdout: Readable, stderr: Readable): void {
    // The end of the process tells more than a broken pipe.
    this.#stdin.on("error", () => undefined);
    stdout.setEncoding("utf8");
    stdout.on("data", (text: string) => this.#onText(text));
    stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    this.#child.once("error", (cause) => {
      this.#fail(notStarted(cause));
      this.#ended.resolve();
    });
    this.#child.once("close", (code, signal) => {
      this.#fail(this.#faultOfEnd(signal ?? code ?? 0));
      this.#ended.resolve();
    });
  }

  #onText(text: string): void {
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop() ?? "";
    try {
      for (const line of lines) this.#onReport(parseReport(line));
      if (this.#line.length > MAX_LINE) throw new Error("a line without end");
    } catch (err) {
      this.#fail(crashed("what it reported is unreadable", err));
    }
  }

  #onReport(report: Report): void {
    switch (report.kind) {
      case "started":
        this.#isStarted = true;
        return;
      case "progress":
        this.#onProgress(report.bytes, report.layers);
        return;
      case "planned":
        this.#planned.resolve(report);
        return;
      case "done":
        this.#done.resolve();
        return;
      case "failed":
        this.#fail(faultOf(report, this.#request.memoryBytes, this.#stderr));
    }
  }

  #send(message: Job | Permission): void {
    this.#stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends it with an error, unless it has ended before. */
  #fail(error: unknown): void {
    this.#planned.reject(error);
    this.#done.reject(error);
    this.#kill();
  }

  #kill(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has just ended.
    }
  }

  #faultOfEnd(status: string | number): Fault {
    const number = Number(status);
    const how = number > SIGNALLED ? (SIGNALS[number - SIGNALLED] ?? `signal ${number - SIGNALLED}`) : status;
    const cause = new Error(`the build of an image ended with ${how}: ${this.#stderr.trim()}`);
    if (STOPPED.includes(how)) return stopping(cause);
    if (!this.#isStarted) return notStarted(cause);
    // V8 says so and aborts. The kernel kills when the host has no memory left.
    if (how === "SIGKILL" || /out of memory|allocation failed|cannot allocate/i.test(this.#stderr))
      return outOfMemory(this.#request.memoryBytes, cause);
    return crashed(typeof how === "number" ? `exit status ${how}` : how, cause);
  }
}

/** Makes the kernel kill a build before a service when memory is out. What it starts inherits this. */
function preferToKill(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, OOM_SCORE_ADJ);
  } catch {
    // It has just ended, or the host forbids it.
  }
}

/** Makes the fault of a build that somebody has ended: the caller asks again. */
function stopping(cause: Error): Fault {
  const message = "the build of the image was ended, as the image cache stops";
  return new Fault("UNAVAILABLE", "SERVER_DRAINING", message, {}, { cause, retryAfterMs: 1_000 });
}

function notStarted(cause: Error): Fault {
  const message = "the process that builds images could not be started; the image cache's log says why";
  return new Fault("INTERNAL", "BUILD_NOT_STARTED", message, {}, { cause });
}
