import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { logger } from "../../lib/runtime/log.ts";
import { writeDurably } from "../../lib/stores/durable-file.ts";
import { type HostEntry, parseHostEntries } from "./host-table.ts";

/** Signs of life alone are written this often; new facts at once. */
const SEEN_MS = 60_000;
const DEBOUNCE_MS = 100;

/**
 * Keeps the table of hosts in a file, so that an api that restarts with everything central down still finds every machine. Written in the
 * background; a crash or a power cut leaves the old file or the new one.
 */
export class HostFile {
  readonly #path: string;
  readonly #entries: () => readonly HostEntry[];
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  /** @param entries what to write, asked when it is written */
  constructor(path: string, entries: () => readonly HostEntry[]) {
    this.#path = path;
    this.#entries = entries;
  }

  /** What an earlier life has written; nothing when there is no file or it cannot be read. */
  async load(): Promise<readonly HostEntry[]> {
    try {
      return parseHostEntries(JSON.parse(await readFile(this.#path, "utf8")));
    } catch (error) {
      const isFirst = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isFirst) logger.warn("the table of hosts could not be read", { path: this.#path, error });
      return [];
    }
  }

  /** The table has changed: it will be written soon. */
  changed(change: "new" | "seen"): void {
    const dueAt = performance.now() + (change === "new" ? DEBOUNCE_MS : SEEN_MS);
    if (dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush(), dueAt - performance.now());
  }

  /** Writes now. Never throws: the next change tries again. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await writeDurably(this.#path, `${JSON.stringify(this.#entries(), null, 1)}\n`);
    } catch (error) {
      logger.warn("the table of hosts could not be written", { path: this.#path, error });
    }
  }
}
