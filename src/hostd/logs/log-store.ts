import { logger } from "../../lib/runtime/log.ts";
import { endsWithin } from "../../lib/runtime/wait.ts";
import type { OutputSession } from "../vmm/output.ts";
import type { LogLine, VmSink } from "../vmm/vmm.ts";
import type { StoredLine } from "./line-format.ts";
import type { LogLimits, LogOwner } from "./log-calls.ts";
import { type LogThread, startLogThread } from "./log-thread.ts";

export interface LogQuery {
  readonly tail: number | undefined;
  readonly afterSequence: number;
  /** Continue until the log is removed or `signal` aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

export interface LogStoreOptions {
  readonly dir: string;
  readonly limits: LogLimits;
  /** Machines that may have logs from before. */
  readonly owners: readonly LogOwner[];
  /** Called once when the thread of the logs ends unexpectedly. */
  readonly onDeath: (err: Error) => void;
}

/** The logs of the machines on this host, one folder for each machine, in a thread of their own. */
export class LogStore {
  readonly #thread: LogThread;
  /** Followers of logs, by machine. */
  readonly #followers = new Map<string, Set<Follower>>();
  #nextSession = 1;
  #hasFailed = false;
  #isClosed = false;

  constructor({ dir, limits, owners, onDeath }: LogStoreOptions) {
    this.#thread = startLogThread({ dir, limits, owners }, onDeath);
  }

  /** Returns where the VMs of a machine write. */
  sink(owner: LogOwner): VmSink {
    return {
      onLog: (line) => this.#append(owner, line),
      openOutput: (cursorFile) => this.#open(owner, cursorFile),
    };
  }

  /** Returns the sequence before the last `tail` lines, or before all, and the last one. */
  position(
    id: string,
    tail: number | undefined,
  ): Promise<{ readonly before: number; readonly last: number }> {
    return this.#thread.call({ kind: "position", id, tail });
  }

  /**
   * Reads lines in batches, oldest first. A slow reader delays nobody and costs no memory. When lines
   * it has not read are no longer kept, a `system` line says how many.
   */
  async *read(id: string, query: LogQuery): AsyncGenerator<readonly StoredLine[]> {
    const { follow, signal, tail } = query;
    const { before, last } = await this.position(id, tail);
    let position = Math.max(query.afterSequence, before);
    using follower = this.#follower(id, follow);
    while (follow || position < last) {
      follower.reached(position);
      const request = { kind: "after", id, sequence: position, waits: follow } as const;
      const lines = await this.#thread.call(request, { signal });
      const newest = lines?.at(-1)?.sequence;
      if (lines === undefined || newest === undefined) return;
      yield withGap(position, lines);
      position = newest;
    }
  }

  /** Resolves when all followers of a log have taken its present last line, or after `limitMs`. */
  async untilRead(id: string, limitMs: number): Promise<void> {
    if (!this.#followers.has(id)) return;
    const { last } = await this.position(id, 0);
    const waits = [...(this.#followers.get(id) ?? [])].map((follower) => follower.until(last));
    await endsWithin(limitMs, Promise.all(waits));
  }

  #follower(id: string, follows: boolean): Follower {
    const follower = new Follower(() => {
      const all = this.#followers.get(id);
      all?.delete(follower);
      if (all?.size === 0) this.#followers.delete(id);
    });
    if (follows) this.#followers.set(id, (this.#followers.get(id) ?? new Set()).add(follower));
    return follower;
  }

  async remove(id: string): Promise<void> {
    await this.#thread.call({ kind: "remove", id });
  }

  async owners(): Promise<readonly string[]> {
    return await this.#thread.call({ kind: "owners" });
  }

  /** Resolves when all lines so far are in the files. */
  async flush(): Promise<void> {
    await this.#thread.call({ kind: "flush" });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread.close({ kind: "flush" });
  }

  async #append(owner: LogOwner, line: LogLine): Promise<void> {
    if (this.#isClosed) return;
    try {
      await this.#thread.call({ kind: "append", owner, line });
      this.#note(owner, undefined);
    } catch (err) {
      this.#note(owner, err instanceof Error ? err.message : String(err));
    }
  }

  #open(owner: LogOwner, cursorFile: string): OutputSession {
    const session = this.#nextSession++;
    const log = (what: string) => (error: unknown) =>
      logger.error(`could not ${what} the output of a machine`, { machine_id: owner.id, error });
    this.#thread.call({ kind: "open", session, owner, cursorFile }).catch(log("open"));
    return {
      store: async (batch) => {
        const transfer = [batch.frames.buffer];
        const receipt = await this.#thread.call({ kind: "store", session, batch }, { transfer });
        this.#note(owner, receipt.failure);
        return receipt;
      },
      close: () => this.#thread.call({ kind: "close", session }).catch(log("close")),
    };
  }

  /** Logs a failure once until lines can be written again. */
  #note({ id }: LogOwner, failure: string | undefined): void {
    if (failure !== undefined && !this.#hasFailed)
      logger.error("could not write a machine's log", { machine_id: id, error: failure });
    this.#hasFailed = failure !== undefined;
  }
}

/** A follower of a log: its position, and who waits for it. */
class Follower implements Disposable {
  readonly #leave: () => void;
  readonly #waiting: { readonly sequence: number; readonly done: () => void }[] = [];
  #position = -1;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  reached(position: number): void {
    this.#position = position;
    for (const { sequence, done } of this.#waiting) if (sequence <= position) done();
  }

  /** Resolves when the follower has reached the sequence, or has stopped. */
  async until(sequence: number): Promise<void> {
    if (this.#position >= sequence) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ sequence, done: resolve });
    await promise;
  }

  [Symbol.dispose](): void {
    this.#leave();
    this.reached(Number.POSITIVE_INFINITY);
  }
}

/**
 * Adds a line about lines that are no longer kept. Position 0 is the oldest kept line, before which
 * nothing is missing.
 */
function withGap(position: number, lines: readonly StoredLine[]): readonly StoredLine[] {
  const first = lines[0];
  if (!first || position === 0 || first.sequence <= position + 1) return lines;
  const missed = first.sequence - position - 1;
  const text = `${missed} lines are no longer kept`;
  return [{ timeUs: first.timeUs, stream: "system", text, sequence: first.sequence - 1 }, ...lines];
}
