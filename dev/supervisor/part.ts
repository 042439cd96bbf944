import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../src/lib/runtime/backoff.ts";
import { sleep } from "../../src/lib/runtime/wait.ts";
import { UserError } from "../../tools/lib/main.ts";
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

/** What one process of a fleet is and how it is treated. */
export interface PartSpec {
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly logFile: string;
  /** Run as this user instead of ours. */
  readonly user?: User | undefined;
  /** A folder the process finds open as descriptor 3, so that it need not be able to walk there. */
  readonly openFolder?: string;
  /** Asks the process to end. */
  readonly stopSignal: NodeJS.Signals;
  /** How long it may take to do so before it is killed. */
  readonly stopGraceMs: number;
  /** What the process gets when we die without stopping it. */
  readonly orphanSignal: NodeJS.Signals;
  /** How long the first start may take until {@link ready} holds. */
  readonly readyTimeoutMs: number;
  /** Before every start. */
  prepare?(signal: AbortSignal): Promise<void>;
  /** One try: resolves when the process does its work, throws when it does not yet. */
  ready(signal: AbortSignal): Promise<void>;
}

/** How a part is doing. `waiting`: it has ended unasked, and is started again after a pause. */
export type PartState = "stopped" | "starting" | "ready" | "waiting";

const RESTART: Backoff = { firstMs: 200, maxMs: 10_000 };
/** A process that ran this long was well: the next pause is short again. */
const SETTLED_MS = 30_000;
/** So many ends before it was ever ready mean that it will not be. */
const TRIES = 3;

/** Keeps one process running from `start` to `stop`. Emits `change` whenever its state or process changes. */
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

  /** The running process; undefined between two. */
  get process(): ProcessIdentity | undefined {
    return this.#process;
  }

  /** How often it ended unasked. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Starts the process and resolves when it is ready. Rejects, with the end of its log, when it will not be. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#run !== undefined) return;
    const abort = new AbortController();
    const first = Promise.withResolvers<void>();
    first.promise.catch(() => undefined);
    const done = this.#supervise(abort.signal, first);
    this.#run = { abort, done };
    const giveUp = AbortSignal.any([
      AbortSignal.timeout(this.spec.readyTimeoutMs),
      ...(signal ? [signal] : []),
    ]);
    using _ = onAbort(giveUp, () =>
      first.reject(signal?.aborted ? signal.reason : this.#failure("is not ready in time")),
    );
    try {
      await first.promise;
    } catch (cause) {
      await this.stop();
      throw cause;
    }
  }

  /** Asks the process to end, kills it when it does not, and leaves it down. */
  async stop(): Promise<void> {
    await this.#end(this.spec.stopSignal, this.spec.stopGraceMs);
  }

  /** Kills the process with all below it and leaves it down. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL", 0);
  }

  /** Kills the process; it is started again as after any other crash. */
  async crash(): Promise<void> {
    const victim = this.#process;
    if (victim === undefined) return;
    sendSignal(victim, "SIGKILL");
    while (this.#process === victim) await once(this, "change");
  }

  /** Resolves once the part is ready; at once when it is. Rejects when that takes longer. */
  async whenReady(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (this.#state !== "ready") await once(this, "change", { signal });
  }

  /** Freezes the process and all below it: alive for the kernel, silent for everybody else. */
  pause(): void {
    if (this.#process) for (const each of processTree(this.#process)) sendSignal(each, "SIGSTOP");
  }

  /** Lets a frozen process go on. */
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
      const [stubborn] = await awaitEnd([this.#process], graceMs);
      if (stubborn !== undefined) sendSignal(stubborn, "SIGKILL");
    }
    await run.done;
    this.#run = undefined;
  }

  async #supervise(signal: AbortSignal, first: PromiseWithResolvers<void>): Promise<void> {
    for (let failures = 0; !signal.aborted; failures += 1) {
      const startedAt = Date.now();
      const wasReady = await this.#runOnce(signal, first);
      if (signal.aborted) break;
      if (!wasReady && failures + 1 >= TRIES) first.reject(this.#failure("ends as soon as it is started"));
      if (Date.now() - startedAt > SETTLED_MS) failures = 0;
      this.#restarts += 1;
      this.emit("change");
      await sleep(backoffMs(RESTART, failures), signal);
    }
    first.reject(signal.reason);
    this.#become("stopped");
  }

  /** From spawn to exit. Returns whether the process was ready in between. */
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
    // Nobody may see a part that is ready and has no process.
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
    mkdirSync(dirname(spec.logFile), { recursive: true });
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
          // Its own session: Ctrl-C in the terminal reaches us alone, and we stop the parts in order.
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
