import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import { writeDurably } from "../../lib/stores/durable-file.ts";
import type { Scheduling, SchedulingState } from "./scheduling.ts";

const WORDS: readonly string[] = ["open", "cordoned", "draining"] satisfies Scheduling[];

/**
 * What operators have said about this host, in a file of one word in HOSTD_DIR. Not in the store of machines: it is read before that is open,
 * and an operator can read it, or mend it, when hostd does not run.
 */
export class SchedulingFile implements SchedulingState {
  readonly #path: string;
  #current: Scheduling;
  /** Called after each change. */
  onChange: () => void = () => {};
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, current: Scheduling) {
    this.#path = path;
    this.#current = current;
  }

  /** Reads what was said last; a host of which nothing was ever said is open. A word it does not know keeps new machines away. */
  static async open(dir: string): Promise<SchedulingFile> {
    const path = join(dir, "scheduling");
    const said = await readFile(path, "utf8").then(
      (text) => text.trim(),
      (err: NodeJS.ErrnoException) => {
        if (err.code === "ENOENT") return "open";
        throw err;
      },
    );
    if (isScheduling(said)) return new SchedulingFile(path, said);
    logger.error("what operators said of this host is not legible; it takes no new machines", { path, said });
    return new SchedulingFile(path, "cordoned");
  }

  get current(): Scheduling {
    return this.#current;
  }

  /**
   * Changes it; durable when it resolves, and in effect then. Answers what it was.
   *
   * @throws Fault DISK_FULL
   */
  set(scheduling: Scheduling): Promise<Scheduling> {
    const previous = this.#writing.then(async () => {
      const before = this.#current;
      if (scheduling !== before) await this.#write(scheduling);
      this.#current = scheduling;
      if (scheduling !== before) this.onChange();
      return before;
    });
    this.#writing = previous.catch(() => undefined);
    return previous;
  }

  async #write(scheduling: Scheduling): Promise<void> {
    try {
      await writeDurably(this.#path, `${scheduling}\n`);
    } catch (cause) {
      if (!(cause instanceof Error && "code" in cause && cause.code === "ENOSPC")) throw cause;
      throw new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "the host's disk is full", {}, { cause });
    }
  }
}

function isScheduling(word: string): word is Scheduling {
  return WORDS.includes(word);
}
