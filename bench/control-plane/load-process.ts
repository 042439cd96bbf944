import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { tool } from "../../tools/lib/paths.ts";
import type { LoadJob, LoadOutcome, LoadSettings } from "./load-job.ts";

/** A process that makes load; see `load.ts`. End it, or declare it with `await using`. */
export class LoadProcess {
  readonly #child: ChildProcess;

  constructor(settings: LoadSettings) {
    const file = new URL("./load.ts", import.meta.url);
    this.#child = fork(file, [JSON.stringify(settings)], { execPath: tool("node"), execArgv: [] });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Does a job. @throws Error when any call failed, or the process has ended */
  async run(job: LoadJob, signal: AbortSignal): Promise<LoadOutcome & { ok: true }> {
    const over = new AbortController();
    const until = { signal: AbortSignal.any([signal, over.signal]) };
    try {
      this.#child.send(job);
      const ended = once(this.#child, "exit", until).then(() => {
        throw new Error("the process that makes load has ended");
      });
      // The only message it sends; see `load.ts`.
      const [outcome] = (await Promise.race([once(this.#child, "message", until), ended])) as [LoadOutcome];
      if (!outcome.ok) throw new Error(`a call failed under load: ${outcome.error}`);
      return outcome;
    } finally {
      over.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
