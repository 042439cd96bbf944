import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { logger } from "../../lib/runtime/log.ts";
import { writeDurably } from "../../lib/stores/durable-file.ts";
import { makePrivateFolder } from "../../lib/stores/private-folder.ts";
import { type HostChange, type HostEntry, parseHostEntries } from "./host-table.ts";

/** How soon a change is written: new facts at once, `lastSeenMs` alone rarely. */
const DELAY_MS: Record<HostChange, number> = { new: 100, seen: 60_000 };

/** The file of the host table, for an api that restarts while everything central is down. */
export class HostFile {
  readonly #path: string;
  readonly #entries: () => readonly HostEntry[];
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, entries: () => readonly HostEntry[]) {
    this.#path = path;
    this.#entries = entries;
  }

  /** Returns nothing when there is no file or it cannot be read. */
  async load(): Promise<readonly HostEntry[]> {
    try {
      return parseHostEntries(JSON.parse(await readFile(this.#path, "utf8")));
    } catch (error) {
      const isFirst = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isFirst) logger.warn("the host table could not be read", { path: this.#path, error });
      return [];
    }
  }

  changed(change: HostChange): void {
    const dueAt = performance.now() + DELAY_MS[change];
    if (dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush(), dueAt - performance.now());
  }

  /** Writes now. Never throws; the next change tries again. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    try {
      makePrivateFolder(dirname(this.#path));
      await writeDurably(this.#path, `${JSON.stringify(this.#entries(), null, 1)}\n`);
    } catch (error) {
      logger.warn("the host table could not be written", { path: this.#path, error });
    }
  }
}
