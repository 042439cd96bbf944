import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { VmSink } from "../vmm/vmm.ts";
import { LogFile, type StoredLine } from "./log-file.ts";
import { MachineLog } from "./machine-log.ts";

export interface LogQuery {
  readonly tail: number | undefined;
  readonly afterSequence: number;
  /** Go on until the log is removed or `signal` aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

const BATCH_LINES = 200;

/** The logs of the machines on this host, of bounded size, one folder for each machine. */
export class LogStore {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #logs = new Map<string, MachineLog>();

  /** @param maxKb for each machine */
  constructor(dir: string, maxKb: number) {
    this.#dir = dir;
    this.#maxBytes = maxKb * 1_024;
  }

  sink(id: string): VmSink {
    return { onLog: (line) => this.#log(id).append(line) };
  }

  /**
   * Reads lines in batches, oldest first. A slow reader delays nobody and costs no memory. When lines it has not read are no longer
   * kept, a `system` line says how many.
   */
  async *read(id: string, query: LogQuery): AsyncGenerator<readonly StoredLine[]> {
    const log = this.#log(id);
    let position = query.afterSequence;
    let lines = await log.after(position);
    if (query.tail === undefined) {
      lines = withGap(position, lines);
    } else {
      position = Math.max(position, lines.at(-1)?.sequence ?? 0);
      lines = query.tail === 0 ? [] : lines.slice(-query.tail);
    }
    for (;;) {
      for (let at = 0; at < lines.length; at += BATCH_LINES) yield lines.slice(at, at + BATCH_LINES);
      position = Math.max(position, lines.at(-1)?.sequence ?? 0);
      if (!query.follow) return;
      if ((await log.more(position, query.signal)) === "gone") return;
      lines = withGap(position, await log.after(position));
    }
  }

  async remove(id: string): Promise<void> {
    await this.#logs.get(id)?.discard();
    this.#logs.delete(id);
    await rm(join(this.#dir, id), { recursive: true, force: true });
  }

  async owners(): Promise<readonly string[]> {
    try {
      return await readdir(this.#dir);
    } catch (err) {
      if (err instanceof Error && "code" in err && err.code === "ENOENT") return [];
      throw err;
    }
  }

  /** Resolves when all lines so far are in the files. */
  async flush(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.flush()));
  }

  #log(id: string): MachineLog {
    let log = this.#logs.get(id);
    if (!log) {
      log = new MachineLog(new LogFile(join(this.#dir, id), this.#maxBytes));
      this.#logs.set(id, log);
    }
    return log;
  }
}

/** Adds a line about lines that are no longer kept. Position 0 is the oldest kept line, before which nothing is missing. */
function withGap(position: number, lines: readonly StoredLine[]): readonly StoredLine[] {
  const first = lines[0];
  if (!first || position === 0 || first.sequence <= position + 1) return lines;
  const missed = first.sequence - position - 1;
  const text = `${missed} lines are no longer kept`;
  return [{ timeUs: first.timeUs, stream: "system", text, sequence: first.sequence - 1 }, ...lines];
}
