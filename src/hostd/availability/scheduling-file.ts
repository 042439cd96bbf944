import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import { writeDurably } from "../../lib/stores/durable-file.ts";
import { SCHEDULINGS, type Scheduling } from "./scheduling.ts";

/** Keeps the scheduling of this host in a file of one word, which operators can read and write while hostd does not run. */
export class SchedulingFile {
  readonly #path: string;
  #current: Scheduling;
  onChange: () => void = () => {};
  #lastWrite: Promise<unknown> = Promise.resolve();

  constructor(path: string, current: Scheduling) {
    this.#path = path;
    this.#current = current;
  }

  /** Reads the file in `dir`. Without a file the host is open; with an unknown word it is cordoned. */
  static async open(dir: string): Promise<SchedulingFile> {
    const path = join(dir, "scheduling");
    const word = await readFile(path, "utf8").then(
      (text) => text.trim(),
      (err: NodeJS.ErrnoException) => {
        if (err.code === "ENOENT") return "open";
        throw err;
      },
    );
    const known = SCHEDULINGS.find((each) => each === word);
    if (!known) logger.error("the scheduling file has an unknown word: the host is cordoned", { path, word });
    return new SchedulingFile(path, known ?? "cordoned");
  }

  get current(): Scheduling {
    return this.#current;
  }

  /** Changes the scheduling durably, and returns the previous one. @throws Fault DISK_FULL */
  set(scheduling: Scheduling): Promise<Scheduling> {
    const previous = this.#lastWrite.then(async () => {
      const before = this.#current;
      if (scheduling !== before) await this.#write(scheduling);
      this.#current = scheduling;
      if (scheduling !== before) this.onChange();
      return before;
    });
    this.#lastWrite = previous.catch(() => undefined);
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
