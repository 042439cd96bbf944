import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../src/lib/runtime/backoff.ts";
import { sleep } from "../../src/lib/runtime/wait.ts";
import { UserError } from "../../tools/lib/errors.ts";
import {
  awaitEnd,
  identify,
  type ProcessIdentity,
  processTree,
  sendSignal,
} from "../../tools/lib/processes.ts";
import { program } from "../../tools/lib/programs.ts";
import { openLog, tail } from "./log-file.ts";
import type { User } from "./user.ts";

/** How to run one process of a fleet. */
export interface PartSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** The whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly logFile: string;
  readonly user?: User | undefined;
  /** Open as descriptor 3, for a folder that the process's user may not be able to walk to. */
  readonly openFolder?: string;
  readonly stopSignal: NodeJS.Signals;
  /** Time between the stop signal and SIGKILL. */
  readonly stopGraceMs: number;
  /** Sent by the kernel when this process dies. */
  readonly orphanSignal: NodeJS.Signals;
  /** Longest time from the first start until {@link ready} resolves. */
  readonly readyTimeoutMs: number;
  /** Runs before every start. */
  prepare?(signal: AbortSignal): Promise<void>;
  /** Resolves when the process does its work, throws when it does not yet. */
  ready(signal: AbortSignal): Promise<void>;
}

/** State of a part. `waiting`: it has crashed, and is started again after a pause. */
export type PartState = "stopped" | "starting" | "ready" | "waiting";

const RESTART: Backoff = { firstMs: 200, maxMs: 10_000 };
/** After a run of this length the next pause is short again. */
const STABLE_MS = 30_000;
/** Crashes before it was ever ready after which the start fails. */
const MAX_TRIES = 3;

/** Keeps a process running from `start` to `stop`. Emits `change` with its state or process. */
export class Part extends EventEmitter<{ change: [] }> {
  readonly spec: PartSpec;
  #state: PartState = "stopped";
  #process: ProcessIdentity | undefined;
  #restarts = 0;
  #run: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  constructor(spec: PartSpec) {
    super();
    this.spec = spec;
  }

  get name(): string {
    return this.spec.name;
  }

  get state(): PartState {
    return this.#state;
  }

  get process(): ProcessIdentity | undefined {
    return this.#process;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Starts the process; resolves when it is ready. Otherwise rejects with the end of its log. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#run !== undefined) return;
    const abort = new AbortController();
    const first = Promise.withResolvers<void>();
    first.promise.catch(() => undefined);
    const done = this.#supervise(abort.signal, first);
    this.#run = { abort, done };
    const limit = AbortSignal.any([
      AbortSignal.timeout(this.spec.readyTimeoutMs),
      ...(signal ? [signal] : []),
    ]);
    using _ = onAbort(limit, () =>
      first.reject(signal?.aborted ? signal.reason : this.#failure("is not ready in time")),
    );
    try {
      await first.promise;
    } catch (cause) {
      await this.stop();
      throw cause;
    }
  }

  /** Stops the process, with SIGKILL after its grace. */
  async stop(): Promise<void> {
    await this.#end(this.spec.stopSignal, this.spec.stopGraceMs);
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL", 0);
  }

  /** Kills the process; it is started again. */
  async crash(): Promise<void> {
    const victim = this.#process;
    if (victim === undefined) return;
    sendSignal(victim, "SIGKILL");
    while (this.#process === victim) await once(this, "change");
  }

  /** Resolves once the part is ready. Rejects after the timeout. */
  async whenReady(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (this.#state !== "ready") await once(this, "change", { signal });
  }

  /** Suspends the process and all below it. */
  pause(): void {
    if (this.#process) for (const each of processTree(this.#process)) sendSignal(each, "SIGSTOP");
  }

  resume(): void {
    if (this.#process) for (const each of processTree(this.#process)) sendSignal(each, "SIGCONT");
  }

  async #end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    run.abort.abort(new Error(`${this.name} is being stopped`));
    if (this.#process !== undefined) {
      this.resume();
      sendSignal(this.#process, signal);
      const [running] = await awaitEnd([this.#process], graceMs);
      if (running !== undefined) sendSignal(running, "SIGKILL");
    }
    await run.done;
    this.#run = undefined;
  }

  async #supervise(signal: AbortSignal, first: PromiseWithResolvers<void>): Promise<void> {
    for (let failures = 0; !signal.aborted; failures += 1) {
      const startedAt = Date.now();
      const wasReady = await this.#runOnce(signal, first);
      if (signal.aborted) break;
      if (!wasReady && failures + 1 >= MAX_TRIES)
        first.reject(this.#failure("ends as soon as it is started"));
      if (Date.now() - startedAt > STABLE_MS) failures = 0;
      this.#restarts += 1;
      this.emit("change");
      await sleep(backoffMs(RESTART, failures), signal);
    }
    first.reject(signal.reason);
    this.#become("stopped");
  }

  async #runOnce(signal: AbortSignal, first: PromiseWithResolvers<void>): Promise<boolean> {
    this.#become("starting");
    let child: ChildProcess;
    try {
      await this.spec.prepare?.(signal);
      if (signal.aborted) return false;
      child = this.#spawn();
    } catch (cause) {
      first.reject(this.#failure("cannot be started", cause));
      return false;
    }
    const ended = new AbortController();
    const exit = once(child, "exit").catch(() => undefined);
    this.#process = child.pid === undefined ? undefined : identify(child.pid);
    this.emit("change");
    void exit.then(() => ended.abort());
    const isReady = await this.#becomeReady(AbortSignal.any([signal, ended.signal]));
    if (isReady) {
      this.#become("ready");
      first.resolve();
    }
    await exit;
    this.#process = undefined;
    this.#become("waiting");
    return isReady;
  }

  async #becomeReady(signal: AbortSignal): Promise<boolean> {
    for (let pauseMs = 20; !signal.aborted; pauseMs = Math.min(pauseMs * 1.5, 250)) {
      try {
        await this.spec.ready(AbortSignal.any([signal, AbortSignal.timeout(2_000)]));
        return !signal.aborted;
      } catch {
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
    return false;
  }

  #spawn(): ChildProcess {
    const { spec } = this;
    mkdirSync(dirname(spec.logFile), { recursive: true, mode: 0o700 });
    const log = openLog(spec.logFile);
    const folder = spec.openFolder === undefined ? undefined : openSync(spec.openFolder, "r");
    const drop = spec.user ? [`--reuid=${spec.user.uid}`, `--regid=${spec.user.gid}`, "--clear-groups"] : [];
    try {
      return spawn(
        program("setpriv"),
        ["--pdeathsig", spec.orphanSignal.slice(3), ...drop, "--", ...spec.command],
        {
          cwd: spec.workingDirectory,
          env: spec.environment,
          // Ctrl-C in the terminal must not reach it: parts are stopped in order.
          detached: true,
          stdio: ["ignore", log, log, ...(folder === undefined ? [] : [folder])],
        },
      );
    } finally {
      closeSync(log);
      if (folder !== undefined) closeSync(folder);
    }
  }

  #become(state: PartState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("change");
  }

  #failure(what: string, cause?: unknown): Error {
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    const last = tail(this.spec.logFile, 15);
    const log = last === "" ? "" : `\nThe end of ${this.spec.logFile}:\n${last}`;
    return new UserError(`${this.name} ${what}${reason}${log}`, { cause });
  }
}
